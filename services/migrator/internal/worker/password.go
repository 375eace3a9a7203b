package worker

import (
	"context"
	"log/slog"
	"time"

	"example.org/ncm/pkg/failpoint"
	"example.org/ncm/services/migrator/internal/transfer"
)

const (
	// returnPoll is how often passwords are looked for that are to be given back.
	returnPoll = 2 * time.Second
	// returnTimeout bounds what it takes to give one back.
	returnTimeout = 30 * time.Second
)

// Returns gives back the app passwords that the trigger had made for migrations which
// are over. All fields are required.
type Returns struct {
	Ledger Returned
	Sides  Issuer
	After  time.Duration // since the end of a migration that an operator may retry
	Logger *slog.Logger
}

// Returned records what is given back. Errors as those of Ledger.
type Returned interface {
	// PasswordsDue takes migrations whose password is due; each is due again later.
	PasswordsDue(ctx context.Context, after time.Duration, limit int) ([]transfer.Migration, error)
	PasswordReturned(ctx context.Context, id string) error
}

// Issuer is where passwords were made.
type Issuer interface {
	// ReturnPassword ends the migration's app password if there is one that was made
	// for it. Idempotent; an error means that it may be done later.
	ReturnPassword(ctx context.Context, m transfer.Migration) error
}

// Run works until ctx ends.
func (r Returns) Run(ctx context.Context) error {
	tick := time.NewTicker(returnPoll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		due, err := r.Ledger.PasswordsDue(ctx, r.After, 20)
		if err != nil && ctx.Err() == nil {
			r.Logger.WarnContext(ctx, "no look for app passwords", "error", err)
		}
		for _, m := range due {
			if err := r.giveBack(ctx, m); err != nil && ctx.Err() == nil {
				r.Logger.WarnContext(ctx, "app password not given back yet", "migration", m.ID, "instance", m.Instance, "error", err)
			}
		}
	}
}

func (r Returns) giveBack(ctx context.Context, m transfer.Migration) error {
	ctx, cancel := context.WithTimeout(ctx, returnTimeout)
	defer cancel()
	if err := r.Sides.ReturnPassword(ctx, m); err != nil {
		return err
	}
	// If we stop here, the password is given back and the ledger does not know: it is
	// given back once more, which the source refuses as a login that has ended.
	failpoint.Here(failpoint.PasswordReturned)
	return r.Ledger.PasswordReturned(ctx, m.ID)
}
