package transfer

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"
)

// Recount looks for what an earlier holder brought into the target and could not
// record before it vanished, and records it: for a migration that is about to end
// with files left. It looks for as many files as can have been under way, by name
// and content, and makes nothing; bad copies that the ledger names are removed. What
// can't be told stays as it is. When ctx ends, what was found is recorded.
func Recount(ctx context.Context, cfg Config) error {
	r := newRun(cfg)
	r.lost = func() bool { return errors.Is(context.Cause(ctx), ErrLeaseLost) }
	most := 2*batchResults + 3*r.cfg.Transfers + max((bundleReads+1)*bundleFiles, largeBatch)
	files, err := retryLedger(ctx, func() ([]File, error) { return r.cfg.Ledger.Underway(ctx, most) })
	if err != nil {
		return err
	}
	var recorder errgroup.Group
	recorder.Go(func() error { return r.record(ctx) })
	looking, lookCtx := errgroup.WithContext(ctx)
	looking.SetLimit(r.cfg.Transfers)
	for _, f := range files {
		looking.Go(func() error {
			j, res := newJob(f, nil), Result{File: f, Outcome: Done}
			there, err := r.there(lookCtx, &j, &res)
			switch {
			case err == nil && there:
				r.results <- res // the recorder empties it to the end
			case err != nil && AsError(err).Class == MigrationStops, ctx.Err() != nil:
				return err // and nobody else asks: a login that is refused again and again locks us out
			case err != nil:
				r.cfg.Logger.DebugContext(ctx, "file not looked for", "file", f.ID, "error", err)
			}
			return nil
		})
	}
	err = looking.Wait()
	close(r.results)
	return errors.Join(err, recorder.Wait())
}

// there says whether the target has a file, under its name or with a number, and
// fills in the result if so.
func (r *run) there(ctx context.Context, j *job, res *Result) (bool, error) {
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	if err := r.removeSuspects(ctx, j); err != nil {
		return false, err
	}
	for n := 1; n <= maxNumbered; n++ {
		name := numbered(j.Name, n, false)
		if n > 1 {
			if reserved, err := r.reserved(ctx, j.FolderPath, name); err != nil {
				return false, err
			} else if reserved {
				continue
			}
		}
		same, err := r.same(ctx, *j, name, j.Size, res)
		if errors.Is(err, ErrNotFound) {
			return false, nil
		}
		if same || err != nil {
			return same, err
		}
	}
	return false, nil
}
