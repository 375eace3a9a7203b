package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/pkg/failpoint"
	"example.org/ncm/pkg/tracing"
	"example.org/ncm/services/migrator/internal/transfer"
)

const (
	// lastWrites bounds what a slice still writes after it was cut short.
	lastWrites = 5 * time.Second
	// ledgerWait is when a slice that the ledger ended is due again.
	ledgerWait = 2 * time.Second
	// sliceSpans and endSpans are the most spans of a slice, and of what ends it.
	sliceSpans = 100
	endSpans   = 20
)

// serve runs one slice under a lease that was just claimed, to the write that
// ends the lease.
func (w *Worker) serve(stop context.Context, lease transfer.Lease, takenOver bool) {
	log := w.cfg.Logger.With("migration", lease.ID, "instance", lease.Instance, "term", lease.Term)
	started := time.Now()

	// The slice outlives the signal to stop; its holder is who ends it.
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(stop))
	defer cancel(nil)
	ctx, span := w.span(ctx, lease, takenOver)
	defer span.End()
	log.InfoContext(ctx, "slice started", "taken_over", takenOver)
	h := &holder{lease: lease, ledger: w.cfg.Ledger, ttl: w.cfg.LeaseTTL, cancel: cancel, drain: make(chan struct{})}
	w.register(lease.ID, h)
	defer w.register(lease.ID, nil)

	bounded := tracing.WithBudget(ctx, sliceSpans)
	var helpers sync.WaitGroup
	helpersCtx, endHelpers := context.WithCancel(bounded)
	helpers.Go(func() { h.renew(helpersCtx, started.Add(w.cfg.SliceTime)) })
	helpers.Go(func() { w.mirrorWhile(helpersCtx, h, log) })
	helpers.Go(func() { w.stopWith(helpersCtx, stop, h) })

	end, err := w.work(bounded, h)
	ctx = tracing.WithBudget(ctx, endSpans)
	s := w.settlement(ctx, lease, end, err)
	if s.state != "" {
		s = w.conclude(ctx, stop, lease, s, log)
	}
	if err := w.settle(ctx, lease, s); err != nil {
		log.WarnContext(ctx, "slice not settled", "error", err)
	}
	endHelpers()
	helpers.Wait()
	w.cfg.Metrics.sliceEnded(s.name(), time.Since(started))
	s.log(ctx, log, time.Since(started), err)
	span.SetAttributes(attribute.String("end", s.name()), attribute.String("reason", string(s.reason)))
	if s.state != "" {
		// If we stop here, the migration has ended and its document still says
		// running: the sweep of any worker writes it.
		failpoint.Here(failpoint.Finished)
		w.mirrorFinal(ctx, h, log)
	}
}

// span begins a slice's span in the trace of the migration's request, whoever
// worked on it before.
func (w *Worker) span(ctx context.Context, lease transfer.Lease, takenOver bool) (context.Context, trace.Span) {
	return w.cfg.Tracer.Start(tracing.WithParent(ctx, lease.TraceParent), "slice", trace.WithAttributes(
		attribute.String("migration.id", lease.ID), attribute.String("instance", lease.Instance),
		attribute.Int64("term", lease.Term), attribute.Bool("taken_over", takenOver)))
}

// readable says whether a migration ends with files left while both sides serve us.
func (s settlement) readable() bool {
	return s.state == transfer.StateCanceled || s.reason == transfer.ReasonQuota || s.reason == transfer.ReasonWithdrawn
}

// recount counts what an earlier holder sent and could not record.
func (w *Worker) recount(ctx context.Context, lease transfer.Lease) error {
	ctx, cancel := context.WithTimeout(ctx, w.cfg.LeaseTTL/2)
	defer cancel()
	instance, err := w.cfg.Sides.Instance(lease.Instance)
	if err != nil {
		return err
	}
	target, _, err := instance.Target(ctx, "/")
	if err != nil {
		return fmt.Errorf("open the target: %w", err)
	}
	source, _, err := w.cfg.Sides.Source(ctx, lease.Migration)
	if err != nil {
		return fmt.Errorf("open the source: %w", err)
	}
	return transfer.Recount(ctx, transfer.Config{
		Source: source, Target: target, Ledger: w.cfg.Slice(lease), Transfers: w.cfg.Transfers,
		Metrics: w.cfg.Metrics, Logger: w.cfg.Logger.With("migration", lease.ID),
	})
}

