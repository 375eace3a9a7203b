package nextcloudtest

import "unicode/utf8"

const (
	lowerHex = "0123456789abcdef"
	upperHex = "0123456789ABCDEF"
)

// encodePath encodes a path as the server writes it into hrefs: lower-case
// percent codes, and "/", ":", "@" and parentheses as they are.
func encodePath(p string) string { return string(appendHref(nil, p)) }

func appendHref(b []byte, p string) []byte {
	for i := range len(p) {
		c := p[i]
		if unreserved(c) || c == '/' || c == ':' || c == '@' || c == '(' || c == ')' {
			b = append(b, c)
			continue
		}
		b = append(b, '%', lowerHex[c>>4], lowerHex[c&15])
	}
	return b
}

// encodeName encodes a file name for Content-Disposition.
func encodeName(name string) string {
	var b []byte
	for i := range len(name) {
		if c := name[i]; unreserved(c) {
			b = append(b, c)
		} else {
			b = append(b, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	return string(b)
}

func unreserved(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
		c == '-' || c == '_' || c == '.' || c == '~'
}

// appendText escapes as libxml does: control characters, which XML forbids,
// pass as they are.
func appendText(b []byte, s string) []byte {
	for i := range len(s) {
		switch c := s[i]; c {
		case '&':
			b = append(b, "&amp;"...)
		case '<':
			b = append(b, "&lt;"...)
		case '>':
			b = append(b, "&gt;"...)
		case '"':
			b = append(b, "&quot;"...)
		case '\r':
			b = append(b, "&#13;"...)
		default:
			b = append(b, c)
		}
	}
	return b
}

// appendMessage is appendText for error messages, where quotes stay.
func appendMessage(b []byte, s string) []byte {
	for _, r := range s {
		if r == '"' {
			b = append(b, '"')
			continue
		}
		b = appendText(b, string(utf8.AppendRune(nil, r)))
	}
	return b
}
