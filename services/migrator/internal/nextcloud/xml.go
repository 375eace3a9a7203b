package nextcloud

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"unicode/utf8"
)

// errMalformed is wrapped by everything that is wrong with the text of an answer.
var errMalformed = errors.New("malformed answer")

// errEnds: the answer stops before its last tag.
var errEnds = malformed("ends before its end")

const (
	// xmlWindow is the most that one tag or one text may take: the scanner
	// holds no more than this of an answer at any time.
	xmlWindow = 32 << 10
	// xmlDepth is how deep elements may be nested; a multistatus needs six.
	xmlDepth = 24
)

type tokenKind int

const (
	tokenEnd tokenKind = iota
	tokenStart
	tokenText
	tokenEOF
)

// token is a piece of an XML document. Its bytes live until the next token.
type token struct {
	kind  tokenKind
	space namespace // of a start
	local []byte    // of a start
	text  []byte    // of a text, unescaped
}

// scanner reads the XML that a WebDAV server writes: elements, namespaces, text
// and the five predefined entities. It checks that elements are closed in order
// and refuses what has no place in an answer (DTDs and with them entities of
// the document's own, comments, CDATA, processing instructions), so memory is
// bounded whatever the server sends.
type scanner struct {
	src      io.Reader
	buf      []byte
	pos, end int   // the unread part of buf
	before   int64 // bytes of the document before buf

	open     []byte // names of the open elements, one after the other
	starts   []int  // where in open each begins
	bindings []binding
	empty    bool // the last start was of an empty element
	scratch  []byte
}

func newScanner(src io.Reader) *scanner {
	return &scanner{src: src, buf: make([]byte, xmlWindow)}
}

// offset is how much of the document has been read.
func (s *scanner) offset() int64 { return s.before + int64(s.pos) }

// depth is how many elements are open.
func (s *scanner) depth() int { return len(s.starts) }

// next gives the next token. tokenEOF comes once, after the root element is
// closed; a document that ends before that is an error.
func (s *scanner) next() (token, error) {
	if s.empty {
		s.empty = false
		return s.pop(), nil
	}
	if s.pos == s.end {
		if err := s.fill(); err != nil {
			return s.atEnd(err)
		}
	}
	if s.buf[s.pos] != '<' {
		return s.readText()
	}
	return s.readTag()
}

func (s *scanner) atEnd(err error) (token, error) {
	if !errors.Is(err, io.EOF) {
		return token{}, err
	}
	if s.depth() > 0 {
		return token{}, errEnds
	}
	return token{kind: tokenEOF}, nil
}

func (s *scanner) readText() (token, error) {
	raw, err := s.until('<')
	if err != nil && (s.depth() > 0 || !errors.Is(err, io.EOF)) {
		return s.atEnd(err)
	}
	if s.depth() == 0 {
		if len(trimSpace(raw)) > 0 {
			return token{}, malformed("text outside the document")
		}
		s.pos += len(raw)
		return s.next()
	}
	text, err := s.unescape(raw)
	s.pos += len(raw)
	return token{kind: tokenText, text: text}, err
}

func (s *scanner) readTag() (token, error) {
	first := s.offset() == 0
	raw, err := s.until('>')
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = errEnds
		}
		return token{}, err
	}
	s.pos += len(raw) + 1
	tag := raw[1:]
	switch {
	case len(tag) == 0:
		return token{}, malformed("empty tag")
	case tag[0] == '/':
		return s.endTag(tag[1:])
	case tag[0] == '?' && first:
		if err := checkDeclaration(tag); err != nil {
			return token{}, err
		}
		return s.next()
	case tag[0] == '!' || tag[0] == '?':
		return token{}, malformed("a directive or an instruction")
	default:
		return s.startTag(tag)
	}
}

func (s *scanner) endTag(name []byte) (token, error) {
	if s.depth() > 0 {
		rest, ok := bytes.CutPrefix(name, s.open[s.starts[s.depth()-1]:])
		if ok && len(trimSpace(rest)) == 0 {
			return s.pop(), nil
		}
	}
	return token{}, malformed("an end tag without its start")
}

func (s *scanner) startTag(tag []byte) (token, error) {
	if s.depth() == xmlDepth {
		return token{}, malformed("elements nested too deep")
	}
	if tag[len(tag)-1] == '/' {
		s.empty = true
		tag = tag[:len(tag)-1]
	}
	name, attributes := tag, []byte(nil)
	if i := slices.IndexFunc(tag, isSpace); i >= 0 {
		name, attributes = tag[:i], tag[i:]
	}
	prefix, local, err := splitName(name)
	if err != nil {
		return token{}, err
	}
	s.starts = append(s.starts, len(s.open))
	s.open = append(s.open, name...)
	if err := s.bind(attributes); err != nil {
		return token{}, err
	}
	space, err := s.resolve(prefix)
	return token{kind: tokenStart, space: space, local: local}, err
}

