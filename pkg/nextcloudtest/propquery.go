package nextcloudtest

import (
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"slices"
)

// asked is one property that a client wants, ready to be written.
type asked struct {
	name             xml.Name
	open, shut, none string
	value            property // nil: no entry has it
	quiet            bool     // an entry without it says nothing
}

// wanted reads which properties a request asks for.
func (s *Server) wanted(r *http.Request) ([]asked, error) {
	names, all, err := readNames(io.LimitReader(r.Body, maxBody), "propfind")
	if err != nil {
		return nil, badRequest("The XML body is malformed")
	}
	if all {
		return allProperties(s.properties), nil
	}
	props := make([]asked, 0, len(names))
	for _, n := range names {
		props = append(props, ask(n, s.properties))
	}
	return props, nil
}

// allProperties is what a request without a body gets, in the server's order.
// What an entry lacks is left out without a word.
func allProperties(table map[xml.Name]property) []asked {
	var props []asked
	for _, local := range []string{
		"getlastmodified", "getcontentlength", "resourcetype", "quota-used-bytes",
		"quota-available-bytes", "getetag", "getcontenttype",
	} {
		p := ask(xml.Name{Space: nsDAV, Local: local}, table)
		p.quiet = true
		props = append(props, p)
	}
	return props
}

func ask(n xml.Name, table map[xml.Name]property) asked {
	tag, decl := n.Local, ""
	switch n.Space {
	case nsDAV:
		tag = "d:" + tag
	case nsOwn:
		tag = "oc:" + tag
	case nsNext:
		tag = "nc:" + tag
	case nsSabre:
		tag = "s:" + tag
	default:
		tag, decl = "x1:"+tag, ` xmlns:x1="`+string(appendText(nil, n.Space))+`"`
	}
	return asked{
		name: n, open: "<" + tag + decl + ">", shut: "</" + tag + ">",
		none: "<" + tag + decl + "/>", value: table[n],
	}
}

// readNames reads the names inside the prop element of a body; all is true for
// an empty body and for allprop.
func readNames(body io.Reader, root string) (names []xml.Name, all bool, err error) {
	d := xml.NewDecoder(body)
	var path []string
	for {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			return names, len(path) == 0 && names == nil, nil
		}
		if err != nil {
			return nil, false, err
		}
		switch t := t.(type) {
		case xml.StartElement:
			path = append(path, t.Name.Local)
			if slices.Equal(path, []string{root, "allprop"}) {
				return nil, true, nil
			}
			if len(path) == 3 && path[1] == "prop" {
				names = append(names, t.Name)
			}
		case xml.EndElement:
			path = path[:len(path)-1]
		}
	}
}
