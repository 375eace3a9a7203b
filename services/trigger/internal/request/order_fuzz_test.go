package request

import (
	"path"
	"strings"
	"testing"

	"example.org/ncm/pkg/contract"
)

// What a user may type is refused with words of ours, or becomes an order that the
// services after this one take.
func FuzzOrder(f *testing.F) {
	f.Add("https://cloud.example", "alice", "app-password", "/Photos", "/Nextcloud imported files")
	f.Fuzz(func(t *testing.T, address, login, password, source, target string) {
		given := Order{URL: address, Login: login, Password: password, SourcePath: source, TargetDir: target}
		o, err := given.checked()
		if err != nil {
			if CodeOf(err) != CodeInvalid || o != (Order{}) {
				t.Errorf("refused with %v and %+v", err, o)
			}
			if said := MessageOf(err); len(password) > 8 && !strings.Contains(password, " ") && strings.Contains(said, password) {
				t.Errorf("the password is in %q", said)
			}
			return
		}
		if !strings.HasSuffix(o.URL, "/") || o.Login == "" || o.Password == "" {
			t.Errorf("accepted: %+v", o)
		}
		if !path.IsAbs(o.TargetDir) || path.Clean(o.TargetDir) != o.TargetDir || strings.ContainsAny(o.TargetDir, "\x00\r\n") {
			t.Errorf("target folder %q", o.TargetDir)
		}
		if o.SourcePath == "" || strings.ContainsRune(o.SourcePath, 0) || len(o.SourcePath) > contract.MaxMessageBytes/8 {
			t.Errorf("source path %q", o.SourcePath)
		}
	})
}
