package worker

import (
	"context"
	"errors"
	"time"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/services/migrator/internal/transfer"
)

// Ledger is the record of all migrations. Safe for concurrent use. An error that
// passes is a *transfer.Error of class Again; a write under a term that is over
// returns transfer.ErrLeaseLost.
type Ledger interface {
	Admissions
	Leases
	Mirrored
	Reported
}

// Admissions records what the messages ask for. Idempotent.
type Admissions interface {
	Admit(ctx context.Context, m transfer.Migration, requested time.Time) (transfer.Admission, error)
	// Waiting gives a migration of the instance, other than the one of that id, that
	// nobody has worked on yet; empty when there is none.
	Waiting(ctx context.Context, instance, id string) (other string, err error)
	// Withdraw ends a migration unless somebody has begun to work on it.
	Withdraw(ctx context.Context, id string) (bool, error)
	// Cancel gives false when the migration belongs to another instance.
	Cancel(ctx context.Context, id, instance string) (bool, error)
}

// Leases hands out the right to work.
type Leases interface {
	// Claim takes the migration that is due and was served longest ago.
	Claim(ctx context.Context, owner string, ttl time.Duration) (lease transfer.Lease, takenOver, ok bool, err error)
	Renew(ctx context.Context, lease transfer.Lease, ttl time.Duration) (transfer.Renewal, error)
	// Begin records that the migration runs, into targetDir. Idempotent.
	Begin(ctx context.Context, lease transfer.Lease, targetDir string) error
	// Root records the folder to start from and the account it is in. Idempotent.
	Root(ctx context.Context, lease transfer.Lease, targetID, sourceKey string, root transfer.Entry) error
	// Release gives the lease back; the migration is due again after wait.
	Release(ctx context.Context, lease transfer.Lease, wait time.Duration, pauses int, reason transfer.Reason) error
	// CopiedBefore gives the bytes that other migrations brought into the instance.
	CopiedBefore(ctx context.Context, m transfer.Migration) (int64, error)
	// Finish sets a final state; false when a completed one has entries left.
	Finish(ctx context.Context, lease transfer.Lease, final transfer.Final) (bool, error)
}

// Mirrored is what the mirror reads, and where it notes what it wrote.
type Mirrored interface {
	Snapshot(ctx context.Context, id string) (s transfer.Snapshot, ok bool, err error)
	Notices(ctx context.Context, id string, kind transfer.Outcome, limit int) ([]transfer.Notice, error)
	Mirrored(ctx context.Context, id string, term, changed int64) error
	// Behind takes migrations that nobody works on and whose document is behind.
	Behind(ctx context.Context, heartbeat time.Duration, limit int) ([]string, error)
}

// Reported is what the report is made of, and where it is noted.
type Reported interface {
	// Lines gives entries to yield, always in the same order. An error of yield ends
	// it and is returned as it is.
	Lines(ctx context.Context, id string, which transfer.Lines, yield func(transfer.Line) error) error
	// Report notes under which name a report of that MD5 is about to be written.
	Report(ctx context.Context, lease transfer.Lease, name string, md5 []byte) error
}

// ErrNoDocument is wrapped when a tracking document does not exist.
var ErrNoDocument = errors.New("no such document")

// Instance is one user's Cozy. Errors are *transfer.Error; safe for concurrent use.
type Instance interface {
	Tracking(ctx context.Context, id string) (contract.Tracking, error)
	// WriteTracking reads the document, has it updated, and writes it with the
	// revision that was read; after a conflict all of it again. An update that
	// returns an error ends it without a write, with that error. Fields that
	// contract.Tracking does not name are kept.
	WriteTracking(ctx context.Context, id string, update func(context.Context, *contract.Tracking) error) error
	// Deleting says whether the source of a migration of the instance is being deleted.
	Deleting(ctx context.Context) (bool, error)
	// Target opens the folder at targetDir, which is made where it is missing.
	Target(ctx context.Context, targetDir string) (target transfer.Target, folderID string, err error)
	// Room is how many bytes the instance takes on; limited is false when it has
	// no quota.
	Room(ctx context.Context) (bytes int64, limited bool, err error)
}

// Sides opens the two ends of a migration.
type Sides interface {
	// Instance fails when the host is not one of ours.
	Instance(host string) (Instance, error)
	// Source reads the account with its login, which stays in memory. The key is
	// the same for the same account alone, and does not tell which one it is.
	Source(ctx context.Context, m transfer.Migration) (source transfer.Source, key string, err error)
}