func (w *Worker) register(id string, h *holder) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if h == nil {
		delete(w.running, id)
		return
	}
	w.running[id] = h
}

// stopWith turns the worker's stop into the slice's: at first nothing new, then
// the bodies in flight are cut.
func (w *Worker) stopWith(ctx, stop context.Context, h *holder) {
	select {
	case <-ctx.Done():
		return
	case <-stop.Done():
	}
	h.startDrain()
	t := time.NewTimer(w.cfg.DrainGrace)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
		h.cancel(errStopped)
	}
}

// work prepares the two sides and copies what there is to copy.
func (w *Worker) work(ctx context.Context, h *holder) (transfer.End, error) {
	lease := h.lease
	if lease.Canceled {
		return transfer.End{}, errCanceled
	}
	ends, err := w.open(ctx, lease)
	for _, wait := range openWaits {
		if !passes(ctx, err) {
			break
		}
		w.cfg.Logger.DebugContext(ctx, "opened again", "migration", lease.ID, "error", err)
		pause := time.NewTimer(wait)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
		}
		ends, err = w.open(ctx, lease)
	}
	if err != nil {
		return transfer.End{}, err
	}
	measure := ends.Parallel
	h.parallel.Store(&measure)
	ends.Ledger, ends.Drain = w.cfg.Slice(lease), h.drain
	ends.Listers, ends.Transfers, ends.Attempts = w.cfg.Listers, w.cfg.Transfers, w.cfg.Attempts
	ends.Archives, ends.Trees = w.cfg.Archives, w.cfg.Trees
	ends.OnChanged = w.cfg.OnChanged
	ends.Metrics, ends.Logger = w.cfg.Metrics, w.cfg.Logger.With("migration", lease.ID)
	return transfer.Run(ctx, ends)
}

// openWaits are the pauses before another try to open the two sides: one reset
// connection must not pause the migration.
var openWaits = []time.Duration{200 * time.Millisecond, time.Second}

// passes says whether an error is worth another try at once.
func passes(ctx context.Context, err error) bool {
	var e *transfer.Error
	return ctx.Err() == nil && errors.As(err, &e) && e.Class == transfer.Again && e.RetryAfter <= time.Second
}

// open reads what the migration is, opens its source and its target, and records
// that it runs. All of it may be repeated.
func (w *Worker) open(ctx context.Context, lease transfer.Lease) (transfer.Config, error) {
	var none transfer.Config
	instance, err := w.cfg.Sides.Instance(lease.Instance)
	if err != nil {
		return none, err
	}
	doc, err := w.tracking(ctx, instance, lease)
	switch {
	case errors.Is(err, ErrNoDocument) || err == nil && doc.Status.Final() && !reopened(lease.Migration, &doc):
		// The trigger gave it up, or the user removed it: the document decides.
		return none, errWithdrawn
	case err != nil:
		return none, fmt.Errorf("read the tracking document: %w", err)
	case path.Clean("/"+doc.SourcePath) != path.Clean("/"+lease.SourcePath):
		// A message is believed no further than the instance bears it out.
		return none, &transfer.Error{
			Side: transfer.SideTarget, Class: transfer.MigrationStops, Reason: transfer.ReasonWithdrawn,
			Err: errors.New("message and tracking document name different source paths"),
		}
	}
	if err := w.cfg.Ledger.Begin(ctx, lease, doc.TargetDir); err != nil {
		return none, fmt.Errorf("begin: %w", err)
	}
	source, sourceKey, err := w.cfg.Sides.Source(ctx, lease.Migration)
	if err != nil {
		return none, fmt.Errorf("open the source: %w", err)
	}
	root, err := source.Check(ctx)
	if err != nil {
		return none, fmt.Errorf("read the source's root: %w", err)
	}
	if err := w.fits(ctx, instance, source, lease.Migration, root.Size); err != nil {
		return none, fmt.Errorf("look for room: %w", err)
	}
	target, folderID, err := instance.Target(ctx, doc.TargetDir)
	if err != nil {
		return none, fmt.Errorf("open the target: %w", err)
	}
	if err := w.cfg.Ledger.Root(ctx, lease, folderID, sourceKey, root); err != nil {
		return none, fmt.Errorf("record the root: %w", err)
	}
	return transfer.Config{Source: source, Target: target, Root: func(ctx context.Context) (string, error) {
		_, id, err := instance.Target(ctx, doc.TargetDir)
		return id, err
	}}, nil
}

