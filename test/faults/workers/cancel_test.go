package workers_test

import (
	"fmt"
	"testing"
	"time"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/pkg/failpoint"
	"example.org/ncm/test/rig"
)

// Not parallel: a second is little beside ten other tests.
func TestACancellationIsSeenWithinASecondWhereverItsMigrationRuns(t *testing.T) {
	r := backends.New(t)
	settings := rig.Env{"SLOTS": "2", "TRANSFERS": "8"}
	for range 3 {
		r.StartMigrator(settings)
	}
	var all []*move
	var seen, told []time.Duration
	for n := range inFull(5, 20) {
		m := newMove(t, r, fmt.Sprintf("user%d", n))
		m.fill(2, 30)
		m.Generate(m.user, "huge", 4, 40_000_000)
		m.slow(100 * time.Millisecond)
		// No body of the big files ends before the cancellation.
		m.SpoilNextcloud(rig.Fault{"method": "GET", "path_prefix": "/remote.php/dav/files/" + m.user.ID + "/huge", "bandwidth": 200_000, "times": -1})
		m.request()
		m.awaitMore(t, 0, 10, rig.Patience)
		canceled := m.clock(t)
		m.cancel()
		rig.Await(t, rig.Patience, "canceled", func() bool { return m.state(t) == "canceled" })
		seen = append(seen, m.since(t, canceled, "finished_at"))
		m.cozy.AwaitStatus(m.id, contract.StatusCanceled, rig.Patience)
		told = append(told, m.since(t, canceled, "mirrored_at"))
		if files, _ := m.inTarget(t); files == 64 || files == 0 {
			t.Errorf("%d files of 64 are in the target: nothing was cut", files)
		}
		all = append(all, m)
	}
	measured(t, "cancellation to the end of the work: %s; to the tracking document: %s", spread(seen), spread(told))
	if took := median(seen); took > time.Second {
		t.Errorf("a cancellation took %v", took)
	}
	terms := map[*move]int64{}
	for _, m := range all {
		terms[m] = m.term(t)
		m.request() // what is canceled never runs again
	}
	rig.Await(t, rig.Patience, "taken", func() bool { return all[0].waiting(queueRequested) == 0 })
	aftermath(t, all...)
	for _, m := range all {
		if m.state(t) != "canceled" || m.term(t) != terms[m] {
			t.Errorf("the canceled migration is %s, its term %d was %d", m.state(t), m.term(t), terms[m])
		}
	}
}

// What a worker had sent when it died is counted before the migration is final,
// whether its lease has run out by the time of the cancellation or not.
func TestACancellationCountsWhatADeadWorkerSent(t *testing.T) {
	t.Parallel()
	for name, lapsed := range map[string]bool{"before its lease has run out": false, "after that": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMove(t, backends.New(t), "alice")
			m.fill(4, 30)
			m.slow(100 * time.Millisecond)
			dying := failpoints.StartMigrator(m.Rig, failpoint.FileCreated+":30", quick())
			m.request()
			dying.AwaitCrash(t, rig.Patience)
			awaitDisconnected(t, m.Rig)
			files, _ := m.inTarget(t)
			if files <= m.done(t) {
				t.Fatalf("the target has %d files, the ledger knows of %d: nothing would be shown", files, m.done(t))
			}
			rig.Await(t, rig.Patience, "run out", func() bool {
				return !lapsed || rig.Value[bool](t, m.Ledger, "SELECT lease_until < clock_timestamp() FROM migration WHERE id = $1", m.id)
			})
			m.cancel()
			canceled := m.clock(t)
			m.StartMigrator(quick())
			m.cozy.AwaitStatus(m.id, contract.StatusCanceled, rig.Patience)
			measured(t, "cancellation after a death, lease of 4s: %v", m.since(t, canceled, "finished_at").Round(time.Millisecond))
			aftermath(t, m)
		})
	}
}

func TestACancellationOfAPendingMigrationNeedsNoSlot(t *testing.T) {
	t.Parallel()
	r := backends.New(t)
	m, next, _ := moveBy(t, r, r.LedgerAddr(), with(steady(), rig.Env{"SLOTS": "1"}))
	next.request()
	rig.Await(t, rig.Patience, "admitted", func() bool { return next.state(t) == "pending" })
	canceled := next.clock(t)
	next.cancel()
	rig.Await(t, rig.Patience, "canceled", func() bool { return next.state(t) == "canceled" })
	took := next.since(t, canceled, "finished_at")
	next.cozy.AwaitStatus(next.id, contract.StatusCanceled, rig.Patience)
	measured(t, "cancellation of a pending migration: %v, told after %v", took.Round(time.Millisecond), next.since(t, canceled, "mirrored_at").Round(time.Millisecond))
	if state := m.state(t); state != "running" {
		t.Fatalf("the migration in the slot is %s: nothing was shown", state)
	}
	m.HealCozy()
	m.awaitCompleted(t, rig.Patience)
	aftermath(t, m, next)
}

func TestACancellationThatOvertakesItsRequestHolds(t *testing.T) {
	t.Parallel()
	r := backends.New(t)
	m := newMove(t, r, "alice")
	m.fill(2, 20)
	r.StartMigrator(steady())
	m.cancel()
	rig.Await(t, rig.Patience, "noted", func() bool {
		return rig.Value[int64](t, m.Ledger, "SELECT count(*) FROM cancellation") == 1
	})
	m.request()
	m.cozy.AwaitStatus(m.id, contract.StatusCanceled, rig.Patience)
	if files, folders := m.inTarget(t); files+folders > 0 || m.term(t) > 0 {
		t.Errorf("%d files and %d folders are in the target, term %d", files, folders, m.term(t))
	}
	aftermath(t, m)
}
