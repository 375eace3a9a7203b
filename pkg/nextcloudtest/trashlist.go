package nextcloudtest

import (
	"encoding/xml"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
)

// listTrash is PROPFIND in the trashbin.
func (s *Server) listTrash(w http.ResponseWriter, q *request, p string) error {
	names, all, err := readNames(io.LimitReader(q.Body, maxBody), "propfind")
	if err != nil {
		return badRequest("The XML body is malformed")
	}
	if p != "" {
		if _, _, err := q.findTrashed(p); err != nil {
			return err
		}
	}
	return s.writeListing(w, q, func(out io.Writer) error {
		l := &trashListing{req: q, out: out, names: names, all: all}
		return l.write(p, depth(q.Request))
	})
}

type trashListing struct {
	req   *request
	out   io.Writer
	names []xml.Name
	all   bool
}

func (l *trashListing) write(p string, depth int) error {
	children, err := l.respond(p)
	if err != nil || depth <= 0 {
		return err
	}
	for _, child := range children {
		if err := l.write(path.Join(p, child), depth-1); err != nil {
			return err
		}
	}
	return nil
}

// respond writes one entry and gives the names of what is in it.
func (l *trashListing) respond(p string) (children []string, err error) {
	inner := &listing{req: l.req, out: l.out, minimal: minimal(l.req.Request)}
	href := l.req.href + "trash/"
	x := &subject{entry: entry{dir: true}, req: l.req}
	table := bareTrash()
	if p == "" {
		children = l.req.trashNames()
	} else {
		t, info, err := l.req.findTrashed(p)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		x.entry = diskEntry(p, info)
		x.mtime = t.at
		table = trashProperties(l.req, t)
		if x.dir {
			children = dirNames(l.req.trashFile(p))
		}
	}
	for _, n := range l.wanted() {
		a := ask(n, table)
		a.quiet = l.all
		if l.all && a.value == nil {
			continue
		}
		inner.props = append(inner.props, a)
	}
	outer := *l.req
	outer.href = href
	inner.req = &outer
	return children, inner.respond(x)
}

func (l *trashListing) wanted() []xml.Name {
	if !l.all {
		return l.names
	}
	var names []xml.Name
	for _, local := range []string{"getlastmodified", "getcontentlength", "resourcetype", "getetag", "getcontenttype"} {
		names = append(names, xml.Name{Space: nsDAV, Local: local})
	}
	return names
}

func dirNames(dir string) []string {
	f, err := os.Open(dir)
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }()
	names, _ := f.Readdirnames(-1)
	slices.Sort(names)
	return names
}

func bareTrash() map[xml.Name]property {
	return map[xml.Name]property{{Space: nsDAV, Local: "resourcetype"}: func(b []byte, _ *subject) ([]byte, bool) {
		return append(b, "<d:collection/>"...), true
	}}
}

// trashProperties of one entry; etags are those of the trash app: none for
// files, the time for folders, without quotes.
func trashProperties(q *request, t trashed) map[xml.Name]property {
	text := func(s string) property {
		return func(b []byte, _ *subject) ([]byte, bool) { return appendText(b, s), true }
	}
	at := strconv.FormatInt(t.at.Unix(), 10)
	table := make(map[xml.Name]property)
	for local, p := range davProperties() {
		switch local {
		case "getlastmodified", "getcontentlength", "getcontenttype", "resourcetype":
			table[xml.Name{Space: nsDAV, Local: local}] = p
		}
	}
	table[xml.Name{Space: nsDAV, Local: "getetag"}] = func(b []byte, x *subject) ([]byte, bool) {
		if x.dir {
			b = append(b, at...)
		}
		return b, true
	}
	table[xml.Name{Space: nsOwn, Local: "fileid"}] = text(strconv.FormatInt(t.id, 10))
	table[xml.Name{Space: nsOwn, Local: "size"}] = func(b []byte, x *subject) ([]byte, bool) {
		return strconv.AppendInt(b, diskSize(q.trashFile(x.path)), 10), true
	}
	table[xml.Name{Space: nsNext, Local: "trashbin-filename"}] = text(path.Base(t.location))
	table[xml.Name{Space: nsNext, Local: "trashbin-original-location"}] = text(t.location)
	table[xml.Name{Space: nsNext, Local: "trashbin-deletion-time"}] = text(at)
	table[xml.Name{Space: nsNext, Local: "trashbin-title"}] = text(t.location)
	table[xml.Name{Space: nsNext, Local: "trashbin-deleted-by-id"}] = text(t.by)
	return table
}

// diskSize adds up the files below a path.
func diskSize(root string) int64 {
	var sum int64
	_ = filepath.WalkDir(root, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		if info, err := d.Info(); err == nil {
			sum += info.Size()
		}
		return nil
	})
	return sum
}