// tracking reads the document. That of a migration that was opened again has to say so
// before the source is looked at: a trigger that deletes sources writes a document first
// and looks for active ones then, so that one of the two sees the other.
func (w *Worker) tracking(ctx context.Context, instance Instance, lease transfer.Lease) (contract.Tracking, error) {
	doc, err := instance.Tracking(ctx, lease.ID)
	if err != nil || !lease.Started && lease.ReopenedFrom == "" {
		return doc, err // the trigger has looked
	}
	if doc.Status.Final() && reopened(lease.Migration, &doc) {
		if err := w.mirror.write(ctx, lease.ID); err != nil {
			return doc, err
		}
		if doc, err = instance.Tracking(ctx, lease.ID); err != nil {
			return doc, err
		}
	}
	deleting, err := instance.Deleting(ctx)
	if err == nil && (deleting || doc.SourceDeleting(time.Now())) {
		err = &transfer.Error{
			Side: transfer.SideSource, Class: transfer.Again, Reason: transfer.ReasonDeleting,
			Err: errors.New("a trigger deletes it"),
		}
	}
	return doc, err
}

// fits makes sure before the first slice that the source has room in the target.
// What earlier migrations brought may be the same files, and counts as there.
func (w *Worker) fits(ctx context.Context, instance Instance, source transfer.Source, m transfer.Migration, size int64) error {
	if m.Started {
		return nil // from now on the target says so itself
	}
	room, limited, err := instance.Room(ctx)
	if err != nil || !limited {
		return err
	}
	before, err := w.cfg.Ledger.CopiedBefore(ctx, m)
	if err != nil {
		return err
	}
	missing := size - room - before
	if missing > 0 {
		left, err := leftOut(ctx, source)
		if err != nil {
			return err
		}
		missing -= left
	}
	if missing > 0 {
		return &transfer.Error{
			Side: transfer.SideTarget, Class: transfer.MigrationStops, Reason: transfer.ReasonQuota,
			Missing: missing, Err: errors.New("the source is larger than the room in the target"),
		}
	}
	return nil
}

// leftOut is how many bytes of a source are in entries of its root that are to be
// skipped, such as an archive of somebody else's that is mounted there. They count
// in the size of the root. What is skipped further down is not known before it is
// listed.
func leftOut(ctx context.Context, source transfer.Source) (bytes int64, err error) {
	_, err = source.List(ctx, "", func(e transfer.Entry) error {
		if e.SkipReason != "" {
			bytes += max(e.Size, 0)
		}
		return nil
	})
	return bytes, err
}

// missing finds out how much room lacks in a target that refused a file for it.
// 0 when that can't be told.
func (w *Worker) missing(ctx context.Context, m transfer.Migration) int64 {
	ctx, cancel := context.WithTimeout(ctx, lastWrites)
	defer cancel()
	instance, err := w.cfg.Sides.Instance(m.Instance)
	if err != nil {
		return 0
	}
	room, limited, err := instance.Room(ctx)
	if err != nil || !limited {
		return 0
	}
	s, ok, err := w.cfg.Ledger.Snapshot(ctx, m.ID)
	if err != nil || !ok {
		return 0
	}
	return max(0, s.Bytes()-s.BytesDone-room)
}

// settlement is how a slice's lease ends: in a final state, or released to be
// due again after a wait. Neither: it is lost already.
type settlement struct {
	state  transfer.State
	reason transfer.Reason
	miss   int64 // bytes of room, with ReasonQuota
	lost   bool
	wait   time.Duration
	pauses int

	unreported transfer.Reason // why there is no report although there should be
}

