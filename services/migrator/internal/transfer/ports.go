package transfer

import (
	"context"
	"errors"
	"time"
)

// Source is where files come from: one account, rooted at the path that the
// user chose. Paths are relative to that root, "" is the root itself, names are
// joined by "/", nothing is escaped. Safe for concurrent use. Errors are *Error.
type Source interface {
	// List calls yield for each child of a folder in the order that they arrive
	// and returns the folder's own entry. A nil error promises that the answer
	// was read to its well-formed end: on any error the children that were
	// yielded are true, but not all. An error of yield ends the listing and is
	// returned as it is.
	List(ctx context.Context, folder string, yield func(Entry) error) (Entry, error)
	// Open starts to read a file; the caller closes the body. ctx bounds the
	// whole read. Fails with ReasonNotFound when the file is gone, also when a
	// folder has taken its place.
	Open(ctx context.Context, file string) (*Body, error)
	// Stat asks for one entry. It costs the source as much as opening a file.
	Stat(ctx context.Context, entry string) (Entry, error)
	// Check asks for the root alone. It tells a source that is down from an
	// entry that can't be read. Fails with ReasonSourceMissing when there is no
	// root.
	Check(ctx context.Context) (Entry, error)
}

// TreeLister is what a Source may be besides: it lists folders from what one larger
// question brought.
type TreeLister interface {
	// ListInTree is Source.List, but the answer may be from a moment ago, when a
	// folder above this one was asked for. It is as trustworthy. Wraps ErrLater.
	ListInTree(ctx context.Context, folder string, yield func(Entry) error) (Entry, error)
	// Forget drops what is kept for folders to come: all that were found before are
	// listed.
	Forget()
}

// ErrLater is returned by a TreeLister that has no room for what is below a folder
// before the folders that were found earlier are listed.
var ErrLater = errors.New("no room for the tree of the folder yet")

// Fetcher is a Source whose files the target can fetch by itself, without their
// bytes passing through here. Optional; Open is still needed for what can't be
// fetched, and to compare contents.
type Fetcher interface {
	// Fetch has the target copy a file into its folder under its own name, and
	// gives what the target stored. Not idempotent, like Target.Create; and where
	// ctx ends it, or its answer is lost, the file may still come later. Wraps
	// ErrNameTaken, and ErrNotFetched where the file has to be streamed.
	Fetch(ctx context.Context, f File) (Stored, error)
}

// Paced is what a Source or a Target may be besides: its server takes only so much
// at once.
type Paced interface {
	// Pace may be nil, for no bound.
	Pace() Pace
}

// Pace bounds how much one server is asked for at once, by all migrations together.
// Safe for concurrent use.
type Pace interface {
	// Acquire waits for a place and fails with the cause of ctx.
	Acquire(ctx context.Context) error
	// Release gives the place back. took is how long the server needed for a file, 0
	// where that says nothing about others.
	Release(took time.Duration)
	// Busy notes that the server said it has too much to do.
	Busy()
	// Now is how many places there are, and how many are taken.
	Now() (limit, used int)
	// Most is up to which number of places it may grow; 0: there is no bound.
	Most() int
}

// Target is where files go: one instance. Folders and files are addressed by
// id. Safe for concurrent use. Errors are *Error.
type Target interface {
	// EnsureFolder gives the folder of that name, and makes it when it is not
	// there. Idempotent. Wraps ErrNameTaken when a file has the name.
	EnsureFolder(ctx context.Context, f NewFolder) (Stored, error)
	// Create streams a file and gives what the target stored. Not idempotent:
	// after an error with an unknown outcome a second call may wrap ErrNameTaken
	// because the first succeeded. A cut body leaves nothing behind.
	Create(ctx context.Context, f NewFile) (Stored, error)
	// Mark gives an entry those marks that it could not be created with.
	// Idempotent.
	Mark(ctx context.Context, id string, m Marks) error
	// AddMarks gives an entry marks besides those that it has. Idempotent.
	AddMarks(ctx context.Context, id string, m Marks) error
	// Find looks a name up in a folder, byte for byte. Wraps ErrNotFound.
	Find(ctx context.Context, parentID, name string) (Stored, error)
	// FindAll gives those of up to 1,000 files, by id, that exist outside of the
	// trash, in any order.
	FindAll(ctx context.Context, ids []string) ([]Stored, error)
	// Replace gives a file the content and the dates of another, and keeps what it
	// had as an old version. It wraps ErrModified, before or after the body was
	// read, unless the file is outside of the trash and has exactly the MD5 was:
	// what its owner changed is never replaced. After an error with an unknown
	// outcome a second call may wrap ErrModified because the first succeeded. A
	// cut body leaves the file as it is.
	Replace(ctx context.Context, id string, was []byte, f NewFile) (Stored, error)
	// Remove destroys a file that was created in this migration. Idempotent.
	Remove(ctx context.Context, id string) error
	// Check asks for the least that shows that the target serves us.
	Check(ctx context.Context) error
}
