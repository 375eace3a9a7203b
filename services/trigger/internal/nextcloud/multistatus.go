package nextcloud

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// maxListing is what is read of one listing; an entry has about half a kilobyte.
const maxListing = 32 << 20

// errMalformed means that a listing is cut or is not one: what it names is not
// all that there is.
var errMalformed = errors.New("malformed listing")

// response is what a multistatus says of one resource, as far as it is used.
type response struct {
	Href     string     `xml:"DAV: href"`
	Propstat []propstat `xml:"DAV: propstat"`
}

type propstat struct {
	Status string     `xml:"DAV: status"`
	Prop   properties `xml:"DAV: prop"`
}

type properties struct {
	ETag string `xml:"DAV: getetag"`
	Type struct {
		Collection *struct{} `xml:"DAV: collection"`
	} `xml:"DAV: resourcetype"`
	FileID      string `xml:"http://owncloud.org/ns fileid"`
	Size        string `xml:"http://owncloud.org/ns size"`
	Permissions string `xml:"http://owncloud.org/ns permissions"`
	Folders     string `xml:"http://nextcloud.org/ns contained-folder-count"`
	Files       string `xml:"http://nextcloud.org/ns contained-file-count"`
}

const propfindBody = `<?xml version="1.0"?>` +
	`<d:propfind xmlns:d="DAV:" xmlns:oc="http://owncloud.org/ns" xmlns:nc="http://nextcloud.org/ns"><d:prop>` +
	`<d:getetag/><d:resourcetype/><oc:fileid/><oc:size/><oc:permissions/>` +
	`<nc:contained-folder-count/><nc:contained-file-count/></d:prop></d:propfind>`

// found are the properties that the resource has; the others come with another
// status.
func (r *response) found() (properties, bool) {
	for _, p := range r.Propstat {
		if strings.Contains(p.Status, " 200 ") {
			return p.Prop, true
		}
	}
	return properties{}, false
}

// absent tells an entry that the server shows without having it: the home of a
// login without the right to files, or a storage that is away. Both look empty.
func (p *properties) absent() bool {
	return strings.Trim(p.ETag, `"`) == "" || p.FileID == "" || strings.HasPrefix(p.FileID, "-")
}

func (p *properties) folder() bool { return p.Type.Collection != nil }

// count reads a number that may be missing; negative ones mean unknown.
func count(text string) *int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return nil
	}
	return &n
}

// readMultistatus calls visit for each response. It returns nil only when the
// document was read to its well-formed end, within the bytes given.
func readMultistatus(body io.Reader, most int64, visit func(*response) error) error {
	d := xml.NewDecoder(io.LimitReader(body, most))
	root, err := nextElement(d)
	if err != nil || root == nil || root.Name != (xml.Name{Space: "DAV:", Local: "multistatus"}) {
		return fmt.Errorf("%w: no multistatus", errors.Join(errMalformed, err))
	}
	for {
		element, err := nextElement(d)
		switch {
		case err != nil:
			return errors.Join(errMalformed, err)
		case element == nil: // the end of the multistatus
			return atEnd(d)
		}
		var r response
		if err := d.DecodeElement(&r, element); err != nil {
			return errors.Join(errMalformed, err)
		}
		if element.Name != (xml.Name{Space: "DAV:", Local: "response"}) {
			continue
		}
		if err := visit(&r); err != nil {
			return err
		}
	}
}

// nextElement gives the next start of an element, or nil at the end of the one
// around it.
func nextElement(d *xml.Decoder) (*xml.StartElement, error) {
	for {
		token, err := d.Token()
		if err != nil {
			return nil, err //nolint:wrapcheck // the caller names what is read
		}
		switch t := token.(type) {
		case xml.StartElement:
			return &t, nil
		case xml.EndElement:
			return nil, nil //nolint:nilnil // no element is left
		case xml.Directive:
			return nil, errors.New("a document type")
		}
	}
}

// atEnd wants nothing but space behind the document.
func atEnd(d *xml.Decoder) error {
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return errors.Join(errMalformed, err)
		}
		if text, ok := token.(xml.CharData); !ok || strings.TrimSpace(string(text)) != "" {
			return fmt.Errorf("%w: more behind its end", errMalformed)
		}
	}
}
