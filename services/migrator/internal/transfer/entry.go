package transfer

import (
	"io"
	"slices"
	"time"
)

// Entry is one file or folder as the source listed it.
type Entry struct {
	Name      string
	Folder    bool
	Size      int64     // bytes; of a folder with all that is in it; -1 when the source does not know
	ModTime   time.Time // zero when the source does not say
	CreatedAt time.Time // zero when the source does not say
	ETag      string    // changes with the content
	SourceID  string    // stays when the entry is renamed
	MIME      string
	Checksums string // as the uploader claimed them, "SHA1:… MD5:…"; they may confirm, never condemn
	Marks
	// Permissions are the source's letters for what the account may do with the
	// entry; S for shared and M for mounted among them.
	Permissions string

	// SkipReason is set by the source on an entry that must be left out on
	// purpose, in words for the user.
	SkipReason string

	// FolderETag is the ETag that the folder around a child had before its children
	// were read, empty where the source did not say it first. While a folder keeps
	// its ETag no file in it has changed.
	FolderETag string
}

// Marks are what its owner put on an entry.
type Marks struct {
	Favorite bool
	Tags     []string // none is empty or holds a line break
}

// besides gives those marks that are not among others.
func (m Marks) besides(others Marks) Marks {
	return Marks{
		Favorite: m.Favorite && !others.Favorite,
		Tags:     slices.DeleteFunc(slices.Clone(m.Tags), func(tag string) bool { return slices.Contains(others.Tags, tag) }),
	}
}

// none says whether there is nothing to mark an entry with.
func (m Marks) none() bool { return !m.Favorite && len(m.Tags) == 0 }

// Body is the content of a source file while it is read.
type Body struct {
	// ReadCloser fails unless it delivers exactly Size bytes (where Size is
	// known). Closing it early is allowed and gives the connection up.
	io.ReadCloser
	Size      int64 // bytes; -1 when the source does not say
	ETag      string
	ModTime   time.Time // zero when the source does not say
	MIME      string
	Checksums string
}

// NewFile is a file to be created in the target.
type NewFile struct {
	ParentID  string
	Name      string
	Size      int64     // bytes, exact
	MD5       []byte    // 16 bytes where it is known before: the target refuses another body
	ModTime   time.Time // zero: the target's now
	CreatedAt time.Time // zero: ModTime
	MIME      string    // empty: the target goes by the name
	Marks               // as far as they can be given at once
	Body      io.Reader // read once; Size bytes
	Content   []byte    // instead of Body where all of it is at hand; never changed again
}

// NewFolder is a folder to be found or made in the target.
type NewFolder struct {
	ParentID  string
	Name      string
	ModTime   time.Time // zero: the target's now
	CreatedAt time.Time // zero: ModTime
	Marks               // as far as they can be given at once
}

// Stored is a file or folder as the target has it.
type Stored struct {
	ID       string
	ParentID string // the folder that it is in
	Name     string // as the target has it: it may not take all names
	Folder   bool
	Size     int64  // bytes
	MD5      []byte // 16 bytes; nil for a folder
}
