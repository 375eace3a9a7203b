package request

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"
)

// errInterrupted is what the document of a request says that died before it
// came to the message.
var errInterrupted = &Error{
	Code:    CodeUnavailable,
	Message: "the migration was interrupted before it started, please retry",
}

// refuseSecond returns the conflict when the instance has an active document, or
// one whose source is being deleted.
// On the way it repairs what died: an abandoned document is marked failed and
// no longer in the way, the message of a stuck one is published again.
func (d *Desk) refuseSecond(ctx context.Context, instance string) error {
	active, err := d.Documents.Active(ctx, instance)
	if err != nil {
		return fmt.Errorf("list active documents: %w", err)
	}
	var refusal error
	for _, document := range active {
		if document.abandoned(time.Now()) {
			err := d.overrule(ctx, instance, document.ID, errInterrupted)
			if err == nil {
				continue
			}
			if CodeOf(err) != CodeConflict {
				return err
			}
		}
		refusal = cmp.Or(refusal, document.inTheWay(time.Now()))
		d.revive(ctx, instance, document)
	}
	return refusal
}

// revive publishes the message of a stuck document again. The caller is refused
// whether that works or not, so a failure is only logged: the next request
// after a minute tries again.
func (d *Desk) revive(ctx context.Context, instance string, document Document) {
	if document.Status.Final() || !document.stuck(time.Now()) && !document.unmet() {
		return
	}
	if err := d.republish(ctx, instance, document.ID); err != nil {
		d.Logger.WarnContext(ctx, "stuck migration not published again",
			"migration", document.ID, "instance", instance, "error", err)
	}
}

// republish notes the time before it publishes. Of several requests that find a
// document stuck at the same time one does it, and once a minute at most.
func (d *Desk) republish(ctx context.Context, instance, id string) error {
	accountID, err := d.Accounts.Find(ctx, instance)
	if err != nil {
		return fmt.Errorf("find account: %w", err)
	}
	stuck := false
	document, err := d.Documents.Change(ctx, instance, id, func(document *Document) error {
		now := time.Now().UTC()
		stuck = document.stuck(now)
		if document.Status.Final() || !stuck && !document.unmet() {
			return errSpared
		}
		document.RequestedAt = &now
		return nil
	})
	switch {
	case errors.Is(err, errSpared):
		return nil
	case err != nil:
		return fmt.Errorf("note the time: %w", err)
	case !stuck:
		return nil
	}
	if err := d.publish(ctx, instance, accountID, document); err != nil {
		return err
	}
	d.Logger.InfoContext(ctx, "stuck migration published again", "migration", id, "instance", instance)
	return nil
}