func (s *scanner) pop() token {
	last := s.depth() - 1
	s.open = s.open[:s.starts[last]]
	s.starts = s.starts[:last]
	for n := len(s.bindings); n > 0 && s.bindings[n-1].depth > last; n-- {
		s.bindings = s.bindings[:n-1]
	}
	return token{kind: tokenEnd}
}

// until gives the unread bytes before the delimiter and reads as far as it
// needs to; on an error it gives what there is.
func (s *scanner) until(delimiter byte) ([]byte, error) {
	searched := 0
	for {
		if i := bytes.IndexByte(s.buf[s.pos+searched:s.end], delimiter); i >= 0 {
			return s.buf[s.pos : s.pos+searched+i], nil
		}
		searched = s.end - s.pos
		if err := s.fill(); err != nil {
			return s.buf[s.pos:s.end], err
		}
	}
}

// fill moves the unread bytes to the front and reads more behind them.
func (s *scanner) fill() error {
	if s.pos > 0 {
		s.before += int64(s.pos)
		s.end = copy(s.buf, s.buf[s.pos:s.end])
		s.pos = 0
	}
	if s.end == len(s.buf) {
		return malformed("a tag or text of more than " + strconv.Itoa(xmlWindow) + " bytes")
	}
	n, err := io.ReadAtLeast(s.src, s.buf[s.end:], 1)
	s.end += n
	return err
}

// unescape gives the meaning of a text; it stays in the buffer unless it holds
// something to replace.
func (s *scanner) unescape(raw []byte) ([]byte, error) {
	replace, err := checkText(raw)
	if err != nil || !replace {
		return raw, err
	}
	s.scratch = s.scratch[:0]
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case c == '&':
			end := bytes.IndexByte(raw[i:], ';')
			if end < 0 {
				return nil, malformed("an entity without end")
			}
			r, err := entity(raw[i+1 : i+end])
			if err != nil {
				return nil, err
			}
			s.scratch = utf8.AppendRune(s.scratch, r)
			i += end
		case c != '\r':
			s.scratch = append(s.scratch, c)
		case i+1 == len(raw) || raw[i+1] != '\n':
			s.scratch = append(s.scratch, '\n')
		}
	}
	return s.scratch, nil
}

// checkText tells whether a text has entities or line ends to replace.
func checkText(raw []byte) (replace bool, err error) {
	ascii := true
	for i, c := range raw {
		switch {
		case c >= utf8.RuneSelf:
			ascii = false
		case c == '&' || c == '\r':
			replace = true
		case c < ' ' && c != '\t' && c != '\n':
			return false, malformed("a control character")
		case c == '>' && bytes.HasSuffix(raw[:i], []byte("]]")):
			return false, malformed("the end of a CDATA section")
		}
	}
	if ascii {
		return replace, nil
	}
	for rest := raw; len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		if r == utf8.RuneError && size == 1 || !isXMLChar(r) {
			return false, malformed("a text that is not UTF-8")
		}
		rest = rest[size:]
	}
	return replace, nil
}

func entity(name []byte) (rune, error) {
	switch string(name) {
	case "lt":
		return '<', nil
	case "gt":
		return '>', nil
	case "amp":
		return '&', nil
	case "quot":
		return '"', nil
	case "apos":
		return '\'', nil
	}
	digits, numeric := bytes.CutPrefix(name, []byte("#"))
	base := 10
	if hex, ok := bytes.CutPrefix(digits, []byte("x")); ok {
		digits, base = hex, 16
	}
	n, err := strconv.ParseUint(string(digits), base, 32)
	if !numeric || err != nil || n > utf8.MaxRune || !isXMLChar(rune(n)) {
		return 0, malformed("an unknown entity")
	}
	return rune(n), nil
}

func isXMLChar(r rune) bool {
	return r == '\t' || r == '\n' || r == '\r' ||
		r >= ' ' && r <= 0xD7FF || r >= 0xE000 && r <= 0xFFFD || r >= 0x10000 && r <= utf8.MaxRune
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// trimSpace takes away what XML calls space, which is less than bytes.TrimSpace.
func trimSpace(text []byte) []byte {
	for len(text) > 0 && isSpace(text[0]) {
		text = text[1:]
	}
	for len(text) > 0 && isSpace(text[len(text)-1]) {
		text = text[:len(text)-1]
	}
	return text
}

func malformed(what string) error { return fmt.Errorf("%w: %s", errMalformed, what) }
