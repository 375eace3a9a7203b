package instance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"example.org/ncm/pkg/cozy"
	"example.org/ncm/services/migrator/internal/transfer"
)

var (
	_ transfer.Source  = (*Remote)(nil)
	_ transfer.Fetcher = (*Remote)(nil)
)

// Remote is a source as the stack of its instance reaches it: the stack lists the
// Nextcloud of an account, and copies its files into the instance by itself. No
// login comes here, and no bytes but of the files that the stack can't copy.
//
// What the stack does not pass on is lost on this way: the dates of files,
// checksums, favourites, creation dates, mount types, and whether a folder is
// end-to-end encrypted.
type Remote struct {
	remote *cozy.Remote
	target *Target
	root   string        // no slash around it
	asking chan struct{} // holds one for each request
	single atomic.Bool   // the root is a file

	// refused holds the verdict on the login once it fell: the Nextcloud locks the
	// stack's address out after a dozen wrong logins.
	refused atomic.Pointer[transfer.Error]
	doubt   sync.Mutex // held while the login is in doubt
}

// NewRemote makes the source of an account document, rooted at a path, of which at
// most so many requests are under way at once. Nothing is sent yet.
func NewRemote(i *cozy.Instance, accountID, root string, requests int) *Remote {
	return &Remote{
		remote: i.Remote(accountID),
		target: NewTarget(i, nil),
		root:   strings.Trim(path.Clean("/"+root), "/"),
		asking: make(chan struct{}, requests),
	}
}

// Check implements transfer.Source. It waits for no other request. A root that is
// a file is one entry of a folder that has nothing else, from the first Check on.
func (r *Remote) Check(ctx context.Context) (transfer.Entry, error) {
	root, err := r.look(ctx)
	if err == nil {
		r.single.Store(!root.Folder)
	}
	return root, r.classify(ctx, true, err)
}

// look finds the root, and the size of a folder with all that is in it.
func (r *Remote) look(ctx context.Context) (transfer.Entry, error) {
	root := transfer.Entry{Folder: true}
	if r.root != "" {
		var err error
		if root, err = r.child(ctx, r.root); err != nil || !root.Folder {
			return root, err
		}
	}
	size, err := r.remote.Size(ctx, r.root)
	if err != nil {
		return root, err
	}
	root.Size = size
	if r.root == "" && size == 0 {
		return root, r.somethingAtHome(ctx)
	}
	return root, nil
}

var (
	errNoEntry   = errors.New("no such entry")
	errAbsent    = errors.New("the folder answers without identity")
	errEmptyHome = errors.New("the account has no files, or its app password has no access to them")
	errPage      = errors.New("a page in place of a file")
	errDepth     = errors.New("too many folders deep")

	errSeen = errors.New("seen enough") // ends a listing
)

// somethingAtHome refuses a home without anything in it. The stack does not show
// what would tell an account without files from an app password without access to
// files.
func (r *Remote) somethingAtHome(ctx context.Context) error {
	err := r.remote.List(ctx, "", func(cozy.RemoteEntry) error { return errSeen })
	switch {
	case errors.Is(err, errSeen):
		return nil
	case err != nil:
		return err
	}
	return errEmptyHome
}

// child looks an entry up in the listing of its parent, the only place where the
// stack shows what an entry is.
func (r *Remote) child(ctx context.Context, p string) (transfer.Entry, error) {
	var found transfer.Entry
	parent, name := path.Split(p)
	err := r.remote.List(ctx, strings.Trim(parent, "/"), func(e cozy.RemoteEntry) error {
		switch {
		case e.Name != name:
			return nil
		case absent(e):
			return errAbsent
		}
		found = remoteEntry(e)
		return errSeen
	})
	switch {
	case errors.Is(err, errSeen):
		return found, nil
	case err != nil:
		return transfer.Entry{}, err
	}
	return transfer.Entry{}, errNoEntry
}

// absent tells a mount whose storage is offline: it lists as an empty folder.
func absent(e cozy.RemoteEntry) bool {
	return e.Folder && (e.ID == "" || e.ID == "-1" || cleanETag(e.ETag) == "")
}

func remoteEntry(e cozy.RemoteEntry) transfer.Entry {
	size := e.Size
	if e.Folder {
		size = -1
	}
	return transfer.Entry{
		Name: e.Name, Folder: e.Folder, Size: size, ModTime: e.UpdatedAt,
		ETag: cleanETag(e.ETag), SourceID: e.ID, MIME: e.MIME,
	}
}

// cleanETag makes the tags of listings and downloads comparable.
func cleanETag(tag string) string { return strings.Trim(strings.TrimPrefix(tag, "W/"), `"`) }

