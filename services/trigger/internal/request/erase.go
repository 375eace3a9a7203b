package request

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/pkg/failpoint"
)

const (
	// eraseTimeout bounds a deletion as a whole. A real Nextcloud deletes about
	// ten entries a second; what is left is deleted by the next request.
	eraseTimeout = 15 * time.Minute
	// maxRefusals is how many entries in a row may fail before the source counts
	// as down.
	maxRefusals = 5
)

// EraseTimeout is the longest that DeleteSource takes.
const EraseTimeout = eraseTimeout + holdRenew + 2*writeTimeout

// DeleteSource deletes at the source what a completed migration copied, empties
// the trashbin there and notes it in the document. Without force it refuses
// where files were not imported and would be lost.
//
// It goes on when the caller goes away, since proxies give up long before a
// large home is empty; a stop of the service ends it, see StopErasing. Meanwhile
// it holds the document, so that of all processes one deletes, and none starts a
// migration of files that are about to vanish.
func (d *Desk) DeleteSource(ctx context.Context, instance, id string, force bool) error {
	document, err := d.erasable(ctx, instance, id, force)
	if err != nil {
		return err
	}
	account, err := d.sourceAccount(ctx, instance, document)
	if err != nil {
		return err
	}
	hold, err := d.takeHold(ctx, instance, id)
	if err != nil {
		return err
	}
	// If we stop here, nothing is deleted and the document is held by nobody for
	// a minute.
	failpoint.Here(failpoint.TriggerHold)
	err = hold.during(ctx, func(ctx context.Context) error {
		if err := d.refuseActive(ctx, instance); err != nil {
			return err
		}
		d.Logger.InfoContext(ctx, "deleting a source", "migration", id, "instance", instance, "force", force)
		return d.erase(ctx, account, document.SourcePath)
	})
	if err != nil {
		hold.giveBack(ctx)
		return err
	}
	// If we stop here, everything is deleted and the document does not say so:
	// the next request finds nothing left to delete and comes here again.
	failpoint.Here(failpoint.TriggerTrash)
	if err := d.stamp(ctx, hold); err != nil {
		return err
	}
	// The last thing that the login was good for. If we stop here, the migrator
	// gives it back in its time.
	d.returnDone(context.WithoutCancel(ctx), instance, account)
	return nil
}

// erasable returns the document if its source may be deleted.
func (d *Desk) erasable(ctx context.Context, instance, id string, force bool) (Document, error) {
	document, err := d.Get(ctx, instance, id)
	switch {
	case err != nil:
		return Document{}, err
	case document.Status != contract.StatusCompleted:
		return Document{}, refused("nextcloud migration source can only be deleted after a completed migration")
	case document.SourceDeletedAt != nil:
		return Document{}, alreadyDeleted()
	}
	if lost := losses(document.Tracking); lost > 0 && !force && !d.DeleteUnchecked {
		return Document{}, refused("%d files of the nextcloud migration were not imported and would be lost, "+
			`send {"force":true} to delete them all the same`, lost)
	}
	return document, nil
}

// refuseActive returns the conflict where another migration would lose what it
// has not copied yet; nobody can want that, so force does not help. It is looked
// for while the document is held, as a migration looks for deletions after its
// document is there: of two at once one sees the other, or both do and give way.
func (d *Desk) refuseActive(ctx context.Context, instance string) error {
	if d.DeleteUnchecked {
		return nil
	}
	active, err := d.Documents.Active(ctx, instance)
	if err != nil {
		return fmt.Errorf("list active documents: %w", err)
	}
	for _, other := range active {
		if !other.Status.Final() {
			return conflict()
		}
	}
	return nil
}

// sourceAccount returns the login of the instance, of which there is only one:
// a later migration may have replaced it by that of other files.
func (d *Desk) sourceAccount(ctx context.Context, instance string, document Document) (contract.Account, error) {
	account, err := d.Accounts.Login(ctx, instance)
	switch {
	case errors.Is(err, ErrNotFound):
		return contract.Account{}, refused("the nextcloud account of the migration was removed")
	case err != nil:
		return contract.Account{}, fmt.Errorf("read account: %w", err)
	}
	if account.WebDAVUserID == "" {
		account.WebDAVUserID = account.Auth.Login
	}
	now := Source{URL: account.Auth.URL, UserID: account.WebDAVUserID}
	if document.Source != (Source{}) && document.Source != now {
		return contract.Account{}, refused("the nextcloud account of the migration was replaced by another one")
	}
	return account, nil
}

// erase deletes what is at the path, then what is in the trashbin. If it stops
// anywhere, some entries are deleted or in the trashbin and the others as they
// were; done again, it goes on with these.
func (d *Desk) erase(ctx context.Context, account contract.Account, sourcePath string) error {
	entry, err := entryOf(sourcePath)
	if err != nil {
		return err
	}
	// Also for one entry, because the listing shows that the login sees files:
	// to one that does not, everything looks deleted.
	entries, err := d.Sources.Children(ctx, account)
	if err != nil {
		return fmt.Errorf("list the home: %w", err)
	}
	if entry != "" {
		entries = []string{entry}
	}
	if err := d.eraseEntries(ctx, account, entries); err != nil {
		return err
	}
	// If we stop here, everything can still be restored from the trashbin.
	failpoint.Here(failpoint.TriggerEntries)
	if err := d.Sources.EmptyTrash(ctx, account); err != nil {
		return fmt.Errorf("empty the trashbin: %w", err)
	}
	return nil
}

// entryOf gives the only entry that a path stands for, or "" for all of the
// home. What leads up could mean files outside of it, and a document without a
// path is no reason to delete everything.
func entryOf(sourcePath string) (string, error) {
	trimmed := strings.Trim(sourcePath, "/")
	clean := trimmed == "" || path.Clean("/"+trimmed) == "/"+trimmed
	if sourcePath == "" || !clean {
		return "", refused("the source_path of the migration is not a clean path")
	}
	return trimmed, nil
}

// eraseEntries passes over entries that cannot be deleted, so that one does not
// keep all others, and fails at the end.
func (d *Desk) eraseEntries(ctx context.Context, account contract.Account, entries []string) error {
	var first error
	failed, inARow := 0, 0
	for _, entry := range entries {
		err := d.Sources.Delete(ctx, account, entry)
		if err == nil {
			inARow = 0
			continue
		}
		failed++
		inARow++
		if !errors.Is(err, ErrEntry) || inARow == maxRefusals || ctx.Err() != nil {
			return fmt.Errorf("delete an entry: %w", err)
		}
		first = cmp.Or(first, err)
	}
	if failed > 0 {
		return &Error{
			Code:    CodeUnreachable,
			Message: fmt.Sprintf("%d of %d entries could not be deleted on the nextcloud, please retry later", failed, len(entries)),
			Cause:   first,
		}
	}
	return nil
}

// stamp ends a deletion.
func (d *Desk) stamp(ctx context.Context, hold *hold) error {
	err := hold.end(ctx, func(document *Document) {
		now := time.Now().UTC()
		document.SourceDeletedAt = &now
	})
	switch {
	case errors.Is(err, ErrNotFound):
		return notFound(err)
	case errors.Is(err, errHoldLost):
		return beingDeleted()
	case err != nil:
		return fmt.Errorf("note the deletion: %w", err)
	}
	d.Logger.InfoContext(ctx, "source deleted", "migration", hold.id, "instance", hold.instance)
	return nil
}

func alreadyDeleted() error { return refused("nextcloud migration source already deleted") }

func beingDeleted() error { return refused("nextcloud migration source is being deleted") }
