package workers_test

import (
	"bytes"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/test/rig"
)

// moveBy is a migration in mid-run, of a worker that reaches the ledger by an
// address of the test's, and a second one that nobody asked for yet.
func moveBy(t *testing.T, r *rig.Rig, addr string, settings rig.Env) (running, next *move, worker *rig.Service) {
	t.Helper()
	running, next = newMove(t, r, "alice"), newMove(t, r, "bob")
	running.fill(12, 60)
	next.fill(2, 20)
	running.slow(150 * time.Millisecond)
	worker = r.StartMigrator(with(settings, rig.Env{"DATABASE_URL": r.LedgerURL(addr, "cut-off")}))
	running.request()
	running.awaitMid(t)
	return running, next, worker
}

// awaitBoth lets both end.
func awaitBoth(t *testing.T, running, next *move) {
	t.Helper()
	running.HealCozy()
	running.awaitCompleted(t, rig.Patience)
	next.awaitCompleted(t, rig.Patience)
	aftermath(t, running, next)
}

func TestWorkGoesOnAfterPostgresIsKilledAndStartedAgain(t *testing.T) {
	t.Parallel()
	own, server := backends.OwnPostgres(t)
	r := own.New(t)
	m, next, _ := moveBy(t, r, r.LedgerAddr(), steady())
	server.Kill(t)
	next.request()
	server.Start(t)
	back := time.Now()
	r.Ledger.Reconnect(t)
	done := m.done(t)
	rig.Await(t, rig.Patience, "going on", func() bool { return m.done(t) > done })
	measured(t, "PostgreSQL killed: files arrive %v after it is back", time.Since(back).Round(10*time.Millisecond))
	rig.Await(t, rig.Patience, "admitted", func() bool { return next.state(t) != "" })
	measured(t, "PostgreSQL killed: a request of meanwhile is admitted %v after it is back", time.Since(back).Round(10*time.Millisecond))
	awaitBoth(t, m, next)
}

func TestAHolderThatCannotReachPostgresStopsAndNothingIsAcknowledged(t *testing.T) {
	t.Parallel()
	outage := inFull(30*time.Second, time.Minute)
	r := backends.New(t)
	link := rig.NewLink(t, r.LedgerAddr())
	m, next, worker := moveBy(t, r, link.Addr, steady())
	link.Cut()
	cut, over := time.Now(), time.After(outage)
	next.request()
	rig.Await(t, rig.Patience, "stopped by the holder", func() bool { return len(worker.Log.All("slice ended")) > 0 })
	fenced := time.Since(cut)
	if end := worker.Log.All("slice ended")[0]["end"]; end != "lost" {
		t.Errorf("the slice ended as %v", end)
	}
	sent := posted(r)[201]
	if worker.Ready() {
		t.Error("the worker says that it is ready")
	}
	<-over
	// What was cut may have been whole already.
	if now := posted(r)[201]; now > sent+transfers {
		t.Errorf("%d files were sent after the holder had stopped", now-sent)
	}
	if state, waiting := next.state(t), next.waiting(queueRequested); state != "" || waiting != 1 {
		t.Errorf("the request of meanwhile is %q in the ledger, %d messages wait", state, waiting)
	}
	done := m.done(t)
	link.Restore(t)
	back := time.Now()
	rig.Await(t, rig.Patience, "going on", func() bool { return m.done(t) > done })
	going := time.Since(back)
	rig.Await(t, rig.Patience, "admitted", func() bool { return next.state(t) != "" })
	measured(t, "PostgreSQL refuses for %v: holder stopped after %v, files arrive %v after the end, a request of meanwhile is admitted after %v",
		outage, fenced.Round(10*time.Millisecond), going.Round(10*time.Millisecond), time.Since(back).Round(10*time.Millisecond))
	awaitBoth(t, m, next)
}

