package instance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
)

// fields is a JSON object of which only some members are understood.
type fields map[string]json.RawMessage

// fieldsOf takes anything apart that is a JSON object.
func fieldsOf(value any) (fields, error) {
	raw, isRaw := value.(json.RawMessage)
	if !isRaw {
		var err error
		if raw, err = json.Marshal(value); err != nil {
			return nil, fmt.Errorf("encode document: %w", err)
		}
	}
	var f fields
	if err := json.Unmarshal(raw, &f); err != nil {
		return nil, fmt.Errorf("decode document: %w", err)
	}
	if f == nil {
		f = fields{}
	}
	return f, nil
}

// lay overwrites members with those of another object.
func (f fields) lay(over fields) { maps.Copy(f, over) }

// changedFrom keeps the members that differ from before.
func (f fields) changedFrom(before fields) fields {
	changed := fields{}
	for name, value := range f {
		if old, ok := before[name]; !ok || !bytes.Equal(old, value) {
			changed[name] = value
		}
	}
	return changed
}
