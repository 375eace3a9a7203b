package worker_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/services/migrator/internal/transfer"
	"example.org/ncm/services/migrator/internal/transfertest"
	"example.org/ncm/services/migrator/internal/worker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// settled is how a lease ended.
type settled struct {
	State  transfer.State // final, or empty: released
	Reason transfer.Reason
	Wait   time.Duration
	Pauses int
}

// ledger hands out one lease, once, and notes how it ends.
type ledger struct {
	lease    transfer.Lease
	renew    func() (transfer.Renewal, error)
	snapshot transfer.Snapshot
	refusal  error // of Begin
	failed   []transfer.Notice
	skipped  []transfer.Notice
	lines    []transfer.Line // all of them problems
	stuck    bool            // Lines gives nothing until its context ends

	mu       sync.Mutex
	claimed  bool
	asked    bool // for lines
	began    string
	mirrored int64
	renewed  []*transfer.Parallel // what the renewals showed
	settled  chan settled

	waiting   string // the migration of the instance that nobody works on yet
	begun     bool   // or somebody does
	withdrawn string
}

func newLedger() *ledger {
	m := transfer.Migration{ID: "m1", Instance: "alice", AccountID: "a", SourcePath: "/src"}
	return &ledger{
		lease:    transfer.Lease{Migration: m, Owner: "w", Term: 7},
		renew:    func() (transfer.Renewal, error) { return transfer.Renewal{}, nil },
		snapshot: transfer.Snapshot{Migration: m, Term: 7, State: transfer.StateRunning, Changed: 1},
		settled:  make(chan settled, 1),
	}
}

func (l *ledger) Admit(context.Context, transfer.Migration, time.Time) (transfer.Admission, error) {
	return transfer.Admitted, nil
}

func (l *ledger) Waiting(_ context.Context, _, id string) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting == id {
		return "", nil
	}
	return l.waiting, nil
}

func (l *ledger) Withdraw(_ context.Context, id string) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.begun {
		return false, nil
	}
	l.withdrawn, l.waiting = id, ""
	return true, nil
}

func (l *ledger) Cancel(_ context.Context, _, instance string) (bool, error) {
	return instance == l.lease.Instance, nil
}

func (l *ledger) Claim(context.Context, string, time.Duration) (transfer.Lease, bool, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	first := !l.claimed
	l.claimed = true
	return l.lease, false, first, nil
}

func (l *ledger) Renew(_ context.Context, lease transfer.Lease, _ time.Duration) (transfer.Renewal, error) {
	l.mu.Lock()
	l.renewed = append(l.renewed, lease.Parallel)
	l.mu.Unlock()
	return l.renew()
}

func (l *ledger) Begin(_ context.Context, _ transfer.Lease, targetDir string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.began = targetDir
	l.snapshot.Started, l.snapshot.TargetDir = true, targetDir
	return l.refusal
}

func (l *ledger) Root(context.Context, transfer.Lease, string, string, transfer.Entry) error {
	return nil
}

func (l *ledger) Release(_ context.Context, _ transfer.Lease, wait time.Duration, pauses int, reason transfer.Reason) error {
	l.settled <- settled{Wait: wait, Pauses: pauses, Reason: reason}
	return nil
}

func (l *ledger) CopiedBefore(context.Context, transfer.Migration) (int64, error) { return 0, nil }

func (l *ledger) Finish(_ context.Context, _ transfer.Lease, final transfer.Final) (bool, error) {
	l.mu.Lock()
	l.snapshot.State, l.snapshot.FailureReason, l.snapshot.FinishedAt = final.State, final.Reason, time.Now()
	l.snapshot.BytesMissing, l.snapshot.Unreported = final.Missing, final.Unreported
	l.snapshot.Changed++
	l.mu.Unlock()
	l.settled <- settled{State: final.State, Reason: final.Reason}
	return true, nil
}

func (l *ledger) Lines(ctx context.Context, _ string, which transfer.Lines, yield func(transfer.Line) error) error {
	if which != transfer.LinesProblems {
		return nil
	}
	l.mu.Lock()
	l.asked = true
	l.mu.Unlock()
	if l.stuck {
		<-ctx.Done()
		return context.Cause(ctx)
	}
	for _, line := range l.lines {
		if err := yield(line); err != nil {
			return err
		}
	}
	return nil
}

// isStuck says whether somebody waits for lines, or has.
func (l *ledger) isStuck() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stuck && l.asked
}

// reopen makes the migration due again, as a retry does.
func (l *ledger) reopen() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.claimed, l.snapshot.State, l.snapshot.FinishedAt = false, transfer.StateRunning, time.Time{}
	l.lease.ReopenedFrom, l.snapshot.ReopenedFrom = transfer.StateCompleted, transfer.StateCompleted
}

