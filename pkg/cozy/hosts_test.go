package cozy_test

import (
	"errors"
	"strings"
	"testing"

	"example.org/ncm/pkg/cozy"
)

func TestHostsAllowsOnlyInstancesBelowItsSuffixes(t *testing.T) {
	t.Parallel()
	hosts, err := cozy.NewHosts([]string{
		"Cozy.Example", ".below.example", "localhost:8080", "any.test:*", "192.0.2.1", "[2001:db8::1]:8443", " ", "",
	})
	if err != nil {
		t.Fatal(err)
	}
	for in, want := range map[string]string{
		"alice.cozy.example":      "alice.cozy.example",
		"ALICE.Cozy.example":      "alice.cozy.example",
		"a.b.cozy.example":        "a.b.cozy.example",
		"app--alice.cozy.example": "app--alice.cozy.example",
		"cozy.example":            "cozy.example",
		"bücher.cozy.example":     "xn--bcher-kva.cozy.example",
		"alice。cozy。example":      "alice.cozy.example",
		"alice.below.example":     "alice.below.example",
		"alice.localhost:8080":    "alice.localhost:8080",
		"localhost:8080":          "localhost:8080",
		"x.any.test:1":            "x.any.test:1",
		"x.any.test":              "x.any.test",
		"192.0.2.1":               "192.0.2.1",
		"[2001:DB8:0::1]:8443":    "[2001:db8::1]:8443",

		"":                                           "",
		".cozy.example":                              "",
		"evil-cozy.example":                          "",
		"cozy.example.evil.test":                     "",
		"alice.cozy.example.":                        "",
		"alice.cozy.example:443":                     "",
		"alice.cozy.example:":                        "",
		"alice..cozy.example":                        "",
		"alice@cozy.example":                         "",
		"evil.test/.cozy.example":                    "",
		"evil.test#.cozy.example":                    "",
		"evil.test\\.cozy.example":                   "",
		"evil.test?x.cozy.example":                   "",
		"[alice.cozy.example]":                       "",
		"[alice.localhost]:8080":                     "",
		"user:pw@alice.localhost:8080":               "",
		"ali_ce.cozy.example":                        "",
		"-alice.cozy.example":                        "",
		"below.example":                              "",
		"alice.localhost":                            "",
		"alice.localhost:8081":                       "",
		"alice.localhost:08080":                      "",
		"alice.localhost:808０":                       "",
		"192.0.2.2":                                  "",
		"192.0.2.1:80":                               "",
		"3221225985":                                 "",
		"0xc0000201":                                 "",
		"a.192.0.2.1":                                "",
		"[fe80::1%eth0]":                             "",
		"alice.cozy.example\x00":                     "",
		"alice .cozy.example":                        "",
		strings.Repeat("a", 64) + ".cozy.example":    "",
		strings.Repeat("a.", 130) + ".cozy.example":  "",
		"xn--\xff.cozy.example":                      "",
		"http://alice.cozy.example":                  "",
		"alice.cozy.example\r\nHost: evil.test":      "",
		"alice.cozy.example,evil.test.cozy.example":  "",
		"alice.cozy.example:8080.cozy.example":       "",
		"\u202ealice.cozy.example":                   "",
		"alice.cozy.example%2eevil.test.cozyexample": "",
	} {
		got, err := hosts.Check(in)
		if got != want || (want == "") != (err != nil) {
			t.Errorf("Check(%q) = %q, %v; want %q", in, got, err, want)
		}
		if want == "" && !errors.Is(err, cozy.ErrHostRefused) {
			t.Errorf("Check(%q): error %v does not wrap ErrHostRefused", in, err)
		}
	}
}

func TestHostsWithoutSuffixesRefusesAll(t *testing.T) {
	t.Parallel()
	empty, err := cozy.NewHosts(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, hosts := range []cozy.Hosts{{}, empty} {
		if got, err := hosts.Check("alice.cozy.example"); err == nil {
			t.Errorf("got %q, want a refusal", got)
		}
	}
}

func TestNewHostsRefusesWhatIsNoSuffix(t *testing.T) {
	t.Parallel()
	for _, suffix := range []string{"https://cozy.example", "*.cozy.example", "cozy.example:0", "a b", ".192.0.2.1", "cozy..example"} {
		if _, err := cozy.NewHosts([]string{suffix}); err == nil {
			t.Errorf("NewHosts(%q) succeeded", suffix)
		}
	}
}

func FuzzHostsCheck(f *testing.F) {
	for _, seed := range []string{
		"alice.cozy.example", "evil-cozy.example", "bücher.cozy.example", "alice.localhost:8080",
		"[::1]:80", "192.0.2.1", "a@b.cozy.example", "alice。cozy.example",
	} {
		f.Add(seed)
	}
	hosts, err := cozy.NewHosts([]string{"cozy.example", "localhost:8080", "192.0.2.1"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, in string) {
		got, err := hosts.Check(in)
		if err != nil {
			return
		}
		name, port, _ := strings.Cut(got, ":")
		known := name == "cozy.example" || strings.HasSuffix(name, ".cozy.example") || name == "192.0.2.1"
		if port == "8080" {
			known = name == "localhost" || strings.HasSuffix(name, ".localhost")
		} else if port != "" {
			known = false
		}
		if !known || strings.Trim(got, "abcdefghijklmnopqrstuvwxyz0123456789.-:") != "" {
			t.Fatalf("Check(%q) = %q", in, got)
		}
		if again, err := hosts.Check(got); err != nil || again != got {
			t.Fatalf("Check(%q) = %q, %v; not stable", got, again, err)
		}
	})
}
