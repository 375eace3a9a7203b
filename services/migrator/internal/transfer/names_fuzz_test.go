package transfer

import (
	"path"
	"strings"
	"testing"
)

// Numbered names differ from one another and stay in their folder; a file keeps its
// extension.
func FuzzNumbered(f *testing.F) {
	f.Add("name.txt", 2, false)
	f.Fuzz(func(t *testing.T, name string, n int, folder bool) {
		if name == "" || strings.Contains(name, "/") || n < 2 || n > maxNumbered {
			return
		}
		got := numbered(name, n, folder)
		if numbered(name, 1, folder) != name || strings.Contains(got, "/") || len(got) <= len(name) {
			t.Errorf("%q, tried as the %d-th, is %q", name, n, got)
		}
		if !folder && strings.Trim(name, ".") != "" && name[0] != '.' && path.Ext(got) != path.Ext(name) && path.Ext(name) != "" {
			t.Errorf("%q becomes %q, of another kind", name, got)
		}
		for other := 1; other <= maxNumbered; other++ {
			if other != n && numbered(name, other, folder) == got {
				t.Fatalf("%q is called %q as the %d-th and the %d-th", name, got, n, other)
			}
		}
	})
}
