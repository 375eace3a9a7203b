package operate

import (
	"fmt"
	"time"

	"example.org/ncm/services/migrator/internal/transfer"
)

// Migration is one row of the ledger as an operator sees it. Times are the
// database's; nil means that it did not happen.
type Migration struct {
	ID         string         `json:"id"`
	Instance   string         `json:"instance"`
	SourcePath string         `json:"source_path"`
	TargetDir  string         `json:"target_dir"`
	State      transfer.State `json:"state"`
	Reason     string         `json:"reason,omitempty"` // why it failed, or waits: a transfer.Reason
	Owner      string         `json:"owner,omitempty"`  // the worker that holds the lease now
	Attempts   int64          `json:"attempts"`         // leases so far
	Pauses     int            `json:"pauses"`           // in a row
	Once       bool           `json:"once"`             // belongs to migrate-once
	Purged     bool           `json:"purged"`           // its entries are being removed

	RequestedAt       time.Time  `json:"requested_at"`
	StartedAt         *time.Time `json:"started_at"`
	FinishedAt        *time.Time `json:"finished_at"`
	CancelRequestedAt *time.Time `json:"cancel_requested_at"`
	DueAt             time.Time  `json:"due_at"`
	LeaseUntil        *time.Time `json:"lease_until"`
	MirroredAt        *time.Time `json:"mirrored_at"`
	Behind            bool       `json:"behind"` // the tracking document lacks the newest
	Now               time.Time  `json:"now"`

	FilesTotal     int64 `json:"files_total"`
	FilesDone      int64 `json:"files_done"`
	FilesFailed    int64 `json:"files_failed"`
	FilesSkipped   int64 `json:"files_skipped"`
	FoldersTotal   int64 `json:"folders_total"`
	FoldersListed  int64 `json:"folders_listed"`
	FoldersFailed  int64 `json:"folders_failed"`
	FoldersSkipped int64 `json:"folders_skipped"`
	BytesExpected  int64 `json:"bytes_expected"`
	BytesTotal     int64 `json:"bytes_total"`
	BytesDone      int64 `json:"bytes_done"`

	// Parallel is what the holder of the lease asked of both servers at its last
	// renewal, for all its migrations together.
	Parallel *transfer.Parallel `json:"parallel,omitempty"`

	// What follows is worked out from the above.
	Status         string  `json:"status" db:"-"`           // in words
	LastError      string  `json:"last_error" db:"-"`       // in words
	Progress       float64 `json:"progress" db:"-"`         // 0 to 1
	BytesPerSecond float64 `json:"bytes_per_second" db:"-"` // 0: not known
	SecondsLeft    float64 `json:"seconds_left" db:"-"`     // negative: not known
}

// final says whether the migration is over.
func (m *Migration) final() bool { return m.FinishedAt != nil }

// failed is how many entries could not be copied.
func (m *Migration) failed() int64 { return m.FilesFailed + m.FoldersFailed }

// Expected is how many bytes the migration is known, or else said, to have.
func (m *Migration) Expected() int64 {
	if m.FoldersListed+m.FoldersFailed+m.FoldersSkipped < m.FoldersTotal || m.FoldersTotal == 0 {
		return max(m.BytesTotal, m.BytesExpected)
	}
	return m.BytesTotal
}

// workOut fills in what follows from the row; the speed is the mean since the
// start unless a Meter knows better.
func (m *Migration) workOut() {
	m.Status = m.inWords()
	if m.Reason != "" {
		m.LastError = transfer.Reason(m.Reason).Message()
	}
	m.Progress = m.progress()
	m.SecondsLeft = -1
	if m.State != transfer.StateRunning || m.StartedAt == nil {
		return
	}
	if took := m.Now.Sub(*m.StartedAt).Seconds(); took > 0 {
		m.setSpeed(float64(m.BytesDone) / took)
	}
}

func (m *Migration) setSpeed(bytesPerSecond float64) {
	m.BytesPerSecond, m.SecondsLeft = bytesPerSecond, -1
	if left := m.Expected() - m.BytesDone; bytesPerSecond > 0 && left >= 0 {
		m.SecondsLeft = float64(left) / bytesPerSecond
	}
}

// progress goes by bytes, or by files where there are no bytes to speak of. It is
// whole only when the migration is.
func (m *Migration) progress() float64 {
	if m.State == transfer.StateCompleted {
		return 1
	}
	part := 0.0
	switch expected := m.Expected(); {
	case expected > 0:
		part = float64(m.BytesDone) / float64(expected)
	case m.FilesTotal > 0:
		part = float64(m.FilesDone) / float64(m.FilesTotal)
	}
	return min(part, 0.99)
}

// inWords is the state as an operator would say it.
func (m *Migration) inWords() string {
	waits := m.DueAt.Sub(m.Now).Round(time.Second)
	switch {
	case m.State == transfer.StateCompleted && m.failed() > 0:
		return "completed, " + Count(m.failed(), "entry", "entries") + " failed"
	case m.final():
		return string(m.State)
	case m.CancelRequestedAt != nil:
		return "being canceled"
	case m.Owner != "":
		return "running"
	case waits > 0 && m.Reason != "":
		return fmt.Sprintf("paused, next try in %s", waits)
	case waits > 0:
		return fmt.Sprintf("some entries are tried again in %s", waits)
	case m.LeaseUntil != nil:
		return "waits to be taken over"
	default:
		return "waits for a worker"
	}
}

// Count says how many of something there are.
func Count(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// Entry is one file or folder of a migration. Its path is personal data.
type Entry struct {
	ID     int64      `json:"id"` // grows within a result; the next page starts after it
	Path   string     `json:"path"`
	Reason string     `json:"reason,omitempty"`
	Words  string     `json:"words,omitempty" db:"-"`
	Size   int64      `json:"size"` // bytes
	At     *time.Time `json:"at"`
	Name   string     `json:"target_name,omitempty"` // in the target, where it differs
	Note   string     `json:"note,omitempty"`
}

// Results are what entries are asked for by.
var Results = []string{"failed", "skipped", "pending", "done"} //nolint:gochecknoglobals // never written

// Event is one step in the life of a migration.
type Event struct {
	At     time.Time `json:"at"`
	Kind   string    `json:"kind"`
	Worker string    `json:"worker,omitempty"`
	Reason string    `json:"reason,omitempty"`
	Words  string    `json:"words" db:"-"`
}

func (e *Event) inWords() {
	e.Words = map[string]string{
		"requested":        "Requested",
		"claimed":          "A worker began",
		"taken_over":       "Another worker took over: the one before had vanished",
		"released":         "The worker gave it back, others may go on",
		"paused":           "Paused until its next try",
		"cancel_requested": "Cancellation asked for",
		"completed":        "Completed",
		"failed":           "Failed",
		"canceled":         "Canceled",
		"reopened":         "An operator had it tried again",
	}[e.Kind]
	if e.Reason != "" {
		e.Words += ": " + transfer.Reason(e.Reason).Message()
	}
}

// ReasonCount is how many entries have one result for one reason.
type ReasonCount struct {
	Result string `json:"result"`
	Reason string `json:"reason"`
	Words  string `json:"words" db:"-"`
	Count  int64  `json:"count"`
}

// words of an entry's reason: a skip's are in the ledger, a failure's in the
// engine's vocabulary.
func words(result, reason string) string {
	if result == "skipped" || reason == "" {
		return reason
	}
	return transfer.Reason(reason).Message()
}
