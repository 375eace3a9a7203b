package cozy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Remote is the Nextcloud of an account document as the stack itself reaches it:
// the stack lists it, sends its files on, and copies them into the instance. The
// login stays in the stack. Paths are relative to the user's home, "" is the home.
//
// IsNotFound tells a missing entry or account, IsRemoteRefused a login or entry
// that the Nextcloud refuses, IsRemoteFault and IsUnqualified its other troubles.
type Remote struct {
	instance *Instance
	account  string
}

// Remote gives the Nextcloud of an account document. Nothing is sent yet.
func (i *Instance) Remote(accountID string) *Remote {
	return &Remote{instance: i, account: accountID}
}

// RemoteEntry is a file or folder as the stack lists it.
type RemoteEntry struct {
	ID        string // the Nextcloud's file id
	Name      string
	Folder    bool
	Size      int64 // bytes; 0 also where the Nextcloud does not say, and of a folder
	MIME      string
	ETag      string
	UpdatedAt time.Time // zero when the Nextcloud does not say
}

// remoteJSON is what is read of an entry. Its name is taken from the path: the
// attribute of that name is what the Nextcloud would display.
type remoteJSON struct {
	ID         string `json:"id"`
	Attributes struct {
		Type      string `json:"type"`
		Path      string `json:"path"`
		Size      int64  `json:"size"`
		MIME      string `json:"mime"`
		ETag      string `json:"etag"`
		UpdatedAt string `json:"updated_at"`
	} `json:"attributes"`
}

func (j *remoteJSON) entry(parent string) (RemoteEntry, error) {
	a := &j.Attributes
	name, ok := strings.CutPrefix(a.Path, parent)
	if !ok || name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") {
		return RemoteEntry{}, errors.New("an entry outside the folder")
	}
	if a.Type != "file" && a.Type != "directory" {
		return RemoteEntry{}, errors.New("an entry of an unknown type")
	}
	return RemoteEntry{
		ID: j.ID, Name: name, Folder: a.Type == "directory",
		Size: a.Size, MIME: a.MIME, ETag: a.ETag, UpdatedAt: httpTime(a.UpdatedAt),
	}, nil
}

func httpTime(text string) time.Time {
	t, err := http.ParseTime(text)
	if err != nil {
		return time.Time{}
	}
	return t
}

// List calls yield for each child of a folder. A nil error promises that the
// answer was read to its end; what breaks off or does not add up wraps ErrAnswer.
// An error of yield ends the listing and is returned as it is. A file in place of
// the folder is listed as its own child.
func (r *Remote) List(ctx context.Context, folder string, yield func(RemoteEntry) error) error {
	const op = "list remote folder"
	res, err := r.instance.begin(ctx, call{op: op, method: http.MethodGet, path: r.path("", folder)})
	if err != nil {
		return err
	}
	defer res.Body.Close()
	parent := "/"
	if folder != "" {
		parent = "/" + folder + "/"
	}
	var refused error
	err = readList(res.Body, func(j *remoteJSON) error {
		entry, err := j.entry(parent)
		if err != nil {
			return err
		}
		refused = yield(entry)
		return refused
	})
	switch {
	case refused != nil:
		return refused
	case err != nil && ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return fmt.Errorf("%s: %w: %w", op, ErrAnswer, err)
	}
	return nil
}

// readList reads a list in JSON:API as a stream: folders may be of any length.
func readList(body io.Reader, visit func(*remoteJSON) error) error {
	d := json.NewDecoder(body)
	if err := want(d, json.Delim('{')); err != nil {
		return err
	}
	if err := want(d, "data"); err != nil {
		return err
	}
	if err := want(d, json.Delim('[')); err != nil {
		return err
	}
	seen := 0
	for ; d.More(); seen++ {
		var j remoteJSON
		if err := d.Decode(&j); err != nil {
			return err
		}
		if err := visit(&j); err != nil {
			return err
		}
	}
	if err := want(d, json.Delim(']')); err != nil {
		return err
	}
	if err := want(d, "meta"); err != nil {
		return err
	}
	var meta struct {
		Count *int `json:"count"`
	}
	if err := d.Decode(&meta); err != nil {
		return err
	}
	if meta.Count == nil || *meta.Count != seen {
		return errors.New("count and entries differ")
	}
	return want(d, json.Delim('}'))
}

