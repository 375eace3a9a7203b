package nextcloud_test

import (
	"net/url"
	"strings"
	"testing"

	"example.org/ncm/services/trigger/internal/nextcloud"
)

func TestChildOfTakesOnlyWhatIsDirectlyInTheFolder(t *testing.T) {
	t.Parallel()
	const self = "/nc/remote.php/dav/files/joe%20%40home/"
	for href, want := range map[string]string{
		self:                                     "",
		strings.TrimSuffix(self, "/"):            "",
		"/nc/remote.php/dav/files/joe%20@home":   "",
		self + "a":                               "a",
		self + "a/":                              "a",
		self + "caf%c3%a9%20%25":                 "café %",
		"https://CLOUD.example:443" + self + "a": "a",
		self + "../a":                            "refused",
		self + "%2e%2e":                          "refused",
		self + "..":                              "refused",
		self + "..%2fbob":                        "refused",
		self + "a/b":                             "refused",
		self + "a%2Fb":                           "refused",
		self + "%00":                             "refused",
		self + "%ff":                             "refused",
		self + "%zz":                             "refused",
		self + "a?b":                             "refused",
		self + "a#b":                             "refused",
		"http://cloud.example" + self + "a":      "refused",
		"https://evil.example" + self + "a":      "refused",
		"https://u@cloud.example" + self + "a":   "refused",
		"//cloud.example" + self + "a":           "refused",
		"/remote.php/dav/files/joe%20@home/a":    "refused",
		"/nc/remote.php/dav/files/bob/a":         "refused",
		"/nc/remote.php/dav/files/":              "refused",
		"a":                                      "refused",
		"":                                       "refused",
	} {
		got, ok := nextcloud.ChildOf(folder(t), href)
		if !ok {
			got = "refused"
		}
		if got != want {
			t.Errorf("%q is %q, want %q", href, got, want)
		}
	}
}

func folder(t testing.TB) *url.URL {
	t.Helper()
	u, err := url.Parse("https://cloud.example/nc/remote.php/dav/files/joe%20@home/")
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// FuzzListedAddresses wants that what is deleted is in the folder, whatever a
// server lists.
func FuzzListedAddresses(f *testing.F) {
	for _, seed := range []string{"/nc/remote.php/dav/files/joe%20@home/a", "//x/y", "https://cloud.example/nc/remote.php/dav/files/joe%20%40home/%2e%2e/x", "?", "%"} {
		f.Add(seed)
	}
	home := folder(f)
	f.Fuzz(func(t *testing.T, href string) {
		name, ok := nextcloud.ChildOf(home, href)
		if !ok || name == "" {
			return
		}
		target := nextcloud.FileURL(home, "joe @home", name)
		parsed, err := url.Parse(target)
		if err != nil {
			t.Fatalf("%q becomes %q: %v", href, target, err)
		}
		below, ok := strings.CutPrefix(parsed.EscapedPath(), "/nc/remote.php/dav/files/joe%20@home/")
		if !ok || strings.Contains(below, "/") || parsed.Host != home.Host || parsed.RawQuery != "" || parsed.Fragment != "" ||
			below == "." || below == ".." || parsed.Path != home.Path+name {
			t.Errorf("%q becomes %q", href, target)
		}
	})
}
