package instance

import (
	"bytes"
	"encoding/json"
	"fmt"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/pkg/cozy"
)

// fields are a JSON object of which not all names are known.
type fields map[string]json.RawMessage

// trackingDoc is a tracking document with all its fields, and those that the
// service knows in their types.
type trackingDoc struct {
	ref    cozy.Ref
	fields fields
	typed  contract.Tracking
	broken []string // known fields that do not hold what they should, to be replaced
}

// decode fills in the types. A field that somebody else has spoiled is taken for
// missing: it must not keep the migration from ending.
func (d *trackingDoc) decode() {
	for name, value := range d.fields {
		typed := d.typed
		one, err := json.Marshal(fields{name: value})
		if err == nil {
			err = json.Unmarshal(one, &typed)
		}
		if err != nil {
			d.broken = append(d.broken, name)
			continue
		}
		d.typed = typed
	}
	for _, list := range []string{"errors", "skipped"} {
		if value := d.fields[list]; len(value) == 0 || string(value) == "null" {
			d.broken = append(d.broken, list)
		}
	}
	fillArrays(&d.typed)
}

// apply has update change the document and merges what it changed over what was
// there.
func (d *trackingDoc) apply(update func(*contract.Tracking) bool) (Outcome, error) {
	before, err := toFields(d.typed)
	if err != nil {
		return Unchanged, err
	}
	for _, name := range d.broken {
		delete(before, name)
	}
	if !update(&d.typed) {
		return Unchanged, nil
	}
	fillArrays(&d.typed)
	after, err := toFields(d.typed)
	if err != nil {
		return Unchanged, err
	}
	if !merge(d.fields, before, after) {
		return Unchanged, nil
	}
	// The first two go beside the document, the last is the stack's own.
	delete(d.fields, "_id")
	delete(d.fields, "_rev")
	delete(d.fields, "_type")
	return Written, nil
}

// merge carries the difference of two objects over to a third and says whether
// there is one. Objects inside are merged in the same way, arrays replaced.
func merge(into, before, after fields) bool {
	changed := false
	for name, value := range after {
		if bytes.Equal(before[name], value) {
			continue
		}
		into[name] = mergeValue(into[name], before[name], value)
		changed = true
	}
	for name := range before {
		if _, kept := after[name]; !kept {
			delete(into, name)
			changed = true
		}
	}
	return changed
}

func mergeValue(into, before, after json.RawMessage) json.RawMessage {
	var target, old, fresh fields
	for _, part := range []struct {
		value  json.RawMessage
		object *fields
	}{{into, &target}, {before, &old}, {after, &fresh}} {
		if json.Unmarshal(part.value, part.object) != nil || *part.object == nil {
			return after
		}
	}
	merge(target, old, fresh)
	merged, err := json.Marshal(target)
	if err != nil {
		return after
	}
	return merged
}

func toFields(t contract.Tracking) (fields, error) {
	object, err := json.Marshal(t)
	if err != nil {
		return nil, fmt.Errorf("encode tracking document: %w", err)
	}
	var f fields
	if err := json.Unmarshal(object, &f); err != nil {
		return nil, fmt.Errorf("encode tracking document: %w", err)
	}
	return f, nil
}

// fillArrays: the Settings page walks both lists and does not expect null.
func fillArrays(t *contract.Tracking) {
	if t.Errors == nil {
		t.Errors = []contract.Failure{}
	}
	if t.Skipped == nil {
		t.Skipped = []contract.Skip{}
	}
}
