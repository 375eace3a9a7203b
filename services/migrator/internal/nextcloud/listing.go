package nextcloud

import (
	"errors"
	"fmt"
	"hash/maphash"
	"net/http"
	"net/url"

	"example.org/ncm/services/migrator/internal/transfer"
)

// errTooMany ends a listing that is larger than any folder may be.
var errTooMany = errors.New("too many entries in a folder")

// listing makes entries of the responses of one PROPFIND and checks that they
// are those of the folder that was asked for.
type listing struct {
	query
	hrefs    *hrefs
	name     string // of the folder itself
	mounts   Mounts
	mount    string // kind of the mount that the folder is in
	self     transfer.Entry
	answered bool // self is set
	absent   bool // the server has no such folder, whatever it says
	children int
	seed     maphash.Seed
	seen     map[uint64]struct{} // hashes of names: no name is kept
	partial  int                 // status of a child that the server could not read
	failure  error               // of yield
}

func newListing(folder *url.URL, name string, q query) *listing {
	return &listing{
		query: q,
		hrefs: newHrefs(folder),
		name:  name,
		seed:  maphash.MakeSeed(),
		seen:  make(map[uint64]struct{}),
	}
}

// visit takes one response.
func (l *listing) visit(r *response) error {
	name, err := l.hrefs.name(r.href)
	if err != nil {
		return err
	}
	if name == "" {
		return l.visitSelf(r)
	}
	if err := l.count(name); err != nil {
		return err
	}
	switch status := r.failure(); status {
	case 0:
		child := r.child(name, l.mount, l.mounts)
		child.FolderETag = l.self.ETag
		l.failure = l.yield(child)
		return l.failure
	case http.StatusNotFound: // removed while the server was listing
		return nil
	default:
		// The other children are true all the same; the folder as a whole
		// fails when they are through.
		l.partial = status
		return nil
	}
}

// child is the response as an entry of a folder that is in a mount of that kind.
func (r *response) child(name, mount string, mounts Mounts) transfer.Entry {
	e := r.entry(name)
	if e.SkipReason == "" && r.mount != mount {
		e.SkipReason = mounts.skip(r.mount, e.Size)
	}
	return e
}

func (l *listing) visitSelf(r *response) error {
	if l.answered {
		return malformed("the folder is listed twice")
	}
	if status := r.failure(); status != 0 {
		return statusError(status)
	}
	l.answered = true
	l.self = r.entry(l.name)
	l.absent = r.absent()
	l.mount = r.mount
	return nil
}

// count refuses endless folders and names that come twice.
func (l *listing) count(name string) error {
	if l.depth == "0" {
		return malformed("children of what was asked for alone")
	}
	if l.children == l.limit {
		return fmt.Errorf("%w: more than %d", errTooMany, l.limit)
	}
	l.children++
	hash := maphash.String(l.seed, name)
	if _, twice := l.seen[hash]; twice {
		return malformed("a name is listed twice")
	}
	l.seen[hash] = struct{}{}
	return nil
}

// checkFolder tells a folder that was listed whole from one that only looks so.
func (l *listing) checkFolder() error {
	switch {
	case !l.answered:
		return malformed("the folder itself is not listed")
	case !l.self.Folder:
		return statusError(http.StatusNotFound)
	case l.self.SkipReason != "":
		return statusError(http.StatusForbidden)
	case l.partial != 0:
		return statusError(l.partial)
	case l.children == 0 && (l.absent || l.self.Size < 0):
		return errAbsent
	}
	return nil
}

// checkEntry does the same for an entry without its children; it may be a file.
func (l *listing) checkEntry() error {
	switch {
	case !l.answered:
		return malformed("the entry itself is not listed")
	case l.self.Folder && l.absent:
		return errAbsent
	}
	return nil
}
