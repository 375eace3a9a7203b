package transfer

import (
	"path"
	"time"
)

// State of a migration, spelled as in the tracking document.
type State string

// The states. The last three are final.
const (
	StatePending   State = "pending"
	StateRunning   State = "running"
	StateCompleted State = "completed"
	StateFailed    State = "failed"
	StateCanceled  State = "canceled"
)

// Migration is one user's move as the ledger knows it.
type Migration struct {
	ID         string // of the tracking document
	Instance   string // host, with its port where it has one
	AccountID  string
	SourcePath string
	TargetDir  string // empty before the first slice
	Started    bool
	Canceled   bool // a cancellation was asked for
	Pauses     int  // in a row, without progress between
	// TraceParent is the trace that the request was part of, in W3C form. Empty:
	// none.
	TraceParent string
	// ReopenedFrom is the final state that a retry undid, until the tracking
	// document says so; empty otherwise.
	ReopenedFrom State
}

// Lease is the right of one worker to one migration, from Claim until it is
// released, lost or not renewed in time.
type Lease struct {
	Migration
	Owner string
	Term  int64
	// Orphaned: an earlier holder vanished after it began, so that what it had sent
	// may be in the target and not in the ledger.
	Orphaned bool
	// Parallel is for others to see, from a renewal on. Nil: nothing is asked for.
	Parallel *Parallel
}

// Final is how a migration ended.
type Final struct {
	State   State
	Reason  Reason // with StateFailed
	Missing int64  // with ReasonQuota: bytes of room that lack, 0 when it is not known
	// Unreported is why there is no report although there should be one.
	Unreported Reason
}

// Snapshot is a migration's row as one moment saw it, for the mirror.
type Snapshot struct {
	Migration
	Term          int64 // of the lease
	State         State
	FailureReason Reason // with state failed
	BytesMissing  int64  // with ReasonQuota
	Report        string // name of the report in the target folder, once it may be there
	ReportMD5     []byte
	Unreported    Reason // as in Final
	PauseReason   Reason // while a side is down
	DueAt         time.Time
	StartedAt     time.Time // zero when it did not start
	FinishedAt    time.Time // zero unless final

	FilesTotal, FilesDone, FilesFailed, FilesSkipped int64
	FoldersTotal, FoldersListed                      int64
	FoldersFailed, FoldersSkipped                    int64
	BytesExpected, BytesTotal, BytesDone             int64

	SourceIsFile bool // the path of the source is that of a single file

	Changed  int64 // counts the changes of the row
	Mirrored int64 // the change that the tracking document has
}

// Bytes is how much there is to copy, as far as it is known: while a folder is not
// listed, or where one could not be, the root's own sum is the better guess.
func (s Snapshot) Bytes() int64 {
	if s.FoldersTotal > 0 && s.FoldersListed+s.FoldersSkipped == s.FoldersTotal {
		return s.BytesTotal
	}
	return max(s.BytesTotal, s.BytesExpected)
}

// Path is where an entry is in the account, given its path from the root.
func (s Snapshot) Path(entry string) string {
	root := s.SourcePath
	if s.SourceIsFile {
		root = path.Dir(path.Clean("/" + root))
	}
	return path.Join("/", root, entry)
}

// Notice is one entry of a migration that failed or was skipped.
type Notice struct {
	Path   string
	Reason string // a Reason where it failed, words for the user where it was skipped
	Size   int64  // bytes
	At     time.Time
}

// Line is an entry of a migration for the report.
type Line struct {
	Path       string // from the root
	Folder     bool
	Outcome    Outcome // Postponed: it has no result yet
	Reason     string  // as in Notice
	Note       string  // of an entry that did arrive
	Size       int64   // bytes
	MD5        []byte  // of a file that was copied
	TargetPath string  // from the target folder
	Renamed    bool    // itself, not only a folder above it
}

// Lines is which entries of a migration are asked for.
type Lines string

// The choices. Whatever is not a problem is a file that was copied under its name
// and has nothing to be said of, or one without a result.
const (
	LinesFailed   Lines = "failed"
	LinesSkipped  Lines = "skipped"
	LinesRenamed  Lines = "renamed"
	LinesProblems Lines = "problems" // failed, skipped, renamed or noted
	LinesRest     Lines = "rest"     // all others
)

// Admission is what became of a request.
type Admission string

// The outcomes of an admission.
const (
	Admitted      Admission = "admitted"
	AlreadyKnown  Admission = "already_known"  // a repeated message
	AlreadyActive Admission = "already_active" // another migration of the instance is; recorded as failed
	AlreadyOver   Admission = "already_over"   // canceled before it was requested; recorded as canceled
)

// Renewal is what a holder learns when it renews its lease.
type Renewal struct {
	Canceled bool // the user wants the migration to end
	Waiting  bool // another migration is due and has no slot
}

// Overview is what all migrations together are like at one moment, for metrics.
type Overview struct {
	States map[State]int64
	Paused map[Reason]int64 // active, by what is away

	Waiting   int64         // due, and without a holder
	Wait      time.Duration // the longest that one of them has been due
	Stalled   time.Duration // the longest that one with a holder has got nothing done
	MirrorLag time.Duration // the longest that a tracking document has been behind
	Bytes     int64         // the ledger's size on disk
}