func TestASlowPostgresCostsTimeAndNoLease(t *testing.T) {
	t.Parallel()
	const each = 2 * time.Second
	r := backends.New(t)
	proxy := rig.NewProxy(t, r.LedgerAddr())
	m, next, worker := moveBy(t, r, proxy.Addr, steady())
	term, done := m.term(t), m.done(t)
	proxy.Tamper(func(sent []byte) bool {
		if statement(sent) {
			<-time.After(each)
		}
		return false
	})
	slow := time.Now()
	next.request()
	rig.Await(t, rig.Patience, "admitted", func() bool { return next.state(t) != "" })
	admitted := time.Since(slow)
	// Longer than any lease that was granted before.
	rig.Await(t, rig.Patience, "slow for long", func() bool { return time.Since(slow) > 20*time.Second })
	if m.term(t) != term || worker.Metric("migrator_takeovers_total") > 0 {
		t.Errorf("the lease was lost: term %d, then %d", term, m.term(t))
	}
	measured(t, "PostgreSQL with %v a statement: admitted after %v, %.1f files/s go on",
		each, admitted.Round(10*time.Millisecond), float64(m.done(t)-done)/time.Since(slow).Seconds())
	if m.done(t) == done {
		t.Error("nothing was copied meanwhile")
	}
	proxy.Tamper(nil)
	awaitBoth(t, m, next)
}

func TestAPoolThatIsTooSmallLosesNoLease(t *testing.T) {
	t.Parallel()
	const moves = 8
	r := backends.New(t)
	var all []*move
	for n := range moves {
		m := newMove(t, r, fmt.Sprintf("user%d", n))
		m.fill(3, 25)
		all = append(all, m)
	}
	worker := r.StartMigrator(rig.Env{"DATABASE_CONNS": "4", "SLOTS": "8", "TRANSFERS": "8"})
	began := time.Now()
	for _, m := range all {
		m.request()
	}
	for _, m := range all {
		m.awaitCompleted(t, rig.Patience)
	}
	measured(t, "%d migrations of 75 files on 4 connections: %v", moves, time.Since(began).Round(10*time.Millisecond))
	if n := worker.Metric("migrator_takeovers_total"); n > 0 {
		t.Errorf("%v leases ran out", n)
	}
	aftermath(t, all...)
}

