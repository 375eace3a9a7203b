package instance

import (
	"crypto/sha256"
	"encoding/hex"
	"path"
	"regexp"
	"strings"
	"unicode/utf8"
)

// A name of the source becomes one of the stack by escaping what the stack refuses
// byte by byte: the quote and two upper-case hexadecimal digits. What looks like an
// escape already is escaped too, and so is what looks like a name that was cut, so
// that no two names become the same and all but cut ones can be turned back. The quote is
// one that hardly any name holds: percent signs are common in names that came from
// the web, and these must stay as they are.
const (
	quote = "‛" // U+201B
	cut   = "…" // U+2026
	// hashDigits is how much of the hash of the whole name replaces what was cut.
	hashDigits = 16
)

// Lengths in bytes up to which the file-system backend takes a name; a file's is
// longer on disk while it is written.
const (
	maxFileName   = 246
	maxFolderName = 255
	maxExtension  = 32
)

var (
	// refused is what the stack does not take, wherever it stands in a name.
	refused = strings.NewReplacer("/", escape("/"), "\x00", escape("\x00"), "\r", escape("\r"), "\n", escape("\n"))
	// ambiguous is what looks like an escape or like a cut.
	ambiguous = regexp.MustCompile(quote + "[0-9A-F]{2}|" + cut + "[0-9a-f]{16}")
)

// TargetName is what an entry of the source is called in an instance: as it is,
// wherever the stack takes that. Different names of one kind, file or folder, never
// become the same. An empty name has none.
func TargetName(name string, folder bool) string {
	if name == "." || name == ".." {
		return escape(name)
	}
	target := ambiguous.ReplaceAllStringFunc(name, func(s string) string {
		_, first := utf8.DecodeRuneInString(s)
		return escape(s[:first]) + s[first:]
	})
	target = escapeInvalid(refused.Replace(target))
	limit, ext := maxFolderName, ""
	if !folder {
		limit, ext = maxFileName, extension(target)
	}
	if len(target) <= limit {
		return target
	}
	sum := sha256.Sum256([]byte(name))
	ext = cut + hex.EncodeToString(sum[:])[:hashDigits] + ext
	return headOf(target, limit-len(ext)) + ext
}

// escape writes all bytes as codes.
func escape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		b.WriteString(quote + strings.ToUpper(hex.EncodeToString([]byte{s[i]})))
	}
	return b.String()
}

// escapeInvalid escapes what is not UTF-8: the stack would store something else in
// its place and never find the file again.
func escapeInvalid(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && n == 1 {
			b.WriteString(escape(s[:1]))
		} else {
			b.WriteString(s[:n])
		}
		s = s[n:]
	}
	return b.String()
}

// extension of a file's name, with its dot. What is too long to be one, or all of
// the name, is none.
func extension(name string) string {
	ext := path.Ext(name)
	if len(ext) > maxExtension || ext == name {
		return ""
	}
	return ext
}

// headOf gives the first bytes of s, at most n, in whole characters.
func headOf(s string, n int) string {
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
