package transfer

import (
	"context"
	"time"
)

// feedLimit is how many rows are read from the ledger at once.
const feedLimit = 500

// feedPatience is how long flush waits for more rows after the last ones: folders are
// listed one after the other, and a few files of each go well together.
const feedPatience = time.Second

// feeder hands ledger rows out batch by batch, in the order of their ids. Within a
// batch the order is that of read.
type feeder[T any] struct {
	limit int // rows of a batch; feedLimit when zero
	read  func(ctx context.Context, after int64, limit int) ([]T, error)
	id    func(T) int64
	last  func(ctx context.Context) (int64, error) // the highest id so far; may be nil
	hand  func(ctx context.Context, row T) error   // errDrained ends the feeding
	// flush is called when no more rows will come, or enough were waited for; may be
	// nil.
	flush func(ctx context.Context) error
	more  bell        // rung when a read may find more
	over  func() bool // whether nothing more will be added
}

// run returns nil when everything is handed out and nothing more will come.
func (f feeder[T]) run(ctx context.Context, drain <-chan struct{}) error {
	patience := time.NewTimer(feedPatience)
	defer patience.Stop()
	waiting := true
	for after := int64(0); ; {
		over := f.over() // asked before the read: what was added earlier is seen by it
		// So is this. Without it each of many reads that find nothing would pass by all
		// that was skipped, or has been copied before this slice.
		last := after
		if waiting && f.last != nil {
			var err error
			if last, err = retryLedger(ctx, func() (int64, error) { return f.last(ctx) }); err != nil {
				return err
			}
		}
		rows, err := retryLedger(ctx, func() ([]T, error) { return f.read(ctx, after, orDefault(f.limit, feedLimit)) })
		if err != nil {
			return err
		}
		for _, row := range rows {
			if err := f.hand(ctx, row); err != nil {
				return err
			}
			after = max(after, f.id(row))
		}
		waiting = len(rows) == 0
		if !waiting {
			patience.Reset(feedPatience)
			continue
		}
		after = max(after, last)
		if over {
			return f.end(ctx)
		}
		select {
		case <-f.more:
		case <-patience.C:
			if err := f.end(ctx); err != nil {
				return err
			}
		case <-drain:
			return errDrained
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (f feeder[T]) end(ctx context.Context) error {
	if f.flush == nil {
		return nil
	}
	return f.flush(ctx)
}

// send hands a row to a channel unless the slice drains or ends first.
func send[T any](ctx context.Context, drain <-chan struct{}, out chan<- T, row T) error {
	select {
	case <-drain: // a full channel and a free one must not race with a stop
		return errDrained
	default:
	}
	select {
	case out <- row:
		return nil
	case <-drain:
		return errDrained
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// noteDrained turns the signal to stop into a good end.
func (r *run) noteDrained(err error) error {
	if err == errDrained { //nolint:errorlint // never wrapped: it is made and met in this package
		r.drained.Store(true)
		return nil
	}
	return err
}
