package nextcloudtest

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// move is MOVE and COPY within the caller's files.
func (s *Server) move(w http.ResponseWriter, q *request) error {
	e, err := q.lookup()
	if err != nil {
		return err
	}
	target, err := q.destination("files")
	if err != nil {
		return err
	}
	if e.rule != nil || e.path == "" {
		return forbidden("Permission denied")
	}
	if n := q.home.readersBelow(e.path); n > 0 && q.Method == "MOVE" {
		return &davError{
			http.StatusInternalServerError, `OCP\Lock\LockedException`,
			`"/` + e.path + `" is locked, existing lock on file: ` + strconv.Itoa(n+1) + " shared locks", "",
		}
	}
	from := e.path
	q.path = target
	if err := q.mayCreate("The destination node is not found"); err != nil {
		return err
	}
	status, err := q.clear(target)
	if err != nil {
		return err
	}
	if err := q.transfer(from, target); err != nil {
		return q.translate(err)
	}
	return q.wrote(w, status)
}

// clear removes what is at the destination, if the client allows that.
func (q *request) clear(target string) (status int, err error) {
	old, err := q.home.find(target)
	if errors.Is(err, fs.ErrNotExist) {
		return http.StatusCreated, nil
	}
	if err != nil {
		return 0, q.translate(err)
	}
	if q.Header.Get("Overwrite") == "F" {
		return 0, precondition("The destination node already exists, and the overwrite header is set to false", "Overwrite")
	}
	if err := q.mayChange(old); err != nil {
		return 0, err
	}
	return http.StatusNoContent, q.home.remove(old, q.session.account.user.ID)
}

func (q *request) transfer(from, to string) error {
	if q.Method == "COPY" {
		info, err := os.Stat(q.home.disk(from))
		if err != nil {
			return err
		}
		if info.IsDir() {
			return os.CopyFS(q.home.disk(to), os.DirFS(q.home.disk(from)))
		}
		return copyFile(q.home.disk(from), q.home.disk(to))
	}
	if err := os.Rename(q.home.disk(from), q.home.disk(to)); err != nil {
		return err
	}
	q.home.moveMeta(from, to)
	return nil
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// destination is the path below the caller's collection of a kind.
func (q *request) destination(kind string) (string, error) {
	u, err := url.Parse(q.Header.Get("Destination"))
	if err != nil || u.Path == "" {
		return "", badRequest("The destination header was not supplied")
	}
	rel, _ := q.server.relative(u.Path)
	rest, ok := below(toUTF8(rel), davPrefix+"/"+kind)
	if rest2, legacy := below(toUTF8(rel), legacyPrefix); legacy && kind == "files" {
		return norm.NFC.String(rest2), nil
	}
	user, rest, _ := strings.Cut(rest, "/")
	if !ok || !q.session.ownsID(user) || rest == "" {
		return "", forbidden(fmt.Sprintf("Destination %s is not yours", u.Path))
	}
	return norm.NFC.String(rest), nil
}