// settlement decides from the slice's end.
func (w *Worker) settlement(ctx context.Context, lease transfer.Lease, end transfer.End, err error) settlement {
	pauses := lease.Pauses + 1
	if end.Progress {
		pauses = 1
	}
	cause := context.Cause(ctx)
	if err != nil && cause != nil {
		err = cause // what was cut short fails in many ways for one reason
	}
	var e *transfer.Error
	switch {
	case err == nil:
		return ended(end, pauses)
	case errors.Is(err, transfer.ErrLeaseLost):
		return settlement{lost: true}
	case errors.Is(err, errCanceled):
		return settlement{state: transfer.StateCanceled}
	case errors.Is(err, errStopped):
		return settlement{}
	case errors.Is(err, errWithdrawn):
		return settlement{state: transfer.StateFailed, reason: transfer.ReasonWithdrawn}
	case errors.As(err, &e) && e.Class == transfer.Again && e.Side == transfer.SideLedger:
		// No side is to blame, and once this can be written the ledger is back.
		return settlement{wait: ledgerWait, pauses: lease.Pauses}
	case errors.As(err, &e) && e.Class == transfer.Again:
		return paused(pauses, e.Reason, e.RetryAfter)
	case errors.As(err, &e):
		s := settlement{state: transfer.StateFailed, reason: e.Reason, miss: e.Missing}
		if s.reason == transfer.ReasonQuota && s.miss == 0 {
			s.miss = w.missing(ctx, lease.Migration)
		}
		return s
	default:
		return paused(pauses, transfer.ReasonInternal, 0)
	}
}

func ended(end transfer.End, pauses int) settlement {
	switch end.Kind {
	case transfer.Complete:
		return settlement{state: transfer.StateCompleted}
	case transfer.SideDown:
		return paused(pauses, end.Reason, end.RetryAfter)
	case transfer.Incomplete:
		return settlement{wait: retryDelay(pauses), pauses: pauses}
	default:
		return settlement{}
	}
}

func paused(pauses int, reason transfer.Reason, retryAfter time.Duration) settlement {
	return settlement{wait: max(pauseDelay(pauses), retryAfter), pauses: pauses, reason: reason}
}

// pauseDelay grows from 5 s to a day while a side is down.
func pauseDelay(pauses int) time.Duration {
	return min(5*time.Second<<min(pauses-1, 20), 24*time.Hour)
}

// retryDelay is the wait before single entries get another pass: 5 s, 30 s, 3 min
// and so on, so that five passes span a quarter of an hour.
func retryDelay(pauses int) time.Duration {
	d := 5 * time.Second
	for range min(pauses, 5) - 1 {
		d *= 6
	}
	return min(d, 15*time.Minute)
}

// settle writes the settlement, also when the slice was cut short.
func (w *Worker) settle(ctx context.Context, lease transfer.Lease, s settlement) error {
	if s.lost {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWrites)
	defer cancel()
	if s.state == "" {
		return w.cfg.Ledger.Release(ctx, lease, s.wait, s.pauses, s.reason)
	}
	done, err := w.cfg.Ledger.Finish(ctx, lease, transfer.Final{State: s.state, Reason: s.reason, Missing: s.miss, Unreported: s.unreported})
	if err == nil && !done {
		return w.cfg.Ledger.Release(ctx, lease, 0, 0, "")
	}
	return err
}

func (s settlement) name() string {
	switch {
	case s.lost:
		return "lost"
	case s.state != "":
		return string(s.state)
	case s.wait > 0:
		return "paused"
	default:
		return "released"
	}
}

// log writes the slice's one line.
func (s settlement) log(ctx context.Context, log *slog.Logger, took time.Duration, err error) {
	level := slog.LevelInfo
	attrs := []any{"end", s.name(), "seconds", took.Seconds()}
	if s.reason != "" {
		attrs = append(attrs, "reason", s.reason)
	}
	if s.wait > 0 {
		attrs = append(attrs, "wait_seconds", s.wait.Seconds())
	}
	if err != nil && !errors.Is(err, errCanceled) && !errors.Is(err, errStopped) {
		level = slog.LevelWarn
		attrs = append(attrs, "error", err)
	}
	log.Log(ctx, level, "slice ended", attrs...)
}
