package nextcloudtest

import (
	"errors"
	"io"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// maxName is the longest name, in bytes, that an upload may have.
const maxName = 250

// put stores a file whole or not at all.
func (s *Server) put(w http.ResponseWriter, q *request) error {
	q.path = norm.NFC.String(q.path)
	if err := q.mayCreate("Files cannot be created in non-existent collections"); err != nil {
		return err
	}
	old, err := q.home.find(q.path)
	exists := err == nil
	if exists && old.dir {
		return conflict("PUT is not allowed on non-files.")
	}
	if exists {
		m := q.home.meta(old.path)
		if done, err := preconditions(w, q.Request, old, `"`+fileETag(old, m)+`"`); done || err != nil {
			return err
		}
		if err := q.mayChange(old); err != nil {
			return err
		}
	}
	if err := q.store(); err != nil {
		return q.translate(err)
	}
	q.home.update(q.path, func(m *meta) {
		m.checksum, m.claimed = q.Header.Get("Oc-Checksum"), true
		m.uploaded, m.gone = time.Now(), false
	})
	status := http.StatusCreated
	if exists {
		status = http.StatusNoContent
	}
	return q.wrote(w, status)
}

// store writes the body beside the user's files and then puts it in its place.
func (q *request) store() error {
	tmp, err := os.CreateTemp(filepath.Dir(q.home.root), "upload-")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp.Name()) }()
	_, err = io.Copy(tmp, q.Body)
	if err := errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	if at, err := strconv.ParseInt(q.Header.Get("X-Oc-Mtime"), 10, 64); err == nil {
		if err := os.Chtimes(tmp.Name(), time.Unix(at, 0), time.Unix(at, 0)); err != nil {
			return err
		}
	}
	return os.Rename(tmp.Name(), q.home.disk(q.path))
}

// wrote answers with the identity of what was written.
func (q *request) wrote(w http.ResponseWriter, status int) error {
	e, err := q.home.find(q.path)
	if err != nil {
		return q.translate(err)
	}
	h := w.Header()
	h.Set("Oc-Fileid", fullID(q.home.fileID(e)))
	if !e.dir {
		etag := `"` + fileETag(e, q.home.meta(e.path)) + `"`
		h.Set("Etag", etag)
		h.Set("Oc-Etag", etag)
		if q.Header.Get("X-Oc-Mtime") != "" {
			h.Set("X-Oc-Mtime", "accepted")
		}
	}
	writeSized(w, status, typeHTML, "")
	return nil
}

// mayCreate checks the name and the parent of a new entry.
func (q *request) mayCreate(noParent string) error {
	if reason := refusedName(path.Base(q.path)); q.path != "" && reason != "" {
		return &davError{http.StatusBadRequest, `OCA\DAV\Connector\Sabre\Exception\InvalidPath`, reason, ""}
	}
	if parent, err := q.home.find(parentOf(q.path)); err != nil || !parent.dir {
		return conflict(noParent)
	}
	return nil
}

// refusedName says why the server takes no upload under a name, or "".
func refusedName(name string) string {
	switch {
	case len(name) > maxName:
		return "Filename is too long"
	case strings.EqualFold(name, ".htaccess"):
		return `".htaccess" is a forbidden file or folder name.`
	case strings.HasSuffix(name, ".part"), strings.HasSuffix(name, ".filepart"):
		return `Filenames must not end with ".part".`
	case !utf8.ValidString(name), strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return "Filename contains at least one invalid character"
	default:
		return ""
	}
}

// mayChange checks the locks on an entry that would be overwritten or deleted.
func (q *request) mayChange(e entry) error {
	owner := q.home.meta(e.path).lock.Owner
	if owner != "" && owner != q.session.account.user.ID {
		return &davError{
			http.StatusLocked, `Sabre\DAV\Exception\Locked`, "",
			"\n  <d:lock-token-submitted>\n    <d:href>files/" + q.session.account.user.ID + "/" + e.path +
				"</d:href>\n  </d:lock-token-submitted>",
		}
	}
	if q.home.meta(e.path).lock.Exclusive {
		return fileLocked(e.path, "exclusive")
	}
	if n := q.home.readersBelow(e.path); n > 0 { // our own request holds one more
		return fileLocked(e.path, strconv.Itoa(n+1)+" shared locks")
	}
	return nil
}

func (s *Server) mkcol(w http.ResponseWriter, q *request) error {
	q.path = norm.NFC.String(q.path)
	if err := q.mayCreate("Parent node does not exist"); err != nil {
		return err
	}
	if _, err := q.home.find(q.path); err == nil {
		return &davError{
			http.StatusMethodNotAllowed, `Sabre\DAV\Exception\MethodNotAllowed`,
			"The resource you tried to create already exists", "",
		}
	}
	if err := os.Mkdir(q.home.disk(q.path), 0o755); err != nil {
		return q.translate(err)
	}
	return q.wrote(w, http.StatusCreated)
}

// delete moves an entry to the trashbin, or only gives a received share back.
func (s *Server) delete(w http.ResponseWriter, q *request) error {
	e, err := q.lookup()
	if err != nil {
		return err
	}
	if e.path == "" {
		return forbidden("Permission denied to delete home folder")
	}
	if !e.dir {
		m := q.home.meta(e.path)
		if done, err := preconditions(w, q.Request, e, `"`+fileETag(e, m)+`"`); done || err != nil {
			return err
		}
	}
	if err := q.mayChange(e); err != nil {
		return err
	}
	if err := q.home.remove(e, q.session.account.user.ID); err != nil {
		return q.translate(err)
	}
	writeSized(w, http.StatusNoContent, typeHTML, "")
	return nil
}

func (h *home) remove(e entry, by string) error {
	if m, root, _ := h.mountOf(e.path); root && m.Type == MountShared {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.unshared[e.path] = true
		return nil
	}
	if e.rule != nil {
		return h.removeRule(e)
	}
	return h.toTrash(e, by)
}

// removeRule ends what is offered by rule; a part of a generated tree stays.
func (h *home) removeRule(e entry) error {
	if e.path != e.rule.root {
		return forbidden("Permission denied")
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.rules, e.path)
	return nil
}
