package transfer

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// An error that may pass is tried this often in place before it is left to a
// later pass. The first wait is short: most of them are one reset connection.
const (
	triesInPlace = 3
	firstWait    = 200 * time.Millisecond
	longestWait  = 5 * time.Second
)

// downAfter is how many errors in a row make the engine ask whether a side still
// serves anything at all.
const downAfter = 8

// retry does the work for one entry, again where that may help. It returns nil
// when the work succeeded, the failure when this entry has to be given up for
// now (Again) or for good (EntryFails), and an error when the slice has to end.
func (r *run) retry(ctx context.Context, do func() error) (*Error, error) {
	for try := 1; ; try++ {
		err := do()
		var ledger *ledgerError
		switch {
		case err == nil:
			return nil, nil
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case errors.As(err, &ledger):
			return nil, ledger.error
		case errors.Is(err, errDrained):
			return nil, errDrained
		}
		e := AsError(err)
		switch e.Class {
		case MigrationStops:
			return nil, e
		case EntryFails:
			return e, r.health(e.Side).refused(ctx)
		}
		r.cfg.Metrics.Retried(e.Side, e.Reason)
		if e.Throttled {
			r.pace(e.Side).Busy()
		}
		r.cfg.Logger.DebugContext(ctx, "entry tried again", "try", try, "error", e)
		if err := r.health(e.Side).failed(ctx, e); err != nil {
			return nil, err
		}
		if try == triesInPlace {
			return e, r.health(e.Side).blame(ctx) // before the entry is charged with it
		}
		if err := sleep(ctx, max(e.RetryAfter, backoff(try, firstWait, longestWait))); err != nil {
			return nil, err
		}
	}
}

// outcome of an entry that was given up in this pass.
func (r *run) outcome(failure *Error, attempts int) Outcome {
	if failure.Class == EntryFails || attempts+1 >= r.cfg.Attempts {
		r.progress.Store(true)
		return Failed
	}
	r.postponed.Store(true)
	return Postponed
}

func (r *run) health(s Side) *health {
	if s == SideTarget {
		return r.target
	}
	return r.source
}

// health tells a side that is down, or lost to us, from entries that fail.
type health struct {
	check    func(context.Context) error
	failures atomic.Int64 // that may pass, in a row
	refusals atomic.Int64 // of entries, in a row
	checking sync.Mutex
}

func newHealth(check func(context.Context) error) *health { return &health{check: check} }

// ok notes that the side answered as it should.
func (h *health) ok() {
	for _, n := range []*atomic.Int64{&h.failures, &h.refusals} {
		if n.Load() != 0 {
			n.Store(0)
		}
	}
}

// failed notes an error that may pass. It returns a *downError when the side is
// down, and the side's own *Error when asking showed that all has to stop.
func (h *health) failed(ctx context.Context, e *Error) error {
	if e.RetryAfter > longestWait {
		return &downError{e}
	}
	return h.count(ctx, &h.failures)
}

// refused notes an error about one entry, which is an answer. Many in a row may be
// about all of them: an account that was closed misses every file.
func (h *health) refused(ctx context.Context) error {
	h.failures.Store(0)
	return h.count(ctx, &h.refusals)
}

// blame asks the side before an entry is charged with its errors.
func (h *health) blame(ctx context.Context) error {
	h.checking.Lock()
	defer h.checking.Unlock()
	return h.ask(ctx)
}

// count adds to errors in a row, and asks the side when they are many.
func (h *health) count(ctx context.Context, errs *atomic.Int64) error {
	if errs.Add(1) < downAfter {
		return nil
	}
	h.checking.Lock()
	defer h.checking.Unlock()
	if errs.Load() < downAfter {
		return nil // somebody else asked, and the side answered
	}
	return h.ask(ctx)
}

// ask finds out whether the side serves anything.
func (h *health) ask(ctx context.Context) error {
	err := h.check(ctx)
	if err == nil {
		h.ok()
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if checked := AsError(err); checked.Class == MigrationStops {
		return checked
	}
	return &downError{AsError(err)}
}

// downError ends a slice because a side is down as a whole.
type downError struct{ cause *Error }

func (d *downError) Error() string { return d.cause.Error() + " (the side is down)" }

// ledgerError marks an error of the ledger among those of a side: it ends the
// slice, and no entry is to blame.
type ledgerError struct{ error }

// retryLedger repeats an access to the ledger until it succeeds, fails for good,
// or ctx ends, which it does at the latest with the lease.
func retryLedger[T any](ctx context.Context, do func() (T, error)) (T, error) {
	for try := 1; ; try++ {
		v, err := do()
		var e *Error
		if err == nil || !errors.As(err, &e) || e.Class != Again {
			return v, err
		}
		if err := sleep(ctx, backoff(try, 50*time.Millisecond, 2*time.Second)); err != nil {
			return v, err
		}
	}
}

// backoff is exponential with full jitter over its upper half.
func backoff(try int, first, most time.Duration) time.Duration {
	d := most
	if try < 16 {
		d = min(first<<(try-1), most)
	}
	return d/2 + rand.N(d/2+1)
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
