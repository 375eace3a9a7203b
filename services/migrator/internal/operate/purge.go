package operate

import (
	"context"
	"time"
)

// Retention is what removes old migrations from the ledger.
type Retention interface {
	// Expired counts migrations that ended longer ago than age, whose tracking
	// document says so and whose app password is given back, and their files.
	Expired(ctx context.Context, age time.Duration) (migrations, files int64, err error)
	// Expire marks up to limit of them, and gives those with marks of an earlier
	// call: from then on they can't be opened again.
	Expire(ctx context.Context, age time.Duration, limit int) (ids []string, err error)
	// RemoveEntries removes up to limit entries of a marked migration and gives
	// how many it found.
	RemoveEntries(ctx context.Context, id string, limit int) (int64, error)
	// Remove removes a marked migration without entries.
	Remove(ctx context.Context, id string) error
	// RemoveCancellations removes those older than age whose request never came.
	RemoveCancellations(ctx context.Context, age time.Duration) (int64, error)
}

// Purged is what a purge removed.
type Purged struct {
	Migrations    int64 `json:"migrations"`
	Entries       int64 `json:"entries"` // files, folders and notices
	Cancellations int64 `json:"cancellations"`
}

// Rows of one transaction, so that no purge holds locks for long.
const (
	purgeMigrations = 100
	purgeEntries    = 10_000
)

// Purge removes what ended longer ago than age. It may be cut short or run twice
// at once: what is marked is found again.
func (o Operator) Purge(ctx context.Context, age time.Duration) (Purged, error) {
	var p Purged
	for {
		ids, err := o.Ledger.Expire(ctx, age, purgeMigrations)
		if err != nil {
			return p, err
		}
		if len(ids) == 0 {
			p.Cancellations, err = o.Ledger.RemoveCancellations(ctx, age)
			return p, err
		}
		for _, id := range ids {
			if err := o.purge(ctx, id, &p); err != nil {
				return p, err
			}
		}
	}
}

// purge removes one migration. If we stop within, it is marked and has fewer
// entries: the next purge goes on.
func (o Operator) purge(ctx context.Context, id string, p *Purged) error {
	for {
		n, err := o.Ledger.RemoveEntries(ctx, id, purgeEntries)
		if err != nil {
			return err
		}
		p.Entries += n
		if n == 0 {
			break
		}
	}
	if err := o.Ledger.Remove(ctx, id); err != nil {
		return err
	}
	p.Migrations++
	return nil
}
