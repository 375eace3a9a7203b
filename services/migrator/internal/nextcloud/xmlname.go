package nextcloud

import "bytes"

// namespace is one of the namespaces that we know properties in.
type namespace int

const (
	spaceOther namespace = iota
	spaceDAV
	spaceOC
	spaceNC
)

func namespaceOf(uri []byte) namespace {
	switch string(uri) {
	case "DAV:":
		return spaceDAV
	case "http://owncloud.org/ns":
		return spaceOC
	case "http://nextcloud.org/ns":
		return spaceNC
	}
	return spaceOther
}

// binding is what a prefix means inside the element at depth and below.
type binding struct {
	prefix string
	space  namespace
	depth  int
}

// resolve finds the innermost meaning of a prefix.
func (s *scanner) resolve(prefix []byte) (namespace, error) {
	for i := len(s.bindings) - 1; i >= 0; i-- {
		if s.bindings[i].prefix == string(prefix) {
			return s.bindings[i].space, nil
		}
	}
	if len(prefix) > 0 {
		return spaceOther, malformed("a prefix without namespace")
	}
	return spaceOther, nil
}

// bind reads the attributes of the element just opened and keeps the
// namespaces they declare.
func (s *scanner) bind(attributes []byte) error {
	for {
		attributes = trimSpace(attributes)
		if len(attributes) == 0 {
			return nil
		}
		name, value, rest, err := cutAttribute(attributes)
		if err != nil {
			return err
		}
		uri, err := s.unescape(value)
		if err != nil {
			return err
		}
		prefix, local, err := splitName(name)
		switch {
		case err != nil:
			return err
		case string(prefix) == "xmlns":
			s.bindings = append(s.bindings, binding{string(local), namespaceOf(uri), s.depth()})
		case len(prefix) == 0 && string(local) == "xmlns":
			s.bindings = append(s.bindings, binding{"", namespaceOf(uri), s.depth()})
		}
		if len(s.bindings) > 4*xmlDepth {
			return malformed("too many namespaces")
		}
		attributes = rest
	}
}

// cutAttribute takes name="value" off the front. A ">" inside the value is
// legal XML, but ended the tag before we came here: it shows as a quote that is
// never closed.
func cutAttribute(attributes []byte) (name, value, rest []byte, err error) {
	name, rest, found := bytes.Cut(attributes, []byte("="))
	rest = trimSpace(rest)
	if !found || len(rest) == 0 || rest[0] != '"' && rest[0] != '\'' {
		return nil, nil, nil, malformed("an attribute without value")
	}
	value, rest, found = bytes.Cut(rest[1:], rest[:1])
	if !found || bytes.IndexByte(value, '<') >= 0 {
		return nil, nil, nil, malformed("an attribute without end")
	}
	return trimSpace(name), value, rest, nil
}

// splitName takes prefix and local name apart. Names outside ASCII are legal
// XML, but no property that a server sends has one.
func splitName(name []byte) (prefix, local []byte, err error) {
	local = name
	if i := bytes.IndexByte(name, ':'); i >= 0 {
		prefix, local = name[:i], name[i+1:]
		if !isName(prefix) {
			return nil, nil, malformed("a wrong name")
		}
	}
	if !isName(local) {
		return nil, nil, malformed("a wrong name")
	}
	return prefix, local, nil
}

func isName(name []byte) bool {
	for i, c := range name {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '_':
		case i > 0 && (c >= '0' && c <= '9' || c == '-' || c == '.'):
		default:
			return false
		}
	}
	return len(name) > 0
}

// checkDeclaration takes <?xml … ?> of a document in UTF-8, nothing else.
func checkDeclaration(tag []byte) error {
	body, isXML := bytes.CutPrefix(tag, []byte("?xml "))
	body, closed := bytes.CutSuffix(body, []byte("?"))
	if !isXML || !closed {
		return malformed("a wrong XML declaration")
	}
	for body = trimSpace(body); len(body) > 0; body = trimSpace(body) {
		name, value, rest, err := cutAttribute(body)
		if err != nil {
			return err
		}
		wrong := string(name) == "version" && string(value) != "1.0" ||
			string(name) == "encoding" && !bytes.EqualFold(value, []byte("utf-8"))
		if wrong {
			return malformed("not XML 1.0 in UTF-8")
		}
		body = rest
	}
	return nil
}
