package nextcloudtest

import (
	"errors"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"unicode/utf8"
)

const (
	davPrefix    = "/remote.php/dav"
	legacyPrefix = "/remote.php/webdav"
)

const (
	davFeatures32 = "1, 3, extended-mkcol, access-control, calendarserver-principal-property-search, nc-paginate, nextcloud-checksum-update, nc-calendar-search, nc-enable-birthday-calendar, 2"
	davFeatures24 = "1, 3, extended-mkcol, access-control, calendarserver-principal-property-search, nextcloud-checksum-update, nc-calendar-search, nc-enable-birthday-calendar"
	davLegacy     = "1, 3, extended-mkcol, nextcloud-checksum-update, 2"

	allow32 = "OPTIONS, GET, HEAD, DELETE, PROPFIND, PUT, PROPPATCH, COPY, MOVE, REPORT, LOCK, UNLOCK"
	allow24 = "OPTIONS, GET, HEAD, DELETE, PROPFIND, PUT, PROPPATCH, COPY, MOVE, REPORT"
)

// request is a WebDAV request whose login was accepted and whose path is known
// to lie in the caller's own files or trashbin.
type request struct {
	*http.Request
	server  *Server
	session *session
	home    *home
	path    string // below the home
	href    string // encoded path of the home in the caller's spelling, with a slash at the end
	legacy  bool
}

// serveDAV checks the login and finds out which collection a path is in.
func (s *Server) serveDAV(w http.ResponseWriter, r *http.Request, rel string) {
	if s.maintenance.Load() {
		writeError(w, errMaintenance)
		return
	}
	c, why := s.login(r)
	if why != accepted {
		writeError(w, davRefusal(why))
		return
	}
	if why := s.serveCollection(w, r, c, toUTF8(rel)); why != nil {
		if r.Method == "PROPFIND" {
			s.setListingHeaders(w.Header(), strings.HasPrefix(rel, legacyPrefix))
		}
		writeError(w, why)
	}
}

func (s *Server) serveCollection(w http.ResponseWriter, r *http.Request, c *session, rel string) error {
	q := &request{Request: r, server: s, session: c, home: c.account.home}
	if rest, ok := below(rel, legacyPrefix); ok {
		q.legacy, q.path, q.href = true, rest, s.base+legacyPrefix+"/"
		return s.serveFiles(w, q)
	}
	rest, _ := below(rel, davPrefix)
	kind, rest, _ := strings.Cut(rest, "/")
	user, rest, _ := strings.Cut(rest, "/")
	q.path, q.href = rest, s.base+davPrefix+"/"+kind+"/"+encodePath(user)+"/"
	switch {
	case kind == "files" && user == "", kind == "trashbin" && user == "":
		return s.refuseListing(w, r)
	case kind == "files" && c.ownsID(user):
		return s.serveFiles(w, q)
	case kind == "files":
		return s.serveForeign(w, q, user)
	case kind == "trashbin" && c.ownsID(user):
		return s.serveTrash(w, q)
	case kind == "principals" && r.Method == "PROPFIND":
		return s.servePrincipal(w, q, path.Base(rest))
	case r.Method == http.MethodOptions:
		s.writeOptions(w, false)
		return nil
	default:
		return notFound("File not found: " + kind + " in 'root'")
	}
}

// serveFiles answers for the caller's own files.
func (s *Server) serveFiles(w http.ResponseWriter, q *request) error {
	switch q.Method {
	case http.MethodOptions:
		s.writeOptions(w, q.legacy)
		return nil
	case "PROPFIND":
		return s.propfind(w, q)
	case http.MethodGet, http.MethodHead:
		return s.get(w, q)
	case http.MethodPut:
		return s.put(w, q)
	case "MKCOL":
		return s.mkcol(w, q)
	case http.MethodDelete:
		return s.delete(w, q)
	case "MOVE", "COPY":
		return s.move(w, q)
	case "PROPPATCH":
		return s.proppatch(w, q)
	case http.MethodPatch:
		return s.recalculate(w, q)
	default:
		return unwilling(q.Method)
	}
}

