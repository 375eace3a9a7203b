package nextcloudtest

import (
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// trashed is one entry of a trashbin.
type trashed struct {
	name     string // in the trashbin: NAME.d<unix seconds>
	location string // path it was deleted from
	by       string // user id of who deleted it
	at       time.Time
	id       int64
}

// toTrash moves an entry on disk into the trashbin.
func (h *home) toTrash(e entry, by string) error {
	id := h.fileID(e)
	h.mu.Lock()
	at := time.Now()
	name := trashName(e.name(), at)
	for _, taken := h.trash[name]; taken; _, taken = h.trash[name] {
		at = at.Add(time.Second)
		name = trashName(e.name(), at)
	}
	h.trash[name] = trashed{name: name, location: e.path, by: by, at: at, id: id}
	h.mu.Unlock()
	if err := os.Rename(h.disk(e.path), filepath.Join(h.trashRoot, name)); err != nil {
		h.mu.Lock()
		delete(h.trash, name)
		h.mu.Unlock()
		return err
	}
	h.dropMeta(e.path)
	h.dropRules(e.path)
	return nil
}

func trashName(name string, at time.Time) string {
	return name + ".d" + strconv.FormatInt(at.Unix(), 10)
}

// dropRules ends what is offered by rule below a folder that is deleted.
func (h *home) dropRules(p string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	dropKeys(h.rules, p)
}

// serveTrash answers below trashbin/{user}/.
func (s *Server) serveTrash(w http.ResponseWriter, q *request) error {
	top, rest, _ := strings.Cut(q.path, "/")
	if top != "trash" {
		return notFound("File not found: " + top + " in '" + q.session.account.user.ID + "'")
	}
	switch q.Method {
	case http.MethodOptions:
		s.writeOptions(w, false)
		return nil
	case "PROPFIND":
		return s.listTrash(w, q, rest)
	case http.MethodGet, http.MethodHead:
		return q.getTrashed(w, rest)
	case http.MethodDelete:
		return q.emptyTrash(w, rest)
	case "MOVE":
		return q.restore(w, rest)
	default:
		return unwilling(q.Method)
	}
}

// findTrashed resolves a path below trash/ to its entry and its file on disk.
func (q *request) findTrashed(p string) (trashed, fs.FileInfo, error) {
	name, inner, _ := strings.Cut(p, "/")
	q.home.mu.RLock()
	t, ok := q.home.trash[name]
	q.home.mu.RUnlock()
	if !ok {
		return trashed{}, nil, notFound("File not found: " + p + " in 'trash'")
	}
	info, err := os.Lstat(q.trashFile(p))
	if err != nil {
		return trashed{}, nil, notFound("File not found: " + p + " in 'trash'")
	}
	t.location = path.Join(t.location, inner)
	if inner != "" {
		t.name = path.Base(inner)
	}
	return t, info, nil
}

func (q *request) trashFile(p string) string {
	return filepath.Join(q.home.trashRoot, filepath.FromSlash(p))
}

// emptyTrash deletes for good: one entry, or all of them.
func (q *request) emptyTrash(w http.ResponseWriter, p string) error {
	names := []string{p}
	if p == "" {
		names = q.trashNames()
	} else if _, _, err := q.findTrashed(p); err != nil {
		return err
	}
	for _, name := range names {
		if err := os.RemoveAll(q.trashFile(name)); err != nil {
			return q.translate(err)
		}
		q.home.mu.Lock()
		delete(q.home.trash, name)
		q.home.mu.Unlock()
	}
	writeSized(w, http.StatusNoContent, typeHTML, "")
	return nil
}

func (q *request) trashNames() []string {
	q.home.mu.RLock()
	defer q.home.mu.RUnlock()
	names := make([]string, 0, len(q.home.trash))
	for name := range q.home.trash {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (q *request) getTrashed(w http.ResponseWriter, p string) error {
	t, info, err := q.findTrashed(p)
	if err != nil {
		return err
	}
	if info.IsDir() {
		writeChunked(w, http.StatusOK, typeHTML, "")
		return nil
	}
	f, err := os.Open(q.trashFile(p))
	if err != nil {
		return q.translate(err)
	}
	defer func() { _ = f.Close() }()
	name := path.Base(t.location)
	h := w.Header()
	h.Set("Content-Type", sentType(name))
	h.Set("Content-Length", strconv.FormatInt(info.Size(), 10))
	h.Set("Last-Modified", t.at.UTC().Format(httpTime))
	h.Set("Etag", "")
	h.Set("Content-Disposition", `attachment; filename="`+encodeName(name)+`"`)
	w.WriteHeader(http.StatusOK)
	if q.Method == http.MethodGet {
		_, _ = io.Copy(w, f)
	}
	return nil
}

// restore takes an entry back to where it was.
func (q *request) restore(w http.ResponseWriter, p string) error {
	t, _, err := q.findTrashed(p)
	if err != nil {
		return err
	}
	if _, err := q.destination("trashbin"); err != nil || strings.Contains(p, "/") {
		return forbidden("Permission denied")
	}
	to := q.home.disk(t.location)
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return q.translate(err)
	}
	if err := os.Rename(q.trashFile(p), to); err != nil {
		return q.translate(err)
	}
	q.home.mu.Lock()
	delete(q.home.trash, t.name)
	q.home.ids[t.location] = t.id
	q.home.mu.Unlock()
	writeSized(w, http.StatusCreated, typeHTML, "")
	return nil
}