// List implements transfer.Source.
func (r *Remote) List(ctx context.Context, folder string, yield func(transfer.Entry) error) (transfer.Entry, error) {
	var self transfer.Entry
	var refused error
	err := r.ask(ctx, folder, func(p string) (err error) {
		self, err = r.list(ctx, p, folder == "", func(e transfer.Entry) error {
			refused = yield(e)
			return refused
		})
		return err
	})
	if refused != nil {
		return transfer.Entry{}, refused
	}
	return self, err
}

func (r *Remote) list(ctx context.Context, p string, root bool, yield func(transfer.Entry) error) (transfer.Entry, error) {
	self := transfer.Entry{Name: path.Base("/" + p), Folder: true, Size: -1}
	if root && p != "" { // a file would be listed as its own child
		var err error
		if self, err = r.child(ctx, p); err != nil {
			return self, err
		}
		if !self.Folder {
			file := self
			self.Folder = true
			return self, yield(file)
		}
	}
	children := 0
	err := r.remote.List(ctx, p, func(e cozy.RemoteEntry) error {
		children++
		return yield(remoteEntry(e))
	})
	switch {
	case cozy.IsUnqualified(err): // if the Nextcloud is away, Check will say so
		return self, fmt.Errorf("%w: %w", errCut, err)
	case err != nil || children > 0:
		return self, err
	case p == "":
		return self, errEmptyHome
	}
	return r.child(ctx, p) // empty, or only away?
}

// at is where an entry is below the user's home.
func (r *Remote) at(entry string) string {
	if r.single.Load() {
		return r.root
	}
	return strings.Trim(r.root+"/"+entry, "/")
}

// Open implements transfer.Source.
func (r *Remote) Open(ctx context.Context, file string) (body *transfer.Body, err error) {
	err = r.ask(ctx, file, func(p string) error {
		f, err := r.remote.Open(ctx, p)
		if err != nil {
			return err
		}
		if f.ETag == "" && f.UpdatedAt.IsZero() && strings.HasPrefix(f.MIME, "text/html") {
			_ = f.Body.Close() // it is a folder's
			return errPage
		}
		body = &transfer.Body{
			ReadCloser: &remoteBody{f.Body, ctx, r},
			Size:       f.Size, ETag: cleanETag(f.ETag), ModTime: f.UpdatedAt, MIME: f.MIME,
		}
		return nil
	})
	return body, err
}

// remoteBody gives the errors of a body their class.
type remoteBody struct {
	io.ReadCloser
	ctx    context.Context
	remote *Remote
}

func (b *remoteBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = b.remote.classify(b.ctx, false, fmt.Errorf("%w: %w", errCut, err))
	}
	return n, err
}

// Stat implements transfer.Source, for files: it opens one and closes it unread,
// which spares the listing of its folder.
func (r *Remote) Stat(ctx context.Context, entry string) (transfer.Entry, error) {
	body, err := r.Open(ctx, entry)
	if err != nil {
		return transfer.Entry{}, err
	}
	_ = body.Close() // it was not read
	return transfer.Entry{
		Name: path.Base(entry), Size: body.Size, ModTime: body.ModTime, ETag: body.ETag, MIME: body.MIME,
	}, nil
}

// Fetch implements transfer.Fetcher.
func (r *Remote) Fetch(ctx context.Context, f transfer.File) (transfer.Stored, error) {
	var res transfer.Stored
	if TargetName(f.Name, false) != f.Name {
		return res, transfer.ErrNotFetched // the stack copies under the same name alone
	}
	err := r.ask(ctx, f.Path(), func(p string) error {
		end := time.Now().Add(r.remote.Patience(f.Size))
		copied, err := r.remote.Copy(ctx, p, f.FolderTarget, f.Size)
		switch {
		case err == nil:
			res = stored(copied)
		case cozy.IsConflict(err):
			return nameTaken(err)
		case cozy.IsUnqualified(err):
			return fmt.Errorf("%w: %w", transfer.ErrNotFetched, err)
		case cozy.IsGatewayTimeout(err):
			return r.await(ctx, f, end, err)
		}
		return err
	})
	return res, err
}

// Pauses between two looks for a copy whose answer was lost.
const (
	firstLook = 500 * time.Millisecond
	lastLook  = 10 * time.Second
)

// await looks for a copy with which the stack goes on although something before it
// ended the request: a second one beside it would only load both servers. What is
// found is as good as a taken name.
func (r *Remote) await(ctx context.Context, f transfer.File, end time.Time, cause error) error {
	for pause := firstLook; time.Now().Before(end); pause = min(2*pause, lastLook) {
		look := time.NewTimer(pause)
		select {
		case <-look.C:
		case <-ctx.Done():
			look.Stop()
			return context.Cause(ctx)
		}
		_, err := r.target.Find(ctx, f.FolderTarget, f.Name)
		if err == nil {
			return nameTaken(cause)
		}
		if !errors.Is(err, transfer.ErrNotFound) {
			return err
		}
	}
	return cause
}
