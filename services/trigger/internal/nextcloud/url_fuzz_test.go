package nextcloud

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"example.org/ncm/pkg/contract"
)

// An address that a user typed is refused with words that quote nothing of it, or
// leads to the one question about the login, at that very host and by a protocol
// that is allowed.
func FuzzLoginURL(f *testing.F) {
	f.Add("https://cloud.example/sub/", false)
	f.Fuzz(func(t *testing.T, address string, allowHTTP bool) {
		logins := New(Config{AllowHTTP: allowHTTP})
		req, err := logins.ocs(t.Context(), contract.AccountAuth{URL: address, Login: "alice", Password: "planted-password"}, http.MethodGet, "cloud/user")
		if err != nil {
			if strings.Contains(err.Error(), "planted-password") || len(address) > 12 && strings.Contains(err.Error(), address) {
				t.Errorf("refused %q with %v", address, err)
			}
			return
		}
		typed, err := url.Parse(address)
		if err != nil {
			t.Fatalf("%q is not a URL and was accepted", address)
		}
		u := req.URL
		if u.Scheme != "https" && (u.Scheme != "http" || !allowHTTP) {
			t.Errorf("%q is asked by %s", address, u.Scheme)
		}
		if u.Hostname() != typed.Hostname() || u.Port() != typed.Port() || req.Host != u.Host || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			t.Errorf("%q is asked at %q", address, u)
		}
		if !strings.HasSuffix(u.Path, "/ocs/v2.php/cloud/user") {
			t.Errorf("%q is asked for %q", address, u.Path)
		}
	})
}

// A path in a user's home never leads out of it, whatever its names hold.
func FuzzFileURL(f *testing.F) {
	f.Add("alice", "/Photos/2024 été")
	f.Fuzz(func(t *testing.T, user, filePath string) {
		root := &url.URL{Scheme: "https", Host: "cloud.example", Path: "/sub/"}
		u, err := fileURL(root, user, filePath)
		if err != nil {
			return
		}
		sent, err := url.Parse(u.String())
		if err != nil {
			t.Fatalf("%q is not a URL: %v", u, err)
		}
		home := "/sub/remote.php/dav/files/" + user + "/"
		if sent.Host != "cloud.example" || sent.RawQuery != "" || sent.Fragment != "" || sent.Path != home+strings.Trim(filePath, "/") {
			t.Errorf("%q of %q becomes %q, which is %q", filePath, user, u, sent.Path)
		}
		for name := range strings.SplitSeq(strings.TrimPrefix(sent.Path, "/sub/remote.php/dav/files/"), "/") {
			if name == ".." || name == "." {
				t.Errorf("%q of %q leads to %q", filePath, user, sent.Path)
			}
		}
	})
}

// What a listing calls a child is directly in the folder: deleting it deletes
// nothing else.
func FuzzChildOf(f *testing.F) {
	f.Add("/sub/remote.php/dav/files/alice/Photos/a%20b.txt")
	f.Fuzz(func(t *testing.T, href string) {
		root := &url.URL{Scheme: "https", Host: "cloud.example", Path: "/sub/"}
		folder, err := fileURL(root, "alice", "Photos")
		if err != nil {
			t.Fatal(err)
		}
		name, ok := childOf(folder, href)
		if !ok || name == "" {
			return
		}
		child, err := fileURL(root, "alice", "Photos/"+name)
		if err != nil {
			t.Fatalf("%q is called %q, which cannot be asked for: %v", href, name, err)
		}
		if again, ok := childOf(folder, child.String()); !ok || again != name {
			t.Errorf("%q is called %q, whose own address is called %q, %v", href, name, again, ok)
		}
	})
}
