package transfer

import (
	"bytes"
	"context"
	"errors"
)

// OnChanged says what becomes of a file that an earlier migration copied, and
// that has changed since.
type OnChanged string

// The choices. A file that is gone from the target is copied again with each.
const (
	// KeepBoth copies the source's file beside the one that the target has.
	KeepBoth OnChanged = "keep-both"
	// Overwrite gives the target's file the new content and keeps the old one as
	// its version, unless the target's owner changed it: then both are kept.
	Overwrite OnChanged = "overwrite"
	// Skip leaves the target's file as it is.
	Skip OnChanged = "skip"
)

// Known says whether it is one of the choices.
func (o OnChanged) Known() bool { return o == KeepBoth || o == Overwrite || o == Skip }

// found says whether the target has an earlier copy in its place.
func (e *Earlier) found() bool { return e != nil && e.There != nil }

// holds says whether the target has a file as an earlier migration left it, and
// the source as it was then.
func (e *Earlier) holds() bool { return e.found() && e.Unchanged && !e.edited() }

// newMarks are those that a file got in the source since its earlier copy was made.
// What its owner did to the others in the target since then stays.
func (f File) newMarks() Marks { return f.Marks.besides(f.Earlier.Marks) }

// asItWas says whether there is nothing to do for a file.
func (f File) asItWas() bool { return f.Earlier.holds() && f.newMarks().none() }

// edited says whether the target has the file with another content.
func (e *Earlier) edited() bool { return !bytes.Equal(e.There.MD5, e.MD5) }

// filesLeft reads files that are still to be copied, and what became of their
// earlier copies.
func (r *run) filesLeft(ctx context.Context, read func(context.Context, int64, int) ([]File, error), after int64, limit int) ([]File, error) {
	files, err := read(ctx, after, limit)
	if err == nil {
		err = r.findEarlier(ctx, files)
	}
	return files, err
}

// findEarlier looks once for all files of a batch what the target has of them
// now: the ledger of an earlier migration alone does not make a file be there.
// Where the target can't tell, they are copied like any other.
func (r *run) findEarlier(ctx context.Context, files []File) error {
	ids := make([]string, 0, len(files))
	for _, f := range files {
		if f.Earlier != nil {
			ids = append(ids, f.Earlier.TargetID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	var found []Stored
	failure, err := r.retry(ctx, func() (err error) {
		found, err = r.cfg.Target.FindAll(ctx, ids)
		return err
	})
	if err != nil {
		return err
	}
	if failure != nil {
		r.cfg.Logger.WarnContext(ctx, "earlier copies not looked for", "error", failure)
	}
	there := make(map[string]*Stored, len(found))
	for i := range found {
		there[found[i].ID] = &found[i]
	}
	for i := range files {
		e := files[i].Earlier
		if e == nil {
			continue
		}
		if s := there[e.TargetID]; s != nil && !s.Folder && s.ParentID == files[i].FolderTarget {
			e.There = s
		}
	}
	return nil
}

// recognize records a file as copied that an earlier migration brought.
func (r *run) recognize(ctx context.Context, f File) error {
	res := Result{File: f, Outcome: Done}
	res.fill(f, *f.Earlier.There, f.Earlier.MD5)
	select {
	case <-r.cfg.Drain:
		return errDrained
	case <-ctx.Done():
		return context.Cause(ctx)
	case r.results <- res: // the recorder empties it to the end
	}
	r.progress.Store(true)
	r.cfg.Metrics.Recognized(1)
	return nil
}

// changed decides about a file of which the target has an earlier copy, when one
// of the two is not what it was. It gives false where the file has to be copied:
// a name that is taken then gets it a number.
func (r *run) changed(ctx context.Context, j *job, res *Result) (settled bool, err error) {
	if !j.Earlier.found() {
		return false, nil
	}
	if j.Earlier.holds() { // and has marks that are new
		res.fill(j.File, *j.Earlier.There, j.Earlier.MD5)
		res.recognized = true
		return true, nil
	}
	edited := j.Earlier.edited()
	switch {
	case r.cfg.OnChanged == Skip:
		res.Outcome, res.Reason = Skipped, ReasonNewer
		if edited {
			res.Reason = ReasonEdited
		}
		return true, nil
	case r.cfg.OnChanged != Overwrite:
		return false, nil
	case !edited:
		if err := r.replace(ctx, j, res); !errors.Is(err, ErrModified) {
			return err == nil, err
		}
	}
	// Another content than was copied may be the new one, from a try whose answer
	// or result was lost.
	same, err := r.arrivedEarlier(ctx, j, res)
	if err == nil && !same {
		res.note("was changed in the Cozy as well: both are kept")
	}
	return same, err
}

// arrivedEarlier says whether the target's file has the source's content already,
// and fills in the result if so.
func (r *run) arrivedEarlier(ctx context.Context, j *job, res *Result) (bool, error) {
	found, err := r.findOne(ctx, j.File)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return r.equal(ctx, *j, found, j.Size, res)
}

// findOne gives what the target has now of an earlier copy, in its own place.
func (r *run) findOne(ctx context.Context, f File) (Stored, error) {
	found, err := r.cfg.Target.FindAll(ctx, []string{f.Earlier.TargetID})
	if err != nil {
		return Stored{}, err
	}
	r.target.ok()
	if len(found) == 0 || found[0].ParentID != f.FolderTarget {
		return Stored{}, ErrNotFound
	}
	return found[0], nil
}

// replace streams a file over its earlier copy in the target.
func (r *run) replace(ctx context.Context, j *job, res *Result) error {
	_, err := r.put(ctx, j, res, place{
		put: func(ctx context.Context, n NewFile) (Stored, error) {
			return r.cfg.Target.Replace(ctx, j.Earlier.TargetID, j.Earlier.MD5, n)
		},
		find: func(ctx context.Context) (Stored, error) { return r.findOne(ctx, j.File) },
		// The next try replaces it. If we stop before, the next holder takes it for
		// its owner's and keeps both; what was there before is its old version.
		bad: func(_ context.Context, stored Stored) { j.Earlier.MD5, j.Earlier.There = stored.MD5, &stored },
	})
	return err
}
