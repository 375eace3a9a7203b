package worker

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/errgroup"

	"example.org/ncm/pkg/failpoint"
	"example.org/ncm/pkg/tracing"
	"example.org/ncm/services/migrator/internal/transfer"
)

// Config is what a worker needs. All fields but the tracer and the times are required.
type Config struct {
	Owner  string // unique among all workers, and new at each start
	Ledger Ledger
	// Slice binds the ledger to a lease, for the engine.
	Slice   func(transfer.Lease) transfer.Ledger
	Sides   Sides
	Logger  *slog.Logger
	Metrics *Metrics
	Tracer  trace.Tracer // nil: no spans

	Slots     int  // migrations worked on at once
	Transfers int  // files copied at once, per migration
	Listers   int  // folders listed at once, per migration
	Attempts  int  // passes an entry gets
	Archives  bool // small files come many at once where the source can
	Trees     bool // folders are listed many at once where the source can

	OnChanged transfer.OnChanged // KeepBoth when empty

	Report  Report   // ReportNeeded when empty
	Remarks []string // for the head of each report

	LeaseTTL   time.Duration // 15 s when zero
	SliceTime  time.Duration // a slice ends after this when others wait; 1 min when zero
	Poll       time.Duration // how often an idle slot looks for due work; 2 s when zero
	DrainGrace time.Duration // how long bodies in flight may go on after a stop; 1.5 s when zero
	Heartbeat  time.Duration // longest silence of a tracking document; 1 min when zero
}

// Worker runs slices of migrations in a number of slots.
type Worker struct {
	cfg    Config
	mirror mirror
	wake   chan struct{}

	mu      sync.Mutex
	running map[string]*holder // by migration
}

// New makes a worker; Run starts it.
func New(cfg Config) *Worker {
	setDefault(&cfg.LeaseTTL, 15*time.Second)
	setDefault(&cfg.SliceTime, time.Minute)
	setDefault(&cfg.Poll, 2*time.Second)
	setDefault(&cfg.DrainGrace, 1500*time.Millisecond)
	setDefault(&cfg.Heartbeat, time.Minute)
	if cfg.Tracer == nil {
		cfg.Tracer = tracing.Tracer(nil)
	}
	cfg.Metrics.slots.Set(float64(cfg.Slots))
	return &Worker{
		cfg:     cfg,
		mirror:  mirror{ledger: cfg.Ledger, sides: cfg.Sides},
		wake:    make(chan struct{}, cfg.Slots),
		running: make(map[string]*holder),
	}
}

func setDefault(d *time.Duration, v time.Duration) {
	if *d == 0 {
		*d = v
	}
}

// Run works until ctx ends. Then nothing new is begun, bodies in flight get
// DrainGrace, what was copied is recorded and every lease is given back.
func (w *Worker) Run(ctx context.Context) error {
	var g errgroup.Group
	for range w.cfg.Slots {
		g.Go(func() error { return w.slot(ctx) })
	}
	g.Go(func() error { return w.sweep(ctx) })
	return g.Wait()
}

// Wake makes idle slots look for work now.
func (w *Worker) Wake() {
	for range w.cfg.Slots {
		select {
		case w.wake <- struct{}{}:
		default:
			return
		}
	}
}

// Cancel cuts a migration short if this worker holds it. The ledger knows of the
// cancellation already, so a missed call costs one renewal, nothing else.
func (w *Worker) Cancel(id string) {
	w.mu.Lock()
	h := w.running[id]
	w.mu.Unlock()
	if h != nil {
		h.cancel(errCanceled)
	}
}

// slot works on one migration after the other.
func (w *Worker) slot(ctx context.Context) error {
	for ctx.Err() == nil {
		lease, takenOver, ok, err := w.cfg.Ledger.Claim(ctx, w.cfg.Owner, w.cfg.LeaseTTL)
		switch {
		case ctx.Err() != nil:
			// A claim that was cut off may have been granted: it runs out by itself.
			return nil
		case err != nil:
			w.cfg.Logger.WarnContext(ctx, "no claim", "error", err)
		case ok:
			// If we stop here, the lease has no holder: it runs out, and another
			// worker claims the migration.
			failpoint.Here(failpoint.Claimed)
			w.cfg.Metrics.claimed(takenOver)
			w.serve(ctx, lease, takenOver)
			continue
		}
		w.idle(ctx, w.wake)
	}
	return nil
}

// idle waits until there may be work. A nil wake only waits for the next poll.
func (w *Worker) idle(ctx context.Context, wake <-chan struct{}) {
	t := time.NewTimer(w.cfg.Poll/2 + rand.N(w.cfg.Poll))
	defer t.Stop()
	select {
	case <-wake:
	case <-t.C:
	case <-ctx.Done():
	}
}

// sweep mirrors what nobody works on: final states whose write failed, and the
// signs of life of migrations that wait.
func (w *Worker) sweep(ctx context.Context) error {
	for ctx.Err() == nil {
		w.idle(ctx, nil)
		ids, err := w.cfg.Ledger.Behind(ctx, w.cfg.Heartbeat, 20)
		if err != nil && ctx.Err() == nil {
			w.cfg.Logger.WarnContext(ctx, "mirror sweep", "error", err)
		}
		for _, id := range ids {
			if err := w.mirror.write(ctx, id); err != nil && ctx.Err() == nil {
				w.cfg.Metrics.mirrorFailed()
				w.cfg.Logger.WarnContext(ctx, "tracking document not written", "migration", id, "error", err)
			}
		}
	}
	return nil
}
