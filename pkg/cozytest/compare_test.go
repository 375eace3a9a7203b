package cozytest_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// world maps what the recording calls things to what the simulator calls them.
type world struct {
	toSim  map[string]string
	sealed map[string]string // encrypted credentials
}

func newWorld() *world {
	return &world{toSim: make(map[string]string), sealed: make(map[string]string)}
}

// volatile is what differs between two runs of the same requests: ids of
// several kinds, revisions, the hour of the recording, random suffixes.
var volatile = regexp.MustCompile(strings.Join([]string{
	`\b\d+-[0-9a-f]{32}\b`,
	`\b[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}\b`,
	`\b[0-9a-f]{40}\b`,
	`\b[0-9a-f]{32}\b`,
	`\b[0-9a-f]{16}\b`,
	`20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z`,
	`20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ`,
	`\w{3}, \d\d \w{3} 20\d\d \d\d:\d\d:\d\d GMT`,
	`\d{9}(?:\)|: file name too long)`,
}, "|"))

var recordedHour = regexp.MustCompile(`^2026-11-23T11:\d\d:\d\d|^Mon, 23 Nov 2026 11:`)

var (
	clockTime = regexp.MustCompile(`^20\d\d-|^\w{3}, `)
	suffix    = regexp.MustCompile(`^\d{9}(\)|:)`)
)

// translate puts the simulator's names into a recorded request.
func (w *world) translate(text string) string {
	for recorded, simulated := range w.sealed {
		text = strings.ReplaceAll(text, recorded, simulated)
	}
	return volatile.ReplaceAllStringFunc(text, func(name string) string {
		if known, ok := w.toSim[name]; ok {
			return known
		}
		return name
	})
}

// same compares two texts piece by piece and learns new names.
func (w *world) same(recorded, simulated string) bool {
	if recorded == simulated {
		return true
	}
	if strings.Contains(recorded, "%22") {
		recorded, _ = url.QueryUnescape(recorded)
		simulated, _ = url.QueryUnescape(simulated)
	}
	left, right := volatile.FindAllStringIndex(recorded, -1), volatile.FindAllStringIndex(simulated, -1)
	if len(left) != len(right) {
		return false
	}
	i, j := 0, 0
	for k := range left {
		if recorded[i:left[k][0]] != simulated[j:right[k][0]] ||
			!w.sameName(recorded[left[k][0]:left[k][1]], simulated[right[k][0]:right[k][1]]) {
			return false
		}
		i, j = left[k][1], right[k][1]
	}
	return recorded[i:] == simulated[j:]
}

func (w *world) sameName(recorded, simulated string) bool {
	switch {
	case clockTime.MatchString(recorded):
		return recorded == simulated || recordedHour.MatchString(recorded) && clockTime.MatchString(simulated)
	case suffix.MatchString(recorded):
		return suffix.MatchString(simulated)
	}
	known, ok := w.toSim[recorded]
	if !ok {
		w.toSim[recorded] = simulated
		return true
	}
	return known == simulated
}

// opaque values are only held to their type.
var opaque = []string{
	"bookmark", "last_seq", "seq", "credentials_encrypted", "createdByAppVersion", "version", "views",
}

// difference compares two JSON values: keys, types, and values that are not
// volatile. A partial recording may lack keys and elements.
func (w *world) difference(at string, recorded, simulated any, partial bool) string {
	if fmt.Sprintf("%T", recorded) != fmt.Sprintf("%T", simulated) {
		return fmt.Sprintf("%s: recorded %v (%T), simulated %v (%T)", at, recorded, recorded, simulated, simulated)
	}
	switch r := recorded.(type) {
	case map[string]any:
		s, _ := simulated.(map[string]any)
		return w.objectDifference(at, r, s, partial)
	case []any:
		s, _ := simulated.([]any)
		return w.arrayDifference(at, r, s, partial)
	case string:
		s, _ := simulated.(string)
		if !w.same(r, s) {
			return fmt.Sprintf("%s: recorded %q, simulated %q", at, r, s)
		}
	default:
		if recorded != simulated {
			return fmt.Sprintf("%s: recorded %v, simulated %v", at, recorded, simulated)
		}
	}
	return ""
}

func (w *world) objectDifference(at string, r, s map[string]any, partial bool) string {
	keys := make([]string, 0, len(r))
	for key := range r {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		value, ok := s[key]
		if !ok {
			return fmt.Sprintf("%s.%s: only recorded", at, key)
		}
		if slices.Contains(opaque, key) && fmt.Sprintf("%T", r[key]) == fmt.Sprintf("%T", value) {
			w.learnSealed(key, r[key], value)
			continue
		}
		if d := w.difference(at+"."+key, cutCursor(r[key]), cutCursor(value), partial); d != "" {
			return d
		}
	}
	for key := range s {
		if _, ok := r[key]; !ok && !partial {
			return fmt.Sprintf("%s.%s: only simulated", at, key)
		}
	}
	return ""
}

// learnSealed: clients send encrypted credentials back.
func (w *world) learnSealed(key string, recorded, simulated any) {
	if key == "credentials_encrypted" {
		w.sealed[fmt.Sprint(recorded)] = fmt.Sprint(simulated)
	}
}

// cutCursor: the cursors of _find are opaque, and part of a link.
func cutCursor(value any) any {
	if text, ok := value.(string); ok {
		if link, _, found := strings.Cut(text, "/_find?page[cursor]="); found {
			return link
		}
	}
	return value
}

func (w *world) arrayDifference(at string, r, s []any, partial bool) string {
	if len(r) != len(s) && !(partial && len(r) < len(s)) {
		return fmt.Sprintf("%s: recorded %d elements, simulated %d", at, len(r), len(s))
	}
	for i := range r {
		if d := w.difference(fmt.Sprintf("%s[%d]", at, i), r[i], s[i], partial); d != "" {
			return d
		}
	}
	return ""
}

// bodyDifference holds error bodies to the byte and documents to their shape.
func (w *world) bodyDifference(x *exchange, simulated string) string {
	simulated = strings.TrimRight(simulated, "\n")
	if x.Cut && strings.TrimSpace(x.text) == "" {
		return ""
	}
	if !strings.Contains(x.Answer.Get("Content-Type"), "json") {
		if !w.same(x.text, simulated) && !x.Cut {
			return fmt.Sprintf("body: recorded %q, simulated %q", x.text, simulated)
		}
		return ""
	}
	if x.Status >= 400 && !x.Cut {
		if !w.same(x.text, simulated) {
			return fmt.Sprintf("error body: recorded %q, simulated %q", x.text, simulated)
		}
		return ""
	}
	text := x.text
	if x.Cut {
		text = completeJSON(text)
	}
	var left, right any
	// The chunks of CouchDB's own answers cannot be told apart exactly: what
	// follows the first value is left alone.
	if err := json.NewDecoder(strings.NewReader(text)).Decode(&left); err != nil {
		return fmt.Sprintf("recorded body: %v: %.300s", err, text)
	}
	if err := json.Unmarshal([]byte(simulated), &right); err != nil {
		return fmt.Sprintf("simulated body: %v: %.300s", err, simulated)
	}
	return w.difference("$", left, right, x.Cut)
}
