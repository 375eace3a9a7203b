package nextcloudtest

import (
	"compress/gzip"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// get answers GET and HEAD of a file or folder.
func (s *Server) get(w http.ResponseWriter, q *request) error {
	e, err := q.lookup()
	if err != nil {
		return err
	}
	if e.dir {
		return s.getFolder(w, q, e)
	}
	m := q.home.meta(e.path)
	if err := q.mayRead(e, m); err != nil {
		return err
	}
	etag := `"` + fileETag(e, m) + `"`
	done, err := preconditions(w, q.Request, e, etag)
	if done || err != nil {
		return err
	}
	part, err := requestedPart(q.Request, e, etag)
	if err != nil {
		setValidators(w.Header(), e, etag)
		return err
	}
	q.home.reading(e.path, 1)
	defer q.home.reading(e.path, -1)
	return s.sendFile(w, q, e, m, part)
}

// mayRead checks what makes the server refuse a file that is listed.
func (q *request) mayRead(e entry, m meta) error {
	mount, root, mounted := q.home.mountOf(e.path)
	switch {
	case mounted && mount.Offline && !root:
		return notAvailable(mount)
	case mounted && mount.NoDownload, e.rule != nil && e.rule.closed:
		return errNoDownload
	case m.gone:
		return unavailable("Could not open file: " + e.path + ", file doesn't seem to exist")
	case m.lock.Exclusive && q.Method == http.MethodGet:
		return fileLocked(e.path, "exclusive")
	default:
		return nil
	}
}

// part is what of a file is sent.
type part struct {
	from, length int64
	partial      bool
}

func (s *Server) sendFile(w http.ResponseWriter, q *request, e entry, m meta, p part) error {
	f, err := q.home.open(e)
	if err != nil {
		return q.translate(err)
	}
	defer func() { _ = f.Close() }()
	h := w.Header()
	s.setFileHeaders(h, q, e, m)
	if !p.partial && e.size >= gzipMin && compresses(contentType(e.name())) {
		h["Vary"] = []string{"Accept-Encoding"}
	}
	if s.gzips(q.Request, e, p) {
		return sendGzipped(w, q.Request, s.paced(q.Request, f))
	}
	status := http.StatusOK
	if p.partial {
		status = http.StatusPartialContent
		h.Set("Content-Range", "bytes "+strconv.FormatInt(p.from, 10)+"-"+
			strconv.FormatInt(p.from+p.length-1, 10)+"/"+strconv.FormatInt(e.size, 10))
	}
	if e.size > 0 { // an empty file has no Content-Length
		h["Content-Length"] = []string{strconv.FormatInt(p.length, 10)}
	}
	w.WriteHeader(status)
	if e.size == 0 {
		flush(w)
		return nil
	}
	if q.Method == http.MethodHead {
		return nil
	}
	if p.from > 0 {
		if _, err := f.Seek(p.from, io.SeekStart); err != nil {
			return q.translate(err)
		}
	}
	_, _ = io.CopyN(w, s.paced(q.Request, f), p.length) // cut short when the file shrinks or the client leaves
	return nil
}

func (s *Server) setFileHeaders(h http.Header, q *request, e entry, m meta) {
	name := encodeName(e.name())
	etag := `"` + fileETag(e, m) + `"`
	h["Content-Type"] = []string{sentType(e.name())}
	setValidators(h, e, etag)
	h["Oc-Etag"] = []string{etag}
	h["Content-Disposition"] = []string{"attachment; filename*=UTF-8''" + name + `; filename="` + name + `"`}
	if sum := q.home.checksum(e, m); sum != "" {
		h["Oc-Checksum"] = []string{sum}
		if q.Method == http.MethodHead { // twice, as recorded
			h["Oc-Checksum"] = []string{sum, sum}
		}
	}
}

func setValidators(h http.Header, e entry, etag string) {
	h["Etag"] = []string{etag}
	h["Last-Modified"] = []string{e.mtime.UTC().Format(httpTime)}
}

func (s *Server) gzips(r *http.Request, e entry, p part) bool {
	return !p.partial && e.size >= gzipMin && r.Method == http.MethodGet &&
		strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") && compresses(contentType(e.name()))
}

// sendGzipped loses the length and weakens the etag, as nginx does.
func sendGzipped(w http.ResponseWriter, r *http.Request, f io.Reader) error {
	h := w.Header()
	h["Etag"] = []string{"W/" + h.Get("Etag")}
	h["Content-Encoding"] = []string{"gzip"}
	w.WriteHeader(http.StatusOK)
	flush(w)
	zw := gzip.NewWriter(w)
	if _, err := io.Copy(zw, f); err != nil {
		return nil // the client left
	}
	_ = zw.Close()
	return nil
}

// getFolder is empty but for clients that ask for an archive.
func (s *Server) getFolder(w http.ResponseWriter, q *request, e entry) error {
	if kind := archiveKind(q.Request); kind != archiveNone && s.cfg.Version >= Version32 {
		return s.getArchive(w, q, e, kind)
	}
	if s.cfg.Version == Version24 {
		w.Header().Set("Content-Type", typeHTML)
		w.WriteHeader(http.StatusOK)
		_, _ = io.WriteString(w, "This is the WebDAV interface. It can only be accessed by WebDAV clients such as the Nextcloud desktop sync client.")
		flush(w)
		return nil
	}
	writeChunked(w, http.StatusOK, typeHTML, "")
	return nil
}

// reading counts running GETs: while there is one, the file cannot be written.
func (h *home) reading(p string, by int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.readers[p] += by; h.readers[p] == 0 {
		delete(h.readers, p)
	}
}

// readersBelow counts the running GETs of a file, or of all files in a folder.
func (h *home) readersBelow(p string) int {
	h.mu.RLock()
	defer h.mu.RUnlock()
	n := 0
	for at, k := range h.readers {
		if at == p || strings.HasPrefix(at, p+"/") {
			n += k
		}
	}
	return n
}