func want(d *json.Decoder, token json.Token) error {
	got, err := d.Token()
	if err == nil && got != token {
		err = fmt.Errorf("want %v", token)
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// Size is the size in bytes of a file, or of a folder with all that is in it, as
// the Nextcloud keeps it.
func (r *Remote) Size(ctx context.Context, path string) (int64, error) {
	const op = "read remote size"
	var answer struct {
		Size *int64 `json:"size"`
	}
	c := call{op: op, method: http.MethodGet, path: r.path("size/", path), most: maxFiles}
	if err := r.instance.do(ctx, c, &answer); err != nil {
		return 0, err
	}
	if answer.Size == nil {
		return 0, fmt.Errorf("%s: %w: no size", op, ErrAnswer)
	}
	return *answer.Size, nil
}

// RemoteFile is a file of the Nextcloud while it is read through the stack.
type RemoteFile struct {
	Body      io.ReadCloser
	Size      int64 // bytes; -1 when the Nextcloud does not say: then a cut body ends like a whole one
	MIME      string
	ETag      string    // empty of a folder, which is sent as an empty page
	UpdatedAt time.Time // zero when the Nextcloud does not say
}

// Open starts to read a file; the caller closes the body. ctx bounds the whole.
func (r *Remote) Open(ctx context.Context, path string) (RemoteFile, error) {
	res, err := r.instance.begin(ctx, call{op: "read remote file", method: http.MethodGet, path: r.path("", path) + "?Dl=1"}) //nolint:bodyclose // the caller does
	if err != nil {
		return RemoteFile{}, err
	}
	return RemoteFile{
		Body:      res.Body,
		Size:      res.ContentLength,
		MIME:      res.Header.Get("Content-Type"),
		ETag:      res.Header.Get("Etag"),
		UpdatedAt: httpTime(res.Header.Get("Last-Modified")),
	}, nil
}

// slowestCopy is how slow a copy may be, in bytes a second.
const slowestCopy = 1 << 20

// Patience is how long a copy of so many bytes may take. The stack is silent all
// the while.
func (r *Remote) Patience(size int64) time.Duration {
	return r.instance.stack.stall + time.Duration(size/slowestCopy)*time.Second
}

// Copy has the stack copy a file of so many bytes into a folder of the instance,
// under its own name. IsConflict tells a taken name; what else the instance does
// not take is IsUnqualified. The stack goes on with a copy that nobody waits for
// any more: after a lost answer the file may be there, or come later.
func (r *Remote) Copy(ctx context.Context, path, dirID string, size int64) (File, error) {
	const op = "copy remote file"
	patience := r.Patience(size)
	ctx, cancel := context.WithTimeoutCause(ctx, patience, ErrStalled)
	defer cancel()
	query := appendEscaped([]byte("?Copy=true&FailOnConflict=true&To="), dirID)
	f, err := r.instance.file(ctx, call{
		op: op, method: http.MethodPost, path: r.path("downstream/", path) + string(query), patience: patience,
	})
	if err != nil && errors.Is(context.Cause(ctx), ErrStalled) {
		return File{}, fmt.Errorf("%s: %w", op, ErrStalled)
	}
	return f, err
}

// path is the address of an entry on a route.
//
// The stack unescapes a path a second time where it arrives in the form that Go
// itself would write, and takes a first folder "trash" or "size" for a route of
// its own. Escaping the first byte, which mostly needs none, cures both; where it
// does need it, a slash at the end does, which the stack adds anyway.
func (r *Remote) path(route, path string) string {
	dst := []byte("/remote/nextcloud/" + url.PathEscape(r.account) + "/" + route)
	if path == "" {
		return string(dst)
	}
	start := len(dst)
	dst = fmt.Appendf(dst, "%%%02X", path[0])
	for n, name := range strings.Split(path[1:], "/") {
		if n > 0 {
			dst = append(dst, '/')
		}
		dst = appendEscaped(dst, name)
	}
	if strings.Contains(path, "%") && string(dst[start:]) == (&url.URL{Path: path}).EscapedPath() {
		dst = append(dst, "%2F"...)
	}
	return string(dst)
}
