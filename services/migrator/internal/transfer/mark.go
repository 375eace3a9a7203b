package transfer

import "context"

// noteUnmarked is said of a file whose marks the target does not take.
const noteUnmarked = "could not be marked as a favourite or with all its tags"

// mark gives a file that was copied the marks that it could not be created with.
// A file that can't be marked now is tried again as a whole, which finds it by its
// content; one that can't be marked at all is a copy with a note.
//
// A file that an earlier migration left there gets the marks of the source that are
// new since then: what its owner unmarked in the target stays so. If we stop before,
// the file has no result, and the next holder finds it and marks it.
func (r *run) mark(ctx context.Context, f File, res *Result) (*Error, error) {
	marks, mark := f.Marks, r.cfg.Target.Mark
	if f.Earlier != nil && res.TargetID == f.Earlier.TargetID {
		marks, mark = f.newMarks(), r.cfg.Target.AddMarks
	}
	if marks.none() {
		return nil, nil
	}
	// The file is there: where the slice is cut short, it gets its marks and its row yet.
	marking, done := cutting(ctx, func() bool { return true })
	defer done()
	failure, err := r.retry(marking, func() error { return mark(marking, res.TargetID, marks) })
	if err == nil && failure != nil && r.outcome(failure, f.Attempts) == Failed {
		res.note(noteUnmarked)
		return nil, nil
	}
	return failure, err
}

// markFolder does the same for a folder that was found or made. What the target
// refuses to mark is no reason to lose what is in it.
func (r *run) markFolder(ctx context.Context, f Folder, id string) error {
	if f.none() {
		return nil
	}
	err := r.cfg.Target.Mark(ctx, id, f.Marks)
	if err != nil && AsError(err).Class == EntryFails {
		r.cfg.Logger.WarnContext(ctx, "folder not marked", "folder", f.ID, "error", err)
		return nil
	}
	return err
}
