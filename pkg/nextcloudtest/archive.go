package nextcloudtest

import (
	"archive/tar"
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"path"
	"strings"
	"time"
)

type archive int

const (
	archiveNone archive = iota
	archiveZip
	archiveTar
)

// archiveKind reads which archive of a folder a GET asks for. A list of types
// in Accept is not understood, as on the real server.
func archiveKind(r *http.Request) archive {
	accept := r.URL.Query().Get("accept")
	if accept == "" {
		accept = r.Header.Get("Accept")
	}
	switch accept {
	case "zip", "application/zip":
		return archiveZip
	case "tar", "application/x-tar":
		return archiveTar
	default:
		return archiveNone
	}
}

// member of an archive, under the name that it has in it.
type member struct {
	entry
	name string
}

// getArchive sends a folder, or some of its children, as one archive. What goes
// wrong after the start goes into the body, and the answer stays a 200.
func (s *Server) getArchive(w http.ResponseWriter, q *request, dir entry, kind archive) error {
	members, err := q.members(dir)
	if err != nil {
		return err
	}
	for _, m := range members {
		if err := q.mayArchive(m.entry); err != nil {
			return err
		}
	}
	name := dir.name()
	if dir.path == "" {
		name = "download"
	}
	setArchiveHeaders(w.Header(), name, kind)
	w.WriteHeader(http.StatusOK)
	if q.Method == http.MethodHead {
		return nil
	}
	flush(w)
	buf := bufio.NewWriterSize(w, 32<<10)
	var out archiver = &zipWriter{out: buf, wide: true}
	if kind == archiveTar {
		out = &tarArchiver{Writer: tar.NewWriter(buf)}
	}
	if err := q.pack(s.costly(q.Request, out), members); err != nil {
		_, _ = buf.WriteString(err.xml())
	}
	_ = buf.Flush()
	return nil
}

// mayArchive checks what makes the server refuse an archive before it begins.
func (q *request) mayArchive(e entry) error {
	mount, root, mounted := q.home.mountOf(e.path)
	switch {
	case mounted && mount.Offline && !root:
		return notAvailable(mount)
	case mounted && mount.NoDownload, e.rule != nil && e.rule.closed:
		return errArchiveDenied
	case !e.dir:
		return nil
	}
	for child, err := range q.home.children(e) {
		if err != nil {
			return nil //nolint:nilerr // it shows while the archive is sent
		}
		if err := q.mayArchive(child); err != nil {
			return err
		}
	}
	return nil
}

func setArchiveHeaders(h http.Header, name string, kind archive) {
	contentType, ext := "application/zip", ".zip"
	if kind == archiveTar {
		contentType, ext = "application/x-tar", ".tar"
		h.Set("Cache-Control", "public, must-revalidate")
	}
	encoded := encodeName(name + ext)
	h.Set("Content-Type", contentType)
	h.Set("Content-Disposition", "attachment; filename*=UTF-8''"+encoded+`; filename="`+encoded+`"`)
	h.Set("Pragma", "public")
	h.Set("Last-Modified", time.Now().UTC().Format(httpTime))
	h.Set("Expires", "0")
	h.Set("Accept-Ranges", "bytes")
	h.Set("Content-Transfer-Encoding", "binary")
	delete(h, "X-Debug-Token")
}

// members are the named children, or the folder itself. One that is missing is
// an error for all.
func (q *request) members(dir entry) ([]member, error) {
	names, err := askedMembers(q.Request)
	if err != nil {
		return nil, badRequest("Invalid files parameter")
	}
	if len(names) == 0 {
		return []member{{dir, dir.name()}}, nil
	}
	members := make([]member, 0, len(names))
	for _, name := range names {
		p := cleanPath(dir.path + "/" + name)
		e, err := q.home.find(p)
		if err != nil {
			return nil, notFound("File with name /" + p + " could not be located")
		}
		members = append(members, member{e, strings.TrimPrefix(p, dir.path+"/")})
	}
	return members, nil
}

// askedMembers reads files=["a","b"], or the last X-NC-Files header.
func askedMembers(r *http.Request) ([]string, error) {
	list := r.URL.Query().Get("files")
	if list == "" {
		if headers := r.Header.Values("X-Nc-Files"); len(headers) > 0 {
			return headers[len(headers)-1:], nil
		}
		return nil, nil
	}
	var names []string
	if err := json.Unmarshal([]byte(list), &names); err != nil {
		return []string{list}, nil // a plain name
	}
	return names, nil
}