func (l *ledger) Report(_ context.Context, _ transfer.Lease, name string, md5 []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.snapshot.Report, l.snapshot.ReportMD5 = name, md5
	return nil
}

func (l *ledger) Snapshot(context.Context, string) (transfer.Snapshot, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.snapshot, true, nil
}

func (l *ledger) Notices(_ context.Context, _ string, kind transfer.Outcome, limit int) ([]transfer.Notice, error) {
	all := l.failed
	if kind == transfer.Skipped {
		all = l.skipped
	}
	return all[:min(limit, len(all))], nil
}

func (l *ledger) Mirrored(_ context.Context, _ string, _, changed int64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mirrored = changed
	l.snapshot.Mirrored = changed
	return nil
}

func (l *ledger) Behind(context.Context, time.Duration, int) ([]string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.snapshot.Mirrored < l.snapshot.Changed && !l.snapshot.FinishedAt.IsZero() && time.Since(l.snapshot.FinishedAt) > 5*time.Second {
		return []string{"m1"}, nil
	}
	return nil, nil
}

// sides are two ends in memory and one tracking document.
type sides struct {
	source *transfertest.Source
	target *transfertest.Target
	pace   transfer.Pace // of the source; nil: none

	room    int64
	limited bool

	mu     sync.Mutex
	doc    contract.Tracking
	gone   bool
	writes []time.Time
}

func newSides(files map[string]string) *sides {
	return &sides{
		source: &transfertest.Source{Files: files},
		target: &transfertest.Target{},
		doc:    contract.NewTracking("/src", "/dst"),
	}
}

func (s *sides) Instance(string) (worker.Instance, error) { return s, nil }

func (s *sides) Source(context.Context, transfer.Migration) (transfer.Source, string, error) {
	if s.pace != nil {
		return pacedSource{s.source, s.pace}, "account", nil
	}
	return s.source, "account", nil
}

// pacedSource is a server with a pace.
type pacedSource struct {
	*transfertest.Source
	pace transfer.Pace
}

func (s pacedSource) Pace() transfer.Pace { return s.pace }

// fixedPace gives everybody a place and tells always the same.
type fixedPace struct{ limit, used, most int }

func (fixedPace) Acquire(context.Context) error { return nil }
func (fixedPace) Release(time.Duration)         {}
func (fixedPace) Busy()                         {}
func (p fixedPace) Now() (limit, used int)      { return p.limit, p.used }
func (p fixedPace) Most() int                   { return p.most }

func (s *sides) Target(context.Context, string) (transfer.Target, string, error) {
	return s.target, transfertest.RootID, nil
}

func (s *sides) Room(context.Context) (int64, bool, error) { return s.room, s.limited, nil }

func (s *sides) Tracking(context.Context, string) (contract.Tracking, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		return contract.Tracking{}, worker.ErrNoDocument
	}
	return s.doc, nil
}

func (s *sides) WriteTracking(ctx context.Context, _ string, update func(context.Context, *contract.Tracking) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		return worker.ErrNoDocument
	}
	doc := s.doc
	if err := update(ctx, &doc); err != nil {
		return err
	}
	s.doc = doc
	s.writes = append(s.writes, time.Now())
	return nil
}

func (s *sides) Deleting(context.Context) (bool, error) {
	doc := s.tracking()
	return doc.SourceDeleting(time.Now()), nil
}

func (s *sides) tracking() contract.Tracking {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.doc
}

// bench is one worker on a ledger and two sides in memory.
type bench struct {
	*ledger
	*sides
	worker  *worker.Worker
	stop    context.CancelFunc
	stopped chan struct{}
}

func start(t *testing.T, l *ledger, s *sides) *bench {
	t.Helper()
	return startWith(t, l, s, func(*worker.Config) {})
}

func startWith(t *testing.T, l *ledger, s *sides, set func(*worker.Config)) *bench {
	t.Helper()
	entries := transfertest.NewLedger()
	cfg := worker.Config{
		Owner: "w", Ledger: l, Sides: s, Slots: 1, Transfers: 4, Listers: 1, Attempts: 5,
		Slice:   func(transfer.Lease) transfer.Ledger { return entries },
		Logger:  slog.New(slog.DiscardHandler),
		Metrics: worker.NewMetrics(prometheus.NewRegistry()),
	}
	set(&cfg)
	w := worker.New(cfg)
	ctx, cancel := context.WithCancel(t.Context())
	b := &bench{ledger: l, sides: s, worker: w, stop: cancel, stopped: make(chan struct{})}
	go func() {
		defer close(b.stopped)
		if err := w.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(b.end)
	return b
}

func (b *bench) end() {
	b.stop()
	<-b.stopped
}