func TestWorkGoesOnAfterPostgresWasReadOnly(t *testing.T) {
	t.Parallel()
	r := backends.New(t)
	m, next, worker := moveBy(t, r, r.LedgerAddr(), with(quick(), rig.Env{"DELIVERY_LIMIT": "3"}))
	readOnly := func(on string) {
		database := rig.Value[string](t, r.Ledger, "SELECT current_database()")
		r.Ledger.Exec(t, "ALTER DATABASE "+database+" SET default_transaction_read_only = "+on)
		r.Ledger.Exec(t, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE datname = current_database() AND pid <> pg_backend_pid()`)
	}
	readOnly("on")
	next.request()
	rig.Await(t, rig.Patience, "stopped by the holder", func() bool { return len(worker.Log.All("slice ended")) > 0 })
	// Each return of the message counts against its limit of 3.
	tries := inFull(6, 12)
	rig.Await(t, rig.Patience, "tried often", func() bool { return returned(worker) >= tries || next.waiting(queueDead) > 0 })
	if state := next.state(t); state != "" {
		t.Errorf("the request of meanwhile is %s in the ledger", state)
	}
	readOnly("off")
	back, done := time.Now(), m.done(t)
	rig.Await(t, rig.Patience, "going on", func() bool { return m.done(t) > done })
	measured(t, "PostgreSQL was read-only: files arrive %v after the end", time.Since(back).Round(10*time.Millisecond))
	rig.Await(t, rig.Patience, "admitted", func() bool { return next.state(t) != "" })
	awaitBoth(t, m, next)
}

// returned is how often a worker could not settle a message.
func returned(worker *rig.Service) int {
	return len(worker.Log.All("broker session ended")) + len(worker.Log.All("message had to wait"))
}

func TestARequestWhoseCommitIsUnknownIsAdmittedOnce(t *testing.T) {
	t.Parallel()
	r := backends.New(t)
	proxy := rig.NewProxy(t, r.LedgerAddr())
	m := newMove(t, r, "alice")
	m.fill(2, 20)
	worker := r.StartMigrator(with(steady(), rig.Env{"DATABASE_URL": r.LedgerURL(proxy.Addr, "cut-off")}))
	var lost atomic.Int64
	proxy.Tamper(func(sent []byte) bool {
		return bytes.Contains(sent, []byte("commit\x00")) && lost.Add(1) == 1
	})
	m.request()
	m.awaitCompleted(t, rig.Patience)
	// A small migration is over before the message is tried again.
	rig.Await(t, rig.Patience, "tried again", func() bool { return len(worker.Log.All("migration requested")) > 0 })
	var admissions []any
	for _, line := range worker.Log.All("migration requested") {
		admissions = append(admissions, line["admission"])
	}
	if len(admissions) != 1 || admissions[0] != "already_known" {
		t.Errorf("admissions that the worker knows of: %v, want the second alone", admissions)
	}
	aftermath(t, m)
}

func TestStatementsWhoseOutcomeIsUnknownAreCountedOnce(t *testing.T) {
	t.Parallel()
	random := seeded(t)
	seed := random.Uint64()
	r := backends.New(t)
	proxy := rig.NewProxy(t, r.LedgerAddr())
	m := newMove(t, r, "alice")
	m.fill(10, 30)
	m.slow(20 * time.Millisecond)
	var asked, lost atomic.Uint64
	proxy.Tamper(func(sent []byte) bool {
		// Every twelfth on average, in an order that the seed repeats.
		if !statement(sent) || (seed^asked.Add(1)*0x9e3779b97f4a7c15)>>32%12 != 0 {
			return false
		}
		lost.Add(1)
		return true
	})
	r.StartMigrator(with(quick(), rig.Env{"DATABASE_URL": r.LedgerURL(proxy.Addr, "cut-off")}))
	m.request()
	m.awaitCompleted(t, rig.Patience)
	measured(t, "the answers of %d statements of %d were lost", lost.Load(), asked.Load())
	proxy.Tamper(nil)
	aftermath(t, m)
}

func TestNothingIsAcknowledgedWhileTheDiskIsFull(t *testing.T) {
	t.Parallel()
	own, server := backends.SmallPostgres(t, 48)
	r := own.New(t)
	m, next := newMove(t, r, "alice"), newMove(t, r, "bob")
	m.fill(40, 100)
	next.fill(2, 20)
	m.slow(20 * time.Millisecond)
	m.SpoilNextcloud(rig.Fault{"method": "PROPFIND", "delay": "1s", "times": -1})
	worker := r.StartMigrator(with(quick(), rig.Env{"DELIVERY_LIMIT": "3"}))
	m.request()
	rig.Await(t, rig.Patience, "being listed", func() bool { return m.folders(t, "listed") > 5 })
	server.Run(t, "sh", "-c", "cat /dev/zero > "+rig.SmallDisk+"/ballast || df "+rig.SmallDisk)
	rig.Await(t, rig.Patience, "held up", func() bool { return m.stuckListing(t) })
	m.HealNextcloud()
	next.cancel() // a row in a table that has no page yet
	tries := inFull(5, 10)
	rig.Await(t, rig.Patience, "tried often", func() bool { return returned(worker) >= tries })
	noted := func() int64 { return rig.Value[int64](t, r.Ledger, "SELECT count(*) FROM cancellation") }
	if noted() > 0 {
		t.Error("the disk is not full: nothing was shown")
	}
	listed := m.folders(t, "listed")
	server.Run(t, "rm", rig.SmallDisk+"/ballast")
	back := time.Now()
	rig.Await(t, rig.Patience, "going on", func() bool { return m.folders(t, "listed") > listed })
	going := time.Since(back)
	rig.Await(t, rig.Patience, "noted", func() bool { return noted() == 1 })
	measured(t, "disk full: listing goes on %v after there is room, a cancellation of meanwhile is noted after %v",
		going.Round(10*time.Millisecond), time.Since(back).Round(10*time.Millisecond))
	next.request()
	next.cozy.AwaitStatus(next.id, contract.StatusCanceled, rig.Patience)
	m.HealCozy()
	m.awaitCompleted(t, rig.Patience)
	aftermath(t, m, next)
}

// stuckListing says whether the listing makes no progress for a while.
func (m *move) stuckListing(t *testing.T) bool {
	t.Helper()
	before := m.folders(t, "listed")
	<-time.After(2 * time.Second)
	return m.folders(t, "listed") == before
}