// serveForeign answers for another user's files: the root exists, nothing else.
func (s *Server) serveForeign(w http.ResponseWriter, q *request, user string) error {
	a, err := s.account(user)
	if err != nil {
		return notFound("Principal with name " + user + " not found")
	}
	switch {
	case q.path != "":
		return notFound("File not found: " + strings.SplitN(q.path, "/", 2)[0] + " in '" + a.user.ID + "'")
	case q.Method == "PROPFIND":
		return s.propfindBare(w, q, "<d:collection/>")
	case q.Method == http.MethodOptions:
		s.writeOptions(w, false)
		return nil
	default:
		return forbidden("Permission denied")
	}
}

func (s *Server) servePrincipal(w http.ResponseWriter, q *request, user string) error {
	a, err := s.account(user)
	if err != nil {
		return notFound("Principal with name " + user + " not found")
	}
	q.href = s.base + davPrefix + "/principals/users/" + encodePath(a.user.ID) + "/"
	return s.propfindBare(w, q, "<d:collection/><d:principal/>")
}

func (s *Server) refuseListing(w http.ResponseWriter, r *http.Request) error {
	if r.Method == http.MethodOptions {
		s.writeOptions(w, false)
		return nil
	}
	w.Header().Set("Allow", s.allowed())
	return &davError{
		http.StatusMethodNotAllowed, `Sabre\DAV\Exception\MethodNotAllowed`,
		"Listing members of this collection is disabled", "",
	}
}

func (s *Server) writeOptions(w http.ResponseWriter, legacy bool) {
	h := w.Header()
	h.Set("Content-Type", typeHTML)
	h.Set("Content-Length", "0")
	h.Set("Allow", s.allowed())
	h.Set("Dav", s.features(legacy))
	h.Set("Ms-Author-Via", "DAV")
	h.Set("Accept-Ranges", "bytes")
	w.WriteHeader(http.StatusOK)
}

func (s *Server) allowed() string {
	if s.cfg.Version == Version24 {
		return allow24
	}
	return allow32
}

func (s *Server) features(legacy bool) string {
	switch {
	case s.cfg.Version == Version24:
		return davFeatures24
	case legacy:
		return davLegacy
	default:
		return davFeatures32
	}
}

func (s *Server) setListingHeaders(h http.Header, legacy bool) {
	h["Vary"] = []string{"Brief,Prefer"}
	h["Dav"] = []string{s.features(legacy)}
}

// lookup finds the entry of a request and turns what can be wrong into the
// server's own errors.
func (q *request) lookup() (entry, error) {
	if q.session.noFiles && q.path != "" {
		return entry{}, notLocated(q.path)
	}
	if m, root, ok := q.home.mountOf(q.path); ok && m.Offline && !root {
		return entry{}, notAvailable(m)
	}
	e, err := q.home.find(q.path)
	if err != nil {
		return entry{}, q.translate(err)
	}
	return e, nil
}

// translate turns an error of the disk into what the server would say.
func (q *request) translate(err error) error {
	var known *davError
	switch {
	case errors.As(err, &known):
		return known
	case errors.Is(err, fs.ErrNotExist):
		return notLocated(firstMissing(q.home, q.path))
	case errors.Is(err, fs.ErrPermission):
		return notFound("") // what the server says of a file that it may not read
	case errors.Is(err, errPoisoned):
		return errEncoding
	default:
		return &davError{http.StatusInternalServerError, "Exception", "An internal error occurred", ""}
	}
}

// firstMissing is the part of a path that the server names in its 404.
func firstMissing(h *home, p string) string {
	for i := range len(p) {
		if p[i] != '/' {
			continue
		}
		if _, err := h.find(p[:i]); err != nil {
			return p[:i]
		}
	}
	return p
}

// below cuts a prefix and the slash behind it off a clean path.
func below(p, prefix string) (string, bool) {
	rest, ok := strings.CutPrefix(p, prefix)
	if !ok || (rest != "" && rest[0] != '/') {
		return "", false
	}
	return strings.TrimPrefix(rest, "/"), true
}

// toUTF8 reads a path that is not UTF-8 as latin-1, as the server does.
func toUTF8(p string) string {
	if utf8.ValidString(p) {
		return p
	}
	runes := make([]rune, 0, len(p))
	for i := range len(p) {
		runes = append(runes, rune(p[i]))
	}
	return string(runes)
}
