package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/pkg/failpoint"
	"example.org/ncm/pkg/tracing"
	"example.org/ncm/services/migrator/internal/transfer"
)

// ErrDead is wrapped by an admission error that no redelivery can mend. Its text
// goes into the dead letter's headers and quotes nothing of the message.
var ErrDead = errors.New("message refused")

// Admission turns messages into rows of the ledger.
type Admission struct {
	Ledger Admissions
	// Host checks that a message's instance is one of ours and gives its
	// canonical form.
	Host   func(fqdn string) (string, error)
	Sides  Sides
	Logger *slog.Logger
}

// Requested records a request. A nil error means that the ledger has it, and the
// message may be acknowledged.
func (a Admission) Requested(ctx context.Context, body []byte) error {
	msg, err := contract.DecodeRequested(body)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDead, err)
	}
	host, err := a.Host(msg.WorkplaceFQDN)
	if err != nil {
		return fmt.Errorf("%w: workplaceFqdn is not an instance of this service", ErrDead)
	}
	if err := a.makeWay(ctx, host, msg.MigrationID); err != nil {
		return fmt.Errorf("look for an earlier request: %w", err)
	}
	admission, err := a.Ledger.Admit(ctx, transfer.Migration{
		ID: msg.MigrationID, Instance: host, AccountID: msg.AccountID, SourcePath: msg.SourcePath,
		TraceParent: tracing.Parent(ctx),
	}, time.Unix(msg.Timestamp, 0))
	if err != nil {
		return fmt.Errorf("admit migration %s: %w", msg.MigrationID, err)
	}
	// If we stop here, the ledger has the request and the broker still has the
	// message: it comes again, and its id is known already.
	failpoint.Here(failpoint.Admitted)
	a.Logger.InfoContext(ctx, "migration requested", "migration", msg.MigrationID, "instance", host, "admission", admission)
	return nil
}

// makeWay withdraws a request that waits for a slot while its tracking document says
// that it is over. The trigger tells its caller of a failure when it does not know
// whether the broker has the message: the user's next request must not fail on it.
func (a Admission) makeWay(ctx context.Context, host, id string) error {
	waiting, err := a.Ledger.Waiting(ctx, host, id)
	if err != nil || waiting == "" {
		return err
	}
	if !a.over(ctx, host, waiting) {
		return nil
	}
	withdrawn, err := a.Ledger.Withdraw(ctx, waiting)
	if err == nil && !withdrawn {
		err = errBegun
	}
	if err == nil {
		a.Logger.InfoContext(ctx, "request withdrawn for a later one", "migration", waiting, "instance", host)
	}
	return err
}

// over says whether a tracking document is known to be final or gone. An instance
// that does not answer must not hold the messages of others up.
func (a Admission) over(ctx context.Context, host, id string) bool {
	instance, err := a.Sides.Instance(host)
	if err != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, lookAtDocument)
	defer cancel()
	doc, err := instance.Tracking(ctx, id)
	return errors.Is(err, ErrNoDocument) || err == nil && doc.Status.Final()
}

// lookAtDocument bounds how long an admission waits for an instance.
const lookAtDocument = 5 * time.Second

// errBegun: a worker has just begun with the earlier request, and is about to find
// that it is over.
var errBegun = errors.New("the earlier request is being looked at")

// Canceled records a cancellation; see Requested.
func (a Admission) Canceled(ctx context.Context, body []byte) error {
	msg, err := contract.DecodeCanceled(body)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDead, err)
	}
	host, err := a.Host(msg.WorkplaceFQDN)
	if err != nil {
		return fmt.Errorf("%w: workplaceFqdn is not an instance of this service", ErrDead)
	}
	ours, err := a.Ledger.Cancel(ctx, msg.MigrationID, host)
	if err != nil {
		return fmt.Errorf("cancel migration %s: %w", msg.MigrationID, err)
	}
	if !ours {
		return fmt.Errorf("%w: the migration belongs to another instance", ErrDead)
	}
	// If we stop here, the message comes again, and changes nothing.
	failpoint.Here(failpoint.Canceled)
	a.Logger.InfoContext(ctx, "cancellation requested", "migration", msg.MigrationID, "instance", host)
	return nil
}
