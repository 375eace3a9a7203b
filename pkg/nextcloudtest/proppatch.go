package nextcloudtest

import (
	"encoding/xml"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// proppatch sets a favourite, the tags or the time of an entry.
func (s *Server) proppatch(w http.ResponseWriter, q *request) error {
	e, err := q.lookup()
	if err != nil {
		return err
	}
	var update struct {
		Set []struct {
			Prop struct {
				Items []patch `xml:",any"`
			} `xml:"DAV: prop"`
		} `xml:"DAV: set"`
	}
	if err := xml.NewDecoder(io.LimitReader(q.Body, maxBody)).Decode(&update); err != nil {
		return badRequest("The XML body is malformed")
	}
	return s.writeListing(w, q, func(out io.Writer) error {
		l := &listing{req: q, out: out}
		b := append(l.buf, "<d:response><d:href>"...)
		b = append(appendHref(append(b, q.href...), e.path), "</d:href>"...)
		for _, set := range update.Set {
			for _, item := range set.Prop.Items {
				b = q.patched(b, e, item)
			}
		}
		_, err := out.Write(append(b, "</d:response>"...))
		return err
	})
}

type patch struct {
	XMLName xml.Name
	Value   string   `xml:",chardata"`
	Tags    []string `xml:"http://owncloud.org/ns tag"`
}

func (q *request) patched(b []byte, e entry, item patch) []byte {
	status := http.StatusOK
	if !q.apply(e, item) {
		status = http.StatusForbidden
	}
	b = append(b, "<d:propstat><d:prop>"...)
	b = append(b, ask(item.XMLName, nil).none...)
	b = append(b, "</d:prop><d:status>HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(status), 10)
	b = append(b, ' ')
	b = append(b, http.StatusText(status)...)
	return append(b, "</d:status></d:propstat>"...)
}

func (q *request) apply(e entry, item patch) bool {
	value := strings.TrimSpace(item.Value)
	switch item.XMLName {
	case xml.Name{Space: nsOwn, Local: "favorite"}:
		q.home.update(e.path, func(m *meta) { m.favorite = value == "1" || value == "true" })
	case xml.Name{Space: nsOwn, Local: "tags"}:
		q.home.update(e.path, func(m *meta) { m.tags = item.Tags })
	case xml.Name{Space: nsNext, Local: "creation_time"}:
		at, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return false
		}
		q.home.update(e.path, func(m *meta) { m.created = time.Unix(at, 0) })
	case xml.Name{Space: nsDAV, Local: "lastmodified"}, xml.Name{Space: nsDAV, Local: "getlastmodified"}:
		return e.rule == nil && setTime(q.home.disk(e.path), value)
	default:
		return false
	}
	return true
}

// setTime takes unix seconds or an HTTP date.
func setTime(file, value string) bool {
	at, err := http.ParseTime(value)
	if n, numeric := strconv.ParseInt(value, 10, 64); numeric == nil {
		at, err = time.Unix(n, 0), nil
	}
	return err == nil && os.Chtimes(file, at, at) == nil
}
