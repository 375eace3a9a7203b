package request

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"example.org/ncm/pkg/contract"
)

// A deletion holds its document: SourceDeletingAt is when its process last said that
// it is alive. Until that is holdFor ago no other process deletes the source and
// no migration of the instance starts.
const (
	holdFor   = contract.DeletionHold
	holdRenew = 15 * time.Second
	// holdTrust is how long a process relies on its hold after it last renewed
	// it; the rest is for requests in hand.
	holdTrust = 45 * time.Second
)

// errHoldLost ends a deletion whose document tells that it is not held by this
// process any more, or not for long.
var errHoldLost = errors.New("the hold on the document is lost")

// StopErasing ends the deletions under way, after the request to the source that
// each has in hand is cut. Their callers are told to ask again.
func (d *Desk) StopErasing() { d.stopErasing() }

// outlive gives a context that ends with the service and not with the caller.
func (d *Desk) outlive(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), eraseTimeout)
	release := context.AfterFunc(d.erasing, cancel)
	return ctx, func() { release(); cancel() }
}

// hold is the right to delete one source. One goroutine renews it.
type hold struct {
	desk         *Desk
	instance, id string
	at           time.Time // as it is in the document; of the goroutine until it ended
}

// takeHold makes the document say that its source is being deleted, or returns
// why it must not be.
func (d *Desk) takeHold(ctx context.Context, instance, id string) (*hold, error) {
	h := &hold{desk: d, instance: instance, id: id}
	// A caller who goes away must not leave the outcome unknown.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
	defer cancel()
	err := h.write(ctx, func(document *Document) error {
		switch {
		case document.Status != contract.StatusCompleted:
			return conflict() // it was opened again since
		case document.SourceDeletedAt != nil:
			return alreadyDeleted()
		case document.SourceDeleting(time.Now()):
			return beingDeleted()
		}
		return nil
	})
	if errors.Is(err, ErrNotFound) {
		return nil, notFound(err)
	}
	return h, err
}

// write notes the time in the document unless check objects.
func (h *hold) write(ctx context.Context, check func(*Document) error) error {
	var at time.Time
	_, err := h.desk.Documents.Change(ctx, h.instance, h.id, func(document *Document) error {
		if err := check(document); err != nil {
			return err
		}
		at = time.Now().UTC()
		document.SourceDeletingAt = &at
		return nil
	})
	if err != nil {
		return fmt.Errorf("hold the document: %w", err)
	}
	h.at = at
	return nil
}

// own returns errHoldLost for a document that another process holds.
func (h *hold) own(document *Document) error {
	if !h.at.Equal(instant(document.SourceDeletingAt)) {
		return errHoldLost
	}
	return nil
}

// during calls erase with a context that does not end with the caller, but with
// the hold, the service and the patience for one deletion.
func (h *hold) during(ctx context.Context, erase func(context.Context) error) error {
	ctx, release := h.desk.outlive(ctx)
	defer release()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)

	var renewing sync.WaitGroup
	renewing.Go(func() { h.renew(ctx, cancel) })
	err := erase(ctx)
	if ctx.Err() != nil {
		err = &Error{
			Code:    CodeUnavailable,
			Message: "the nextcloud migration source is not deleted completely yet, please retry",
			Cause:   errors.Join(context.Cause(ctx), err),
		}
	}
	cancel(nil)
	renewing.Wait()
	return err
}

// renew keeps the hold until ctx ends, and ends ctx when the hold is lost or
// could not be renewed for too long.
func (h *hold) renew(ctx context.Context, lost context.CancelCauseFunc) {
	expiry := time.AfterFunc(holdTrust, func() { lost(errHoldLost) })
	defer expiry.Stop()
	tick := time.NewTicker(holdRenew)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		began := time.Now()
		// A write whose outcome is unknown would be taken for another's, so the
		// end of the deletion does not cut it.
		writing, cancel := context.WithTimeout(context.WithoutCancel(ctx), holdRenew)
		err := h.write(writing, h.own)
		cancel()
		switch {
		case err == nil:
			expiry.Reset(holdTrust - time.Since(began))
		case errors.Is(err, errHoldLost):
			lost(errHoldLost)
			return
		default:
			h.desk.Logger.WarnContext(ctx, "hold on a deletion not renewed", "migration", h.id, "instance", h.instance, "error", err)
		}
	}
}

// end gives the document back, after change if there is one. It is left alone
// when it is held by another process, which goes on with the deletion.
func (h *hold) end(ctx context.Context, change func(*Document)) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
	defer cancel()
	_, err := h.desk.Documents.Change(ctx, h.instance, h.id, func(document *Document) error {
		if err := h.own(document); err != nil {
			return err
		}
		document.SourceDeletingAt = nil
		change(document)
		return nil
	})
	return err //nolint:wrapcheck // the callers name what is written
}

// giveBack lets a deletion that did not end be gone on with at once. Where that
// fails, it may be after holdFor.
func (h *hold) giveBack(ctx context.Context) {
	if err := h.end(ctx, func(*Document) {}); err != nil {
		h.desk.Logger.WarnContext(ctx, "hold on a deletion not given back", "migration", h.id, "instance", h.instance, "error", err)
	}
}
