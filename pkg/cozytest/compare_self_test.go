package cozytest_test

import "testing"

// TestComparisonFindsDifferences keeps the replay honest.
func TestComparisonFindsDifferences(t *testing.T) {
	t.Parallel()
	const id1, id2 = "bd380f74730ad3bb2eefca3f81007d9c", "bd380f74730ad3bb2eefca3f810082d1"
	const sim1, sim2 = "00000000000000000000000000000001", "00000000000000000000000000000002"
	type object = map[string]any
	for name, c := range map[string]struct {
		recorded, simulated any
		partial, same       bool
	}{
		"equal":               {object{"a": "x", "b": 1.0}, object{"a": "x", "b": 1.0}, false, true},
		"other text":          {object{"a": "x"}, object{"a": "y"}, false, false},
		"other type":          {object{"a": "1"}, object{"a": 1.0}, false, false},
		"null is not a list":  {object{"a": nil}, object{"a": []any{}}, false, false},
		"key missing":         {object{"a": "x"}, object{}, false, false},
		"key too many":        {object{}, object{"a": "x"}, false, false},
		"cut recording":       {object{}, object{"a": "x"}, true, true},
		"element missing":     {[]any{"a", "b"}, []any{"a"}, true, false},
		"new names":           {[]any{id1, id2}, []any{sim1, sim2}, false, true},
		"name changes":        {[]any{id1, id1}, []any{sim1, sim2}, false, false},
		"time of the request": {"2026-11-23T11:09:30.1Z", "2031-01-01T00:00:00.5Z", false, true},
		"time that was sent":  {"2020-01-02T03:04:05Z", "2031-01-01T00:00:00Z", false, false},
		"name inside a text":  {"/files/" + id1 + "/size", "/files/" + sim1 + "/size", false, true},
		"text around a name":  {"/files/" + id1 + "/size", "/other/" + sim1 + "/size", false, false},
	} {
		got := newWorld().difference("$", c.recorded, c.simulated, c.partial)
		if (got == "") != c.same {
			t.Errorf("%s: difference %q", name, got)
		}
	}
}
