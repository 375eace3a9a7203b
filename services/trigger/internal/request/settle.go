package request

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// errSpared is why a document was left as it is.
var errSpared = errors.New("document is spared")

// settle returns nil when own may go ahead of all documents that exist by now,
// and the conflict when it has to give way. See the package comment.
func (d *Desk) settle(ctx context.Context, instance string, own *Document) error {
	active, err := d.Documents.Active(ctx, instance)
	if err != nil {
		return fmt.Errorf("list active documents: %w", err)
	}
	var rivals []Document
	for _, other := range active {
		switch obstacle := other.inTheWay(time.Now()); {
		case other.ID == own.ID || obstacle == nil:
		case other.decided() || other.before(own):
			return obstacle
		default:
			rivals = append(rivals, other)
		}
	}
	for _, rival := range rivals {
		if err := d.overrule(ctx, instance, rival.ID, conflict()); err != nil {
			return err
		}
	}
	return nil
}

// overrule marks an undecided document failed. It returns the conflict when the
// document was decided in the meantime.
func (d *Desk) overrule(ctx context.Context, instance, id string, reason error) error {
	err := d.failUnless(ctx, instance, id, MessageOf(reason), (*Document).decided)
	if errors.Is(err, errSpared) {
		return conflict()
	}
	return err
}

// failUnless marks an active document failed unless it is to be spared, which
// is errSpared. A document that is final or gone is no error.
func (d *Desk) failUnless(ctx context.Context, instance, id, message string, spare func(*Document) bool) error {
	_, err := d.Documents.Change(ctx, instance, id, func(document *Document) error {
		switch {
		case document.Status.Final():
			return ErrNotFound
		case spare(document):
			return errSpared
		}
		document.fail(message, time.Now().UTC())
		return nil
	})
	switch {
	case errors.Is(err, ErrNotFound), err == nil:
		return nil
	case errors.Is(err, errSpared):
		return err
	default:
		return fmt.Errorf("mark document failed: %w", err)
	}
}

// claim decides for the document, unless another request overruled it.
func (d *Desk) claim(ctx context.Context, instance, id string) (Document, error) {
	claimed, err := d.Documents.Change(ctx, instance, id, func(document *Document) error {
		if document.Status.Final() {
			return conflict()
		}
		now := time.Now().UTC()
		document.RequestedAt = &now
		return nil
	})
	if err != nil {
		return Document{}, fmt.Errorf("claim tracking document: %w", err)
	}
	return claimed, nil
}
