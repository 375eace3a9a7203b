package transfer

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
)

// Config is what one slice works with. Source, Target and Ledger are required.
type Config struct {
	Source Source
	Target Target
	Ledger Ledger

	// Root gives the id of the folder that the migration goes into, and makes it
	// anew where it vanished. Nil: what vanishes fails.
	Root func(ctx context.Context) (id string, err error)

	Listers   int // folders listed at once; 4 when zero
	Transfers int // files copied at once; 16 when zero
	Attempts  int // passes an entry gets before it fails; 5 when zero

	// Archives: small files come many at once where the Source is an Archiver.
	Archives bool
	// Trees: many folders are listed at once where the Source is a TreeLister.
	Trees bool

	OnChanged OnChanged // KeepBoth when empty

	Drain   <-chan struct{} // when closed, nothing new is begun; nil: never
	Metrics Metrics         // nil: none
	Logger  *slog.Logger    // nil: none
}

// Metrics is told what the engine does. Safe for concurrent use.
type Metrics interface {
	// Transferred counts a file's result; size is in bytes.
	Transferred(o Outcome, r Reason, size int64, took Took)
	// Recognized counts files that an earlier migration had copied.
	Recognized(files int)
	// Archived counts an archive of the source: how many files it was asked for, and
	// how many came.
	Archived(asked, came int, took time.Duration)
	// Retried counts an error that is tried again.
	Retried(side Side, r Reason)
	// Listed counts a folder's result.
	Listed(o Outcome, r Reason, took time.Duration)
}

// Took is where the time of a transfer went, tries in place included.
type Took struct {
	Whole  time.Duration
	Source time.Duration // waiting for the source's answers and bytes; archives are counted by themselves
	Target time.Duration // waiting for the target to take them and to answer
}

// EndKind says why a slice ended without an error.
type EndKind int

// The ends of a slice.
const (
	// Complete: every entry has its result.
	Complete EndKind = iota
	// Drained: nothing is wrong, there is more to do.
	Drained
	// Incomplete: some entries are to be tried again later.
	Incomplete
	// SideDown: one side does not serve anything at the moment.
	SideDown
)

// End is how a slice ended.
type End struct {
	Kind       EndKind
	Side       Side          // with SideDown
	Reason     Reason        // with SideDown
	RetryAfter time.Duration // with SideDown, when the side said so
	Progress   bool          // at least one entry got its result
}

// Run works on one migration until there is nothing left to do, Drain is closed,
// a side is down, or ctx ends. On an error that stops the migration it returns
// that *Error; when ctx ends, its cause. Bodies in flight are cut when ctx ends;
// what was copied until then is recorded all the same, unless the cause is
// ErrLeaseLost.
func Run(ctx context.Context, cfg Config) (End, error) {
	r := newRun(cfg)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r.lost = func() bool { return errors.Is(context.Cause(ctx), ErrLeaseLost) }

	var recorder errgroup.Group
	recorder.Go(func() error {
		err := r.record(ctx)
		if err != nil {
			cancel(err) // what can't be recorded must not be copied
		}
		return err
	})

	work, workCtx := errgroup.WithContext(ctx)
	work.Go(func() error { return r.list(workCtx) })
	work.Go(func() error { return r.feedFiles(workCtx) })
	work.Go(func() error { return r.feedLarge(workCtx) })
	for n := range r.cfg.Transfers {
		work.Go(func() error { return r.transfer(workCtx, n < largeFirst(r.cfg.Transfers)) })
	}
	err := work.Wait()
	close(r.results)
	recordErr := recorder.Wait()

	return r.end(ctx, err, recordErr)
}

// run is the state of one slice.
type run struct {
	cfg     Config
	jobs    chan job // small files
	large   chan job
	results chan Result
	held    *semaphore.Weighted // bytes that archives brought, see bundlesHeld
	fetcher Fetcher             // nil: all is streamed
	source  *health
	target  *health
	// How much each server takes at once.
	sourcePace, targetPace Pace
	lost                   func() bool // whether the lease is known to be another's

	restoring sync.Mutex // one vanished folder is made anew at a time

	later       later        // folders to be listed after all others
	moreFolders bell         // rung when the ledger may have folders to list
	moreFiles   bell         // rung when the ledger may have files to copy
	moreLarge   bell         // at the same moments
	listing     atomic.Int64 // folders handed to a lister and not finished
	listed      atomic.Bool  // nothing more will be listed in this slice
	drained     atomic.Bool
	postponed   atomic.Bool
	progress    atomic.Bool
}

func newRun(cfg Config) *run {
	cfg.Listers = orDefault(cfg.Listers, 4)
	cfg.Transfers = orDefault(cfg.Transfers, 16)
	cfg.Attempts = orDefault(cfg.Attempts, 5)
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Metrics == nil {
		cfg.Metrics = noMetrics{}
	}
	fetcher, _ := cfg.Source.(Fetcher)
	return &run{
		cfg:         cfg,
		fetcher:     fetcher,
		jobs:        make(chan job, min(cfg.Transfers, 16)),
		held:        semaphore.NewWeighted(bundlesHeld),
		large:       make(chan job),
		sourcePace:  paceOf(cfg.Source),
		targetPace:  paceOf(cfg.Target),
		results:     make(chan Result, batchResults), // no transfer waits while a batch is written
		source:      newHealth(func(ctx context.Context) error { _, err := cfg.Source.Check(ctx); return err }),
		target:      newHealth(cfg.Target.Check),
		moreFolders: newBell(),
		moreFiles:   newBell(),
		moreLarge:   newBell(),
	}
}

func orDefault(n, d int) int {
	if n > 0 {
		return n
	}
	return d
}

// end turns what the goroutines returned into the slice's end.
func (r *run) end(ctx context.Context, err, recordErr error) (End, error) {
	end := End{Progress: r.progress.Load()}
	var down *downError
	switch {
	case recordErr != nil:
		return end, recordErr
	case errors.As(err, &down):
		end.Kind, end.Side, end.Reason, end.RetryAfter = SideDown, down.cause.Side, down.cause.Reason, down.cause.RetryAfter
		return end, nil
	case ctx.Err() != nil:
		return end, context.Cause(ctx)
	case err != nil:
		return end, err
	case r.drained.Load():
		end.Kind = Drained
	case r.postponed.Load():
		end.Kind = Incomplete
	}
	return end, nil
}

// bell tells one waiter that something may be there; rings are not counted.
type bell chan struct{}

func newBell() bell { return make(bell, 1) }

func (b bell) ring() {
	select {
	case b <- struct{}{}:
	default:
	}
}

type noMetrics struct{}

func (noMetrics) Transferred(Outcome, Reason, int64, Took) {}
func (noMetrics) Recognized(int)                           {}
func (noMetrics) Archived(int, int, time.Duration)         {}
func (noMetrics) Retried(Side, Reason)                     {}
func (noMetrics) Listed(Outcome, Reason, time.Duration)    {}
