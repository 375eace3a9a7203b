package nextcloud

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
)

// maxResponse is the most bytes of a multistatus from the end of one response
// to the end of the next: neither may go on for ever.
const maxResponse = 256 << 10

// response is what a multistatus says of one resource.
type response struct {
	href   []byte
	status int // of the resource as a whole, where it is not in propstats; else 0
	found  bool
	lost   int // the gravest status of a propstat that is not 200
	properties
}

// failure is the status that makes the response useless, 0 when it is not.
func (r *response) failure() int {
	status := r.status
	if status == 0 && !r.found {
		status = r.lost
	}
	switch status {
	case http.StatusOK:
		return 0
	case http.StatusUnauthorized:
		// Inside an answer this can't be about our login: the answer came.
		return http.StatusForbidden
	}
	return status
}

// mute tells a response that says nothing, not even that the resource is gone:
// 404 in a propstat is about properties only.
func (r *response) mute() bool {
	return !r.found && r.status == 0 && (r.lost == 0 || r.lost == http.StatusNotFound)
}

// multistatus reads a WebDAV answer response by response, in memory that does
// not grow with the answer.
type multistatus struct {
	*scanner
	current response
	value   []byte
	mark    int64 // offset of the end of the last response
}

// decodeMultistatus calls visit for each response in order; the response is
// valid during the call. It returns nil only when the document was read to its
// well-formed end, and errors of visit as they are.
func decodeMultistatus(r io.Reader, visit func(*response) error) error {
	m := &multistatus{scanner: newScanner(r)}
	root, err := m.next()
	if err != nil {
		return err
	}
	if root.kind != tokenStart || !root.is(spaceDAV, "multistatus") {
		return malformed("not a multistatus")
	}
	err = m.children(func(t token) error {
		if !t.is(spaceDAV, "response") {
			return m.skip()
		}
		if err := m.response(); err != nil {
			return err
		}
		m.mark = m.offset()
		return visit(&m.current)
	})
	if err != nil {
		return err
	}
	return m.finish()
}

// finish wants nothing behind the root element.
func (m *multistatus) finish() error {
	t, err := m.next()
	if err == nil && t.kind != tokenEOF {
		err = malformed("something behind the document")
	}
	return err
}

// response reads the response just opened.
func (m *multistatus) response() error {
	r := &m.current
	*r = response{href: r.href[:0], properties: unknown}
	err := m.children(func(t token) error {
		switch {
		case t.is(spaceDAV, "href") && len(r.href) > 0:
			return malformed("a response with two addresses")
		case t.is(spaceDAV, "href"):
			text, err := m.text()
			r.href = append(r.href, text...)
			return err
		case t.is(spaceDAV, "status"):
			text, err := m.text()
			r.status = parseStatus(text)
			return err
		case t.is(spaceDAV, "propstat"):
			return m.propstat(r)
		}
		return m.skip()
	})
	if err == nil && (len(r.href) == 0 || r.mute()) {
		err = malformed("a response without address or properties")
	}
	return err
}

// propstat keeps the properties of the propstat just opened if it is the one of
// those that the server found. The status may come before or after them.
func (m *multistatus) propstat(r *response) error {
	status, found := 0, unknown
	err := m.children(func(t token) error {
		switch {
		case t.is(spaceDAV, "status"):
			text, err := m.text()
			status = parseStatus(text)
			return err
		case t.is(spaceDAV, "prop"):
			return m.children(func(t token) error { return m.property(t, &found) })
		}
		return m.skip()
	})
	switch {
	case err != nil:
		return err
	case status == 0:
		return malformed("properties without status")
	case status == http.StatusOK && r.found:
		return malformed("properties found twice")
	case status == http.StatusOK:
		r.found, r.properties = true, found
	default:
		r.lost = max(r.lost, status)
	}
	return nil
}

// property reads one property: its text, or what it is made of.
func (m *multistatus) property(t token, into *properties) error {
	switch key := t.property(); key {
	case propertyOther:
		return m.skip()
	case propertyType:
		return m.children(func(t token) error {
			into.collection = into.collection || t.is(spaceDAV, "collection")
			return m.skip()
		})
	case propertyChecksums:
		return m.children(func(t token) error {
			if !t.is(spaceOC, "checksum") {
				return m.skip()
			}
			text, err := m.text()
			if err == nil {
				err = into.addChecksum(text)
			}
			return err
		})
	case propertyTags:
		return m.children(func(t token) error {
			if !t.is(spaceOC, "tag") && !t.is(spaceNC, "system-tag") {
				return m.skip()
			}
			text, err := m.text()
			if err == nil {
				err = into.addTag(text)
			}
			return err
		})
	default:
		text, err := m.text()
		if err == nil && len(text) > maxProperty {
			err = malformed("a property of more than " + strconv.Itoa(maxProperty) + " bytes")
		}
		if err == nil {
			into.set(key, text)
		}
		return err
	}
}

// children calls visit for the start of each child of the element just opened;
// visit reads it to its end. Text between children is passed over.
func (m *multistatus) children(visit func(token) error) error {
	for {
		t, err := m.token()
		if err != nil {
			return err
		}
		switch t.kind {
		case tokenStart:
			if err := visit(t); err != nil {
				return err
			}
		case tokenEnd:
			return nil
		}
	}
}

// text gives the text of the element just opened, until the next call. Elements
// in it are passed over: a Nextcloud has been seen to send a date as a tree.
func (m *multistatus) text() ([]byte, error) {
	m.value = m.value[:0]
	for {
		t, err := m.token()
		if err != nil {
			return nil, err
		}
		switch t.kind {
		case tokenText:
			m.value = append(m.value, t.text...)
		case tokenStart:
			err = m.skip()
		case tokenEnd:
			return trimSpace(m.value), nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// skip reads the element just opened to its end.
func (m *multistatus) skip() error {
	return m.children(func(token) error { return m.skip() })
}

// token is next within the limit of one response.
func (m *multistatus) token() (token, error) {
	t, err := m.next()
	if err == nil && m.offset()-m.mark > maxResponse {
		err = malformed("a response of more than " + strconv.Itoa(maxResponse) + " bytes")
	}
	return t, err
}

func (t token) is(space namespace, local string) bool {
	return t.space == space && string(t.local) == local
}

// parseStatus takes the code out of "HTTP/1.1 200 OK"; 0 if there is none.
func parseStatus(line []byte) int {
	_, rest, _ := bytes.Cut(line, []byte(" "))
	digits, _, _ := bytes.Cut(rest, []byte(" "))
	code, err := strconv.Atoi(string(digits))
	if err != nil || code < 100 || code > 599 {
		return 0
	}
	return code
}
