package transfer

import (
	"context"
	"errors"
	"slices"
	"time"
)

// Results go to the ledger together: a batch when it is full or this old.
const (
	batchResults = 200
	batchAge     = 200 * time.Millisecond
	// lastWrite bounds what is written after the slice's context has ended.
	lastWrite = 5 * time.Second
)

// record writes results in batches until the channel closes. After an error it
// only empties the channel, so that no transfer waits for it.
func (r *run) record(ctx context.Context) error {
	batch := make([]Result, 0, batchResults)
	age := time.NewTimer(batchAge)
	age.Stop()
	var failed error
	flush := func() {
		if len(batch) > 0 && failed == nil {
			failed = r.write(ctx, batch)
		}
		if errors.Is(failed, ErrLeaseLost) {
			r.late(ctx, batch)
		}
		batch = batch[:0]
		age.Stop()
	}
	for {
		select {
		case res, open := <-r.results:
			if !open {
				flush()
				return failed
			}
			batch = append(batch, res)
			switch len(batch) {
			case 1:
				age.Reset(batchAge)
			case batchResults:
				flush()
			}
		case <-age.C:
			flush()
		}
	}
}

// write stores one batch. When the slice is cut short, before or meanwhile, it
// still stores what was copied, unless the right to write is what ended.
func (r *run) write(ctx context.Context, batch []Result) error {
	if ctx.Err() == nil {
		if err := r.store(ctx, batch); err == nil || ctx.Err() == nil {
			return err
		}
	}
	if errors.Is(context.Cause(ctx), ErrLeaseLost) {
		return ErrLeaseLost
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWrite)
	defer cancel()
	return r.store(last, batch)
}

// late records what this holder copied after its term: it was paused, say, while whole
// bodies were on their way. Before the migration is over its next holder finds those
// files by their content; afterwards nobody looks.
func (r *run) late(ctx context.Context, batch []Result) {
	done := slices.DeleteFunc(slices.Clone(batch), func(res Result) bool { return res.Outcome != Done })
	if len(done) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWrite)
	defer cancel()
	// If we stop here, the files are in the target and counted by nobody.
	_, err := retryLedger(ctx, func() (struct{}, error) { return struct{}{}, r.cfg.Ledger.RecordLate(ctx, done) })
	if err != nil && !errors.Is(err, ErrLeaseLost) {
		r.cfg.Logger.WarnContext(ctx, "files that came after the end are not counted", "files", len(done), "error", err)
	}
}

func (r *run) store(ctx context.Context, batch []Result) error {
	// If we stop here, the files of this batch are in the target and not in the
	// ledger: the next holder finds their names taken by equal contents.
	_, err := retryLedger(ctx, func() (struct{}, error) { return struct{}{}, r.cfg.Ledger.Record(ctx, batch) })
	return err
}
