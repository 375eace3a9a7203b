package instance

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/pkg/cozy"
	"example.org/ncm/services/migrator/internal/transfer"
)

// Documents reads the account and keeps the tracking document of an instance.
type Documents struct {
	cozy *cozy.Instance
}

// NewDocuments makes the documents of an instance. Nothing is sent yet.
func NewDocuments(i *cozy.Instance) *Documents { return &Documents{cozy: i} }

var (
	errAccountPart = errors.New("account has no address or login")
	errNoPassword  = errors.New("account came without its password")
)

// Account reads the login of the source, with the password in clear text. An
// account that is deleted or incomplete is ReasonLoginRefused.
func (d *Documents) Account(ctx context.Context, id string) (contract.Account, error) {
	var account contract.Account
	_, err := d.cozy.GetDoc(ctx, contract.DoctypeAccounts, id, &account, cozy.WithCredentials())
	switch {
	case isGone(err):
		return contract.Account{}, stops(transfer.ReasonLoginRefused, err)
	case err != nil:
		return contract.Account{}, classify(ctx, err)
	case account.Auth.URL == "" || account.Auth.Login == "":
		return contract.Account{}, stops(transfer.ReasonLoginRefused, errAccountPart)
	case account.Auth.Password == "":
		// The stack opens the credentials only to the right kind of token.
		return contract.Account{}, stops(transfer.ReasonAccessRefused, errNoPassword)
	}
	return account, nil
}

// Tracking reads the tracking document. A deleted one is ReasonWithdrawn and
// wraps transfer.ErrNotFound.
func (d *Documents) Tracking(ctx context.Context, id string) (tracking contract.Tracking, rev string, err error) {
	doc, err := d.readTracking(ctx, id)
	if err != nil {
		return contract.Tracking{}, "", err
	}
	return doc.typed, doc.ref.Rev, nil
}

// Outcome is what became of the tracking document.
type Outcome int

// The outcomes of WriteTracking.
const (
	// Unchanged: there was nothing to write.
	Unchanged Outcome = iota
	// Written: the document holds the update.
	Written
)

const (
	// writeTries bounds how often a write is merged again because somebody else
	// wrote in between.
	writeTries = 6
	writePause = 50 * time.Millisecond
)

// WriteTracking reads the tracking document, has update change it and writes it
// back. Only what update changed is written, over whatever else stands in the
// document; when somebody else writes at the same time it starts anew. update
// may be called more than once and says whether there is something to write.
// still is asked right before each write, and its error is returned as it is:
// who has lost the right to write does not write. Deleted documents are reported
// as by Tracking.
func (d *Documents) WriteTracking(
	ctx context.Context, id string, still func() error, update func(*contract.Tracking) bool,
) (Outcome, error) {
	for try := range writeTries {
		if err := pause(ctx, time.Duration(try)*writePause); err != nil {
			return Unchanged, err
		}
		doc, err := d.readTracking(ctx, id)
		if err != nil {
			return Unchanged, err
		}
		outcome, err := doc.apply(update)
		if outcome != Written || err != nil {
			return outcome, err
		}
		if err := still(); err != nil {
			return Unchanged, err
		}
		_, err = d.cozy.PutDoc(ctx, contract.DoctypeMigrations, doc.ref, doc.fields)
		if !cozy.IsConflict(err) {
			return outcomeOf(ctx, err)
		}
	}
	return Unchanged, again(transfer.ReasonBusy, errContended)
}

var errContended = errors.New("tracking document is written by somebody else all the time")

func outcomeOf(ctx context.Context, err error) (Outcome, error) {
	switch {
	case err == nil:
		return Written, nil
	case isGone(err):
		return Unchanged, withdrawn(err)
	}
	return Unchanged, classify(ctx, err)
}

func (d *Documents) readTracking(ctx context.Context, id string) (*trackingDoc, error) {
	var doc trackingDoc
	ref, err := d.cozy.GetDoc(ctx, contract.DoctypeMigrations, id, &doc.fields)
	switch {
	case isGone(err):
		return nil, withdrawn(err)
	case err != nil:
		return nil, classify(ctx, err)
	}
	doc.ref = ref
	doc.decode()
	return &doc, nil
}

// isGone says whether the stack itself misses the document.
func isGone(err error) bool { return cozy.IsNotFound(err) && !errors.Is(err, cozy.ErrToken) }

func withdrawn(err error) error {
	return stops(transfer.ReasonWithdrawn, fmt.Errorf("%w: %w", transfer.ErrNotFound, err))
}

// pause waits, but not longer than the context lives.
func pause(ctx context.Context, d time.Duration) error {
	if d == 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// CreateTracking makes a tracking document under an id. One that exists already
// stays as it is.
func (d *Documents) CreateTracking(ctx context.Context, id string, tracking contract.Tracking) error {
	_, err := d.cozy.PutDoc(ctx, contract.DoctypeMigrations, cozy.Ref{ID: id}, tracking)
	if cozy.IsConflict(err) {
		return nil
	}
	return classify(ctx, err)
}

// ActiveTracking gives the ids of the documents that are pending or running.
func (d *Documents) ActiveTracking(ctx context.Context) ([]string, error) {
	found, err := d.cozy.FindDocs(ctx, contract.DoctypeMigrations, cozy.Query{
		Selector: map[string]any{"status": map[string]any{"$in": []contract.Status{contract.StatusPending, contract.StatusRunning}}},
		UseIndex: "_design/by-status",
		Fields:   []string{"_id", "_rev", "status"},
	})
	ids := make([]string, 0, len(found))
	for _, doc := range found {
		ids = append(ids, doc.ID)
	}
	return ids, classify(ctx, err)
}

// Deletion says whether the source of any migration of the instance is being deleted,
// and whether that of one was.
func (d *Documents) Deletion(ctx context.Context, id string) (deleting, deleted bool, err error) {
	found, err := d.cozy.FindDocs(ctx, contract.DoctypeMigrations, cozy.Query{
		Selector: map[string]any{"status": contract.StatusCompleted},
		UseIndex: "_design/by-status",
		Fields:   []string{"_id", "_rev", "status", "source_deleted_at", "source_deleting_at"},
	})
	for _, doc := range found {
		var t contract.Tracking
		if err := doc.Decode(&t); err != nil {
			continue // what somebody else has spoiled is nobody's deletion
		}
		deleting = deleting || t.SourceDeleting(time.Now())
		deleted = deleted || doc.ID == id && t.SourceDeletedAt != nil
	}
	return deleting, deleted, classify(ctx, err)
}