// archiver writes members one after the other.
type archiver interface {
	folder(name string, mtime time.Time) error
	file(name string, mtime time.Time, size int64, content io.Reader) error
	close() error
}

// pack writes the members and everything below them. The error is what the
// server would append to the archive.
func (q *request) pack(out archiver, members []member) *davError {
	for _, m := range members {
		if err := q.packOne(out, m); err != nil {
			return err
		}
	}
	if err := out.close(); err != nil {
		return errArchiveGone
	}
	return nil
}

func (q *request) packOne(out archiver, m member) *davError {
	if !m.dir {
		return q.packFile(out, m)
	}
	if m.path != "" {
		if err := out.folder(m.name+"/", time.Now()); err != nil {
			return errType
		}
	}
	for child, err := range q.home.children(m.entry) {
		if err != nil {
			return errArchiveGone
		}
		if err := q.packOne(out, member{child, path.Join(m.name, child.name())}); err != nil {
			return err
		}
	}
	return nil
}

func (q *request) packFile(out archiver, m member) *davError {
	meta := q.home.meta(m.path)
	if meta.gone {
		return errArchiveGone
	}
	if meta.lock.Exclusive {
		return &davError{http.StatusLocked, `OCP\Lock\LockedException`, `"/` + q.session.account.user.ID +
			"/files/" + m.path + `" is locked, existing lock on file: exclusive`, ""}
	}
	f, err := q.home.open(m.entry)
	if err != nil {
		return errArchiveGone
	}
	defer func() { _ = f.Close() }()
	if err := out.file(m.name, m.mtime, m.size, f); err != nil {
		return errArchiveGone
	}
	return nil
}

// costly is an archiver whose files cost what they do on the simulated machine.
func (s *Server) costly(r *http.Request, out archiver) archiver {
	if s.cfg.Profile.Member <= 0 {
		return out
	}
	return &costlyArchiver{out, startClock(r), s.cfg.Profile.Member}
}

type costlyArchiver struct {
	archiver
	clock clock
	each  time.Duration
}

func (c *costlyArchiver) file(name string, mtime time.Time, size int64, content io.Reader) error {
	if !c.clock.spend(c.each) {
		return errArchiveGone
	}
	return c.archiver.file(name, mtime, size, content)
}

// tarArchiver breaks at the first folder, as the real server does.
type tarArchiver struct{ *tar.Writer }

func (t *tarArchiver) folder(name string, mtime time.Time) error {
	err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: 0o777, ModTime: mtime})
	if err != nil {
		return err
	}
	return errType
}

func (t *tarArchiver) file(name string, mtime time.Time, size int64, content io.Reader) error {
	h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o777, ModTime: mtime.Truncate(time.Second), Size: size}
	if err := t.WriteHeader(h); err != nil {
		return err
	}
	_, err := io.CopyN(t, content, size)
	return err
}

func (t *tarArchiver) close() error { return t.Close() }

// serveOldDownload is the archive route of Nextcloud 24; newer servers answer it
// with a page of the web interface.
func (s *Server) serveOldDownload(w http.ResponseWriter, r *http.Request) {
	c, why := s.login(r)
	if why != accepted {
		writeError(w, davRefusal(why))
		return
	}
	if s.cfg.Version != Version24 {
		w.Header().Set("X-User-Id", c.account.user.ID)
		writePage(w, http.StatusOK, "Files")
		return
	}
	q := &request{Request: r, server: s, session: c, home: c.account.home}
	q.path = cleanPath(r.URL.Query().Get("dir"))
	dir, err := q.lookup()
	if err != nil {
		writeError(w, err)
		return
	}
	members, err := q.members(dir)
	if err != nil {
		writeError(w, err)
		return
	}
	name := "download"
	if len(members) == 1 {
		name = members[0].name
	}
	setArchiveHeaders(w.Header(), name, archiveZip)
	w.WriteHeader(http.StatusOK)
	buf := bufio.NewWriterSize(w, 32<<10)
	_ = q.pack(s.costly(r, &zipWriter{out: buf}), members) // this version says nothing in the body
	_ = buf.Flush()
	flush(w)
}
