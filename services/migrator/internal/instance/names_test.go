package instance_test

import (
	"encoding/hex"
	"path"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"example.org/ncm/services/migrator/internal/instance"
)

func TestTargetNameKeepsWhatTheStackTakes(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"a.txt", "caf\u00e9", "cafe\u0301", "CAFE", " lead", "trail ", "trail.", "...", "..dots", ".hidden", "%2F", "100%25", "Pr%E4sentation.pdf",
		"tab\there", "\x01ctl", "\u202eevil", "\u200bzero", `back\slash`, `a:b*?"<>|`, ".htaccess", "note.cozy-note", "link.url",
		"‛quoted’", "‛0a", "wait…", "…0123456789abcdeF", strings.Repeat("x", 246), strings.Repeat("é", 123),
	} {
		for _, folder := range []bool{false, true} {
			if got := instance.TargetName(name, folder); got != name {
				t.Errorf("%q becomes %q", name, got)
			}
		}
	}
	if name := strings.Repeat("x", 255); instance.TargetName(name, true) != name {
		t.Error("a folder's name of 255 bytes is changed")
	}
}

func TestTargetNameChangesWhatTheStackRefuses(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 124) // 248 bytes
	for name, want := range map[string]string{
		".": "‛2E", "..": "‛2E‛2E", "a\nb": "a‛0Ab", "a\r\nb": "a‛0D‛0Ab", "a/b": "a‛2Fb", "a\x00": "a‛00", "bad\xff\xfe": "bad‛FF‛FE",
		"‛0A":                          "‛E2‛80‛9B0A",
		"x…0123456789abcdef.txt":       "x‛E2‛80‛A60123456789abcdef.txt",
		long + ".txt":                  strings.Repeat("é", 111) + "…" + "e3abf7a3303dd7e0" + ".txt",
		long:                           strings.Repeat("é", 113) + "…" + "522cd151733bb092",
		"." + strings.Repeat("x", 250): "." + strings.Repeat("x", 226) + "…" + "bcacd04ae83a2df9",
	} {
		if got := instance.TargetName(name, false); got != want {
			t.Errorf("%q becomes %q, want %q", name, got, want)
		}
	}
	if got := instance.TargetName(long+"\n.pdf", false); path.Ext(got) != ".pdf" || len(got) > 246 {
		t.Errorf("%q is too long or has another extension", got)
	}
}

// Any set of names maps to as many names that the stack takes, and back.
func TestNamesNeverCollideAndComeBack(t *testing.T) {
	t.Parallel()
	// What is special to the rule comes often, so that it meets itself.
	piece := rapid.OneOf(
		rapid.SampledFrom([]string{
			"‛", "…", "‛0A", "‛2E", "‛E2‛80‛9B", "0123456789abcdef", "0", "A", "a", ".", "..", ".txt", "/", "\n", "\r", "\x00",
			"\xff", "\xe2", "\x80", "é", "e\u0301", "E", "%2F", " ", "😀", strings.Repeat("x", 120), strings.Repeat("é", 60),
		}),
		rapid.String(),
	)
	name := rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(piece, 1, 6).Draw(t, "pieces"), "")
	}).Filter(func(s string) bool { return s != "" })
	rapid.Check(t, func(t *rapid.T) {
		folder := rapid.Bool().Draw(t, "folder")
		limit := 246
		if folder {
			limit = 255
		}
		sources := map[string]string{}
		names := rapid.SliceOfNDistinct(name, 1, 20, rapid.ID[string]).Draw(t, "names")
		for _, name := range names {
			// A rerun meets what an earlier run left: names of the target are drawn
			// as names of the source, too.
			for _, name := range []string{name, instance.TargetName(name, folder)} {
				target := instance.TargetName(name, folder)
				if target == "" || target == "." || target == ".." || strings.ContainsAny(target, "/\x00\r\n") ||
					!utf8.ValidString(target) || len(target) > limit {
					t.Fatalf("%q becomes %q, which the stack does not take", name, target)
				}
				if other, taken := sources[target]; taken && other != name {
					t.Fatalf("%q and %q both become %q", other, name, target)
				}
				sources[target] = name
				back, ok := sourceName(target)
				if ok && back != name {
					t.Fatalf("%q becomes %q and comes back as %q", name, target, back)
				}
				if !ok && len(target) < limit-40 {
					t.Fatalf("%q was cut to %q for nothing", name, target)
				}
			}
		}
	})
}

var (
	escaped = regexp.MustCompile("\u201b[0-9A-F]{2}")
	wasCut  = regexp.MustCompile("\u2026[0-9a-f]{16}")
)

// sourceName is the way back; false where a name was cut and only the ledger knows
// it.
func sourceName(target string) (name string, ok bool) {
	if wasCut.MatchString(target) {
		return "", false
	}
	return escaped.ReplaceAllStringFunc(target, func(s string) string {
		code, _ := hex.DecodeString(s[len(s)-2:])
		return string(code)
	}), true
}
