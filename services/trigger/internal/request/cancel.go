package request

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.org/ncm/pkg/contract"
)

// Cancel asks the workers to end a migration. The document is theirs to write.
// It may be repeated for as long as the migration is active: a cancellation is
// understood any number of times.
func (d *Desk) Cancel(ctx context.Context, instance, id string) error {
	document, err := d.Get(ctx, instance, id)
	if err != nil {
		return err
	}
	if document.Status.Final() {
		return refused("nextcloud migration already in a terminal state")
	}
	err = d.Queue.Cancel(ctx, contract.Canceled{
		MigrationID:   document.ID,
		WorkplaceFQDN: instance,
		Timestamp:     time.Now().Unix(),
	})
	if err != nil {
		return unavailable(fmt.Errorf("publish cancellation: %w", err))
	}
	d.Logger.InfoContext(ctx, "cancellation requested", "migration", document.ID, "instance", instance)
	return nil
}

// Get returns a migration of the instance.
func (d *Desk) Get(ctx context.Context, instance, id string) (Document, error) {
	document, err := d.Documents.Get(ctx, instance, id)
	switch {
	case errors.Is(err, ErrNotFound):
		return Document{}, notFound(err)
	case err != nil:
		return Document{}, fmt.Errorf("get tracking document: %w", err)
	}
	return document, nil
}
