package transfer

import (
	"context"
	"errors"
	"time"
)

// ErrLeaseLost is returned by every write of a holder whose term is over, and is
// the cause with which its work is cancelled: it may not write anything more.
var ErrLeaseLost = errors.New("lease lost")

// Ledger is the record of one migration, bound to one term of its lease: every
// write checks the term and returns ErrLeaseLost when another holds it. Safe for
// concurrent use; writes are atomic and may be repeated.
type Ledger interface {
	// Folders gives folders still to be listed, with ids above after, in the
	// order of their ids. An empty answer means that there are none now.
	Folders(ctx context.Context, after int64, limit int) ([]Folder, error)
	// Files gives files still to be copied, with ids above after, in the order
	// of their ids, and with what earlier migrations of the same account made of
	// them.
	Files(ctx context.Context, after int64, limit int) ([]File, error)
	// LargeFiles is Files for those of LargeFile bytes and more alone.
	LargeFiles(ctx context.Context, after int64, limit int) ([]File, error)
	// LastFile is the highest id that a file has so far, 0 when there is none. What
	// comes later gets a higher one.
	LastFile(ctx context.Context) (int64, error)
	// Underway gives files still to be copied: of those with equally many passes
	// behind them, large or not, the first by id, and all with suspects.
	Underway(ctx context.Context, limit int) ([]File, error)
	// AddPage records what was read of a folder's listing so far. Children that
	// are known already stay as they are, and so does the folder's ETag: it is not
	// later than any of them.
	AddPage(ctx context.Context, p Page) error
	// RecordFolder records a folder that could not be listed.
	RecordFolder(ctx context.Context, r FolderResult) error
	// Folder gives a folder as it stands now, whatever its state.
	Folder(ctx context.Context, id int64) (Folder, error)
	// ETagAbove gives the ETag that the folder at a path, which is this one or one
	// above it, had when its listing began; empty while that is not known.
	ETagAbove(ctx context.Context, folderID int64, path string) (string, error)
	// SetTarget records where a folder is in the target from now on.
	SetTarget(ctx context.Context, f Folder) error
	// Copied says whether the file of that name beside f, in this migration or an earlier
	// one of the same account, is the one that the target has under that id.
	Copied(ctx context.Context, f File, name, targetID string) (bool, error)
	// Suspect records that a file's copy of that id in the target is bad and is going
	// to be removed: Files names it until the file has a result.
	Suspect(ctx context.Context, fileID int64, targetID string) error
	// Record writes the results of files together. A result for a file that has
	// one already changes nothing and is not counted again.
	Record(ctx context.Context, results []Result) error
	// RecordLate writes those that were copied under a term that is over, where the
	// migration is over too; else it returns ErrLeaseLost.
	RecordLate(ctx context.Context, results []Result) error
}

// Folder is a folder of the ledger whose listing is still to be read.
type Folder struct {
	ID           int64
	ParentID     int64 // 0: it is the root
	Name         string
	Path         string // from the root, "" is the root
	ParentTarget string // target id of the parent folder; empty for the root
	TargetID     string // empty when it is not known to exist in the target
	TargetName   string // with TargetID, where it differs from Name
	ModTime      time.Time
	CreatedAt    time.Time
	Marks
	Attempts int // passes that ended in an error that may pass
}

// File is a file of the ledger that is still to be copied.
type File struct {
	ID           int64
	Name         string
	FolderID     int64
	FolderPath   string
	FolderTarget string // target id of the folder it goes to
	FolderETag   string // of the folder when its listing began; empty while it is not known
	Size         int64  // bytes, as listed
	ModTime      time.Time
	CreatedAt    time.Time
	ETag         string
	MIME         string
	Checksums    string
	Marks
	Attempts int      // passes that ended in an error that may pass
	Suspects []string // target ids of copies that are bad, and may be there still
	Earlier  *Earlier // nil: no earlier migration copied it to this folder
}

// Earlier is what the last of the earlier migrations that copied a file to the
// same folder of the target knew of it.
type Earlier struct {
	TargetID  string
	MD5       []byte // of what was copied
	Unchanged bool   // the source lists the file now as it did then
	Marks     Marks  // that the source listed it with then

	// There is what the target has of it now, as the engine found it. Nil: nothing,
	// or it is in another place.
	There *Stored
}

// Path is the file's path from the root.
func (f File) Path() string { return join(f.FolderPath, f.Name) }

func join(folder, name string) string {
	if folder == "" {
		return name
	}
	return folder + "/" + name
}

// Page is a part of a folder's listing. The last one has Complete set: only then
// is the folder listed.
type Page struct {
	Folder   Folder // with TargetID
	Entries  []Entry
	Complete bool
	ETag     string // of the folder when the listing began; empty while the source did not say
}

// Outcome is what became of one file.
type Outcome string

// The outcomes of a file.
const (
	Done      Outcome = "done"
	Failed    Outcome = "failed"
	Skipped   Outcome = "skipped"
	Postponed Outcome = "postponed" // tried again in a later pass
)

// Result is what became of one file in this pass.
type Result struct {
	File       File
	Outcome    Outcome
	Reason     Reason // unless Done; its words are what a skipped file is reported with
	Size       int64  // bytes copied, with Done
	MD5        []byte // with Done
	TargetID   string // with Done
	TargetName string // with Done, where it differs from the file's name
	Note       string // for the report

	recognized bool // an earlier migration copied it
	took       Took
}

// FolderResult is a folder that could not be listed.
type FolderResult struct {
	Folder  Folder
	Outcome Outcome // Failed or Postponed
	Reason  Reason
}
