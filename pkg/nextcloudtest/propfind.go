package nextcloudtest

import (
	"bufio"
	"compress/gzip"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
)

const (
	multistatusHead = "<?xml version=\"1.0\"?>\n<d:multistatus xmlns:d=\"DAV:\" xmlns:s=\"http://sabredav.org/ns\" xmlns:oc=\"http://owncloud.org/ns\" xmlns:nc=\"http://nextcloud.org/ns\">"
	multistatusTail = "</d:multistatus>"
)

// maxBody bounds what is read of a PROPFIND or PROPPATCH body.
const maxBody = 1 << 20

// propfind lists an entry and what is below it, one response at a time.
func (s *Server) propfind(w http.ResponseWriter, q *request) error {
	props, err := s.wanted(q.Request)
	if err != nil {
		return err
	}
	e, err := q.lookup()
	if err != nil {
		return err
	}
	if e.dir && e.rule == nil {
		if _, err := q.home.names(e.path); err != nil {
			return q.translate(err)
		}
	}
	l := &listing{req: q, props: props, totals: &totals{q.home, make(map[string]total)}, minimal: minimal(q.Request)}
	return s.writeListing(w, q, func(out io.Writer) error {
		l.out = out
		return l.write(e, depth(q.Request), true)
	})
}

// writeListing frames a multistatus. An error after the start can only cut it.
func (s *Server) writeListing(w http.ResponseWriter, q *request, write func(io.Writer) error) error {
	if s.cfg.Profile.Entry > 0 {
		write = s.prepared(q.Request, write)
	}
	h := w.Header()
	s.setListingHeaders(h, q.legacy)
	h["Content-Type"] = []string{typeXML}
	var out io.Writer = w
	if strings.Contains(q.Header.Get("Accept-Encoding"), "gzip") {
		h["Content-Encoding"] = []string{"gzip"}
		zw := gzip.NewWriter(w)
		defer func() { _ = zw.Close() }()
		out = zw
	}
	w.WriteHeader(http.StatusMultiStatus)
	flush(w)
	buf := bufio.NewWriterSize(out, 16<<10)
	_, _ = buf.WriteString(multistatusHead)
	if err := write(buf); err != nil {
		_ = buf.Flush()
		s.log.Debug("listing cut", "error", err)
		return nil
	}
	_, _ = buf.WriteString(multistatusTail)
	_ = buf.Flush() // a client that went away
	return nil
}

func depth(r *http.Request) int {
	switch d := r.Header.Get("Depth"); d {
	case "infinity":
		return math.MaxInt
	case "":
		return 1
	default:
		n, err := strconv.Atoi(d)
		if err != nil {
			return 1
		}
		return n
	}
}

// minimal says whether the client wants no list of what is missing.
func minimal(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Prefer"), "return=minimal") || r.Header.Get("Brief") == "t"
}

// listing writes responses; nil props mean the server's own choice.
type listing struct {
	req     *request
	out     io.Writer
	props   []asked
	totals  *totals
	minimal bool
	buf     []byte
	missing []int
}

// write gives an entry and, as far as depth goes, what is below it.
func (l *listing) write(e entry, depth int, top bool) error {
	x := l.subject(e)
	x.self = top && e.dir && depth > 0
	if err := l.respond(&x); err != nil {
		return err
	}
	if !e.dir || depth <= 0 || x.blank {
		return nil
	}
	if !top && x.mounted && x.mount.Unscanned {
		return nil // only a listing of its own would scan it
	}
	for child, err := range l.req.home.children(e) {
		if errors.Is(err, errPoisoned) && !top {
			return nil // Depth infinity shows such a folder as empty
		}
		if err != nil {
			return err
		}
		if err := l.write(child, depth-1, false); err != nil {
			return err
		}
	}
	return l.req.Context().Err()
}

func (l *listing) subject(e entry) subject {
	x := subject{entry: e, req: l.req, totals: l.totals, meta: l.req.home.meta(e.path)}
	x.mount, x.mountRoot, x.mounted = l.req.home.mountOf(e.path)
	x.blank = l.req.session.noFiles || x.mounted && x.mount.Offline
	return x
}

// respond appends one response element and sends it on.
func (l *listing) respond(x *subject) error {
	b := append(l.buf[:0], "<d:response><d:href>"...)
	b = append(b, l.req.href...)
	b = appendHref(b, x.path)
	if x.dir && x.path != "" {
		b = append(b, '/')
	}
	b = append(b, "</d:href><d:propstat><d:prop>"...)
	b = l.found(b, x)
	b = append(b, "</d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat>"...)
	if len(l.missing) > 0 && !l.minimal {
		b = append(b, "<d:propstat><d:prop>"...)
		for _, i := range l.missing {
			b = append(b, l.props[i].none...)
		}
		b = append(b, "</d:prop><d:status>HTTP/1.1 404 Not Found</d:status></d:propstat>"...)
	}
	b = append(b, "</d:response>"...)
	l.buf = b
	_, err := l.out.Write(b)
	return err
}

// found appends the properties that the entry has and notes the others.
func (l *listing) found(b []byte, x *subject) []byte {
	l.missing = l.missing[:0]
	for i, p := range l.props {
		if p.value == nil {
			l.missing = append(l.missing, i)
			continue
		}
		at := len(b)
		b = append(b, p.open...)
		from := len(b)
		var ok bool
		b, ok = p.value(b, x)
		switch {
		case !ok:
			b = b[:at]
			if !p.quiet {
				l.missing = append(l.missing, i)
			}
		case len(b) == from:
			b = append(b[:at], p.none...)
		default:
			b = append(b, p.shut...)
		}
	}
	return b
}

// propfindBare lists a collection of which only the type can be seen.
func (s *Server) propfindBare(w http.ResponseWriter, q *request, kind string) error {
	names, all, err := readNames(io.LimitReader(q.Body, maxBody), "propfind")
	if err != nil {
		return badRequest("The XML body is malformed")
	}
	resource := xml.Name{Space: nsDAV, Local: "resourcetype"}
	if all {
		names = []xml.Name{resource}
	}
	table := map[xml.Name]property{resource: func(b []byte, _ *subject) ([]byte, bool) {
		return append(b, kind...), true
	}}
	l := &listing{req: q, minimal: minimal(q.Request)}
	for _, n := range names {
		l.props = append(l.props, ask(n, table))
	}
	return s.writeListing(w, q, func(out io.Writer) error {
		l.out = out
		return l.respond(&subject{entry: entry{dir: true}, req: q})
	})
}
