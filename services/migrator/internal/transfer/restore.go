package transfer

import "context"

// restore makes a folder of the target anew that vanished while the migration
// runs, because its owner moved it to the trash, with those above it that
// vanished too. gone is the id that was not found; cause is what is returned
// where nothing can be restored. It gives the new id.
//
// What was copied into the folder before stays in the trash, where its owner put
// it: only what is still to come arrives in the new one.
func (r *run) restore(ctx context.Context, folderID int64, gone string, cause error) (string, error) {
	if r.cfg.Root == nil {
		return "", cause
	}
	r.restoring.Lock()
	defer r.restoring.Unlock()
	return r.restoreFolder(ctx, folderID, gone)
}

// restoreFolder is restore for the holder of the lock.
func (r *run) restoreFolder(ctx context.Context, folderID int64, gone string) (string, error) {
	f, err := retryLedger(ctx, func() (Folder, error) { return r.cfg.Ledger.Folder(ctx, folderID) })
	if err != nil {
		return "", &ledgerError{err}
	}
	if f.TargetID != "" && f.TargetID != gone {
		return f.TargetID, nil // somebody else was faster
	}
	if err := r.makeAnew(ctx, &f); err != nil {
		return "", err
	}
	_, err = retryLedger(ctx, func() (struct{}, error) { return struct{}{}, r.cfg.Ledger.SetTarget(ctx, f) })
	if err != nil {
		return "", &ledgerError{err}
	}
	r.cfg.Logger.InfoContext(ctx, "target folder made anew", "folder", f.ID)
	return f.TargetID, nil
}

func (r *run) makeAnew(ctx context.Context, f *Folder) (err error) {
	if f.ParentID == 0 {
		f.TargetID, err = r.cfg.Root(ctx)
		return err
	}
	err = r.ensureFolder(ctx, f)
	if reasonOf(err) != ReasonParentGone {
		return err
	}
	if f.ParentTarget, err = r.restoreFolder(ctx, f.ParentID, f.ParentTarget); err != nil {
		return err
	}
	return r.ensureFolder(ctx, f)
}
