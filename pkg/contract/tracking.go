package contract

import "time"

// Status of a migration as the tracking document spells it.
type Status string

// The life of a migration: pending, running, then one of the three final ones.
const (
	StatusPending   Status = "pending"
	StatusRunning   Status = "running"
	StatusCompleted Status = "completed"
	StatusFailed    Status = "failed"
	StatusCanceled  Status = "canceled"
)

// Final says whether nothing changes any more.
func (s Status) Final() bool {
	return s == StatusCompleted || s == StatusFailed || s == StatusCanceled
}

// MaxListed is how many errors and how many skipped entries a tracking document
// holds; what is beyond is counted in the *_truncated_count fields.
const MaxListed = 1000

// SchemaVersion is what the migrator writes as schema_version.
const SchemaVersion = 2

// Tracking is the tracking document without _id and _rev, with the fields in
// the order that the stack gives them. Fields that it does not name have to be
// kept by whoever writes the document.
type Tracking struct {
	Status          Status     `json:"status"`
	TargetDir       string     `json:"target_dir"`
	SourcePath      string     `json:"source_path"`
	Progress        Progress   `json:"progress"`
	Errors          []Failure  `json:"errors"`  // never null
	Skipped         []Skip     `json:"skipped"` // never null
	StartedAt       *time.Time `json:"started_at"`
	FinishedAt      *time.Time `json:"finished_at"`
	CancelRequested bool       `json:"cancel_requested,omitempty"`
	CanceledAt      *time.Time `json:"canceled_at,omitempty"`
	SourceDeletedAt *time.Time `json:"source_deleted_at,omitempty"`
	// SourceDeletingAt is when the trigger that deletes the source last said that it is
	// alive. An addition of this service.
	SourceDeletingAt *time.Time `json:"source_deleting_at,omitempty"`

	SchemaVersion         int        `json:"schema_version,omitempty"`
	ErrorsTruncatedCount  int64      `json:"errors_truncated_count,omitempty"`
	SkippedTruncatedCount int64      `json:"skipped_truncated_count,omitempty"`
	LastHeartbeatAt       *time.Time `json:"last_heartbeat_at,omitempty"`
	FailureReason         string     `json:"failure_reason,omitempty"`
	// PauseReason says in words why a running migration waits at the moment. An
	// addition of this service.
	PauseReason string `json:"pause_reason,omitempty"`
	// Report is the path of the report in the instance, ReportMissing says in words
	// why a migration that is over has none although it should. Additions of this
	// service.
	Report        string `json:"report,omitempty"`
	ReportMissing string `json:"report_missing,omitempty"`
}

// DeletionHold is for how long a trigger that deletes a source is believed to be alive.
const DeletionHold = time.Minute

// SourceDeleting says whether the source is being deleted.
func (t *Tracking) SourceDeleting(now time.Time) bool {
	return t.SourceDeletingAt != nil && now.Sub(*t.SourceDeletingAt) < DeletionHold
}

// Progress counts files and bytes; folders are not counted.
type Progress struct {
	FilesImported int64 `json:"files_imported"`
	FilesTotal    int64 `json:"files_total"`
	BytesImported int64 `json:"bytes_imported"`
	BytesTotal    int64 `json:"bytes_total"`
}

// Failure is one entry that could not be copied, or (with an empty path) what
// ended the migration.
type Failure struct {
	Path    string    `json:"path"`
	Message string    `json:"message"`
	At      time.Time `json:"at"`
}

// Skip is one entry that was left out on purpose.
type Skip struct {
	Path   string `json:"path"`
	Reason string `json:"reason"`
	Size   int64  `json:"size"` // bytes
}

// NewTracking is the document of a migration that was just asked for.
func NewTracking(sourcePath, targetDir string) Tracking {
	return Tracking{
		Status:     StatusPending,
		SourcePath: sourcePath,
		TargetDir:  targetDir,
		Errors:     []Failure{},
		Skipped:    []Skip{},
	}
}
