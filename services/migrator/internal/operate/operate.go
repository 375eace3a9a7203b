package operate

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrUnknown is wrapped when the ledger has no such migration.
var ErrUnknown = errors.New("the ledger has no such migration")

// RefusedError is an action that may not be done. Its text is for the operator
// and says what to do instead.
type RefusedError string

func (e RefusedError) Error() string { return string(e) }

// Filter selects migrations.
type Filter struct {
	States   []string // empty: all
	Instance string   // empty: all
	Limit    int
}

// EntryFilter selects entries of one migration.
type EntryFilter struct {
	Result string // one of Results
	After  int64  // the last id of the page before
	Limit  int
}

// Ledger is what the operator's queries and actions need. Safe for concurrent
// use; actions are atomic and may be repeated.
type Ledger interface {
	// Migrations gives active ones first, then the newest request first.
	Migrations(ctx context.Context, f Filter) ([]Migration, error)
	Migration(ctx context.Context, id string) (m Migration, ok bool, err error)
	Entries(ctx context.Context, id string, f EntryFilter) ([]Entry, error)
	// Events gives the timeline, oldest first.
	Events(ctx context.Context, id string) ([]Event, error)
	// Reasons counts what failed and was skipped, the most frequent first.
	Reasons(ctx context.Context, id string) ([]ReasonCount, error)

	// Cancel notes a cancellation as the user's message does.
	Cancel(ctx context.Context, id, instance string) (ours bool, err error)
	// Reopen makes a migration due now, a final one active again. allowed decides
	// on the row as it then is, and its error is returned as it is. entries is how
	// many failed ones were put back.
	Reopen(ctx context.Context, id string, failed bool, allowed func(Migration) error) (entries int64, err error)

	Retention
}

// Documents is what the operator has to know of instances. Safe for concurrent use.
type Documents interface {
	// Deletion says whether the source of any migration of an instance is being deleted,
	// and whether that of one was.
	Deletion(ctx context.Context, instance, id string) (deleting, deleted bool, err error)
}

// Operator answers the operator. Safe for concurrent use.
type Operator struct {
	Ledger Ledger
	// Documents are asked before a migration is opened again. Nil, or where they don't
	// answer, its worker finds out, which asks once more in any case.
	Documents Documents
}

// List gives the migrations that a filter selects.
func (o Operator) List(ctx context.Context, f Filter) ([]Migration, error) {
	found, err := o.Ledger.Migrations(ctx, f)
	for i := range found {
		found[i].workOut()
	}
	return found, err
}

// Find gives one migration; ErrUnknown when there is none.
func (o Operator) Find(ctx context.Context, id string) (Migration, error) {
	m, ok, err := o.Ledger.Migration(ctx, id)
	if err == nil && !ok {
		err = fmt.Errorf("%w: %q", ErrUnknown, id)
	}
	m.workOut()
	return m, err
}

// Details are what is known of one migration but its entries.
type Details struct {
	Migration
	Reasons []ReasonCount `json:"reasons"`
	Events  []Event       `json:"events"`
}

// Show gives one migration with its timeline and what failed in words.
func (o Operator) Show(ctx context.Context, id string) (Details, error) {
	m, err := o.Find(ctx, id)
	if err != nil {
		return Details{}, err
	}
	d := Details{Migration: m}
	if d.Reasons, err = o.Ledger.Reasons(ctx, id); err != nil {
		return Details{}, err
	}
	for i := range d.Reasons {
		d.Reasons[i].Words = words(d.Reasons[i].Result, d.Reasons[i].Reason)
	}
	if d.Events, err = o.Ledger.Events(ctx, id); err != nil {
		return Details{}, err
	}
	for i := range d.Events {
		d.Events[i].inWords()
	}
	return d, nil
}

// Entries gives a page of the entries with one result.
func (o Operator) Entries(ctx context.Context, id string, f EntryFilter) ([]Entry, error) {
	entries, err := o.Ledger.Entries(ctx, id, f)
	for i := range entries {
		entries[i].Words = words(f.Result, entries[i].Reason)
	}
	return entries, err
}

// Cancel ends a migration as its user would.
func (o Operator) Cancel(ctx context.Context, id string) (Migration, error) {
	m, err := o.Find(ctx, id)
	switch {
	case err != nil:
		return m, err
	case m.final():
		return m, RefusedError(fmt.Sprintf("the migration is over: it is %s since %s", m.State, m.FinishedAt.UTC().Format(time.RFC3339)))
	}
	if _, err := o.Ledger.Cancel(ctx, id, m.Instance); err != nil {
		return m, err
	}
	return o.Find(ctx, id)
}

// Retry makes a migration go on: one that waits is due now, one that failed or
// completed with failures is opened again. With failed its failed entries are put
// back first; entries says how many.
func (o Operator) Retry(ctx context.Context, id string, failed bool) (m Migration, entries int64, err error) {
	if err := o.mayReopen(ctx, id); err != nil {
		return Migration{}, 0, err
	}
	entries, err = o.Ledger.Reopen(ctx, id, failed, func(m Migration) error { return mayRetry(&m, failed) })
	if errors.Is(err, ErrUnknown) {
		err = fmt.Errorf("%w: %q", ErrUnknown, id)
	}
	if err != nil {
		return Migration{}, 0, err
	}
	m, err = o.Find(ctx, id)
	return m, entries, err
}

// mayReopen refuses a migration whose files are vanishing from the source.
func (o Operator) mayReopen(ctx context.Context, id string) error {
	m, err := o.Find(ctx, id)
	if err != nil || o.Documents == nil || !m.final() {
		return err
	}
	deleting, deleted, err := o.Documents.Deletion(ctx, m.Instance, id)
	switch {
	case err != nil:
		return nil //nolint:nilerr // the worker asks again
	case deleting:
		return RefusedError("the source of a migration of the instance is being deleted; wait for its end")
	case deleted:
		return RefusedError("the source of the migration was deleted: there is nothing left to copy")
	}
	return nil
}
