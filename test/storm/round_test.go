package storm_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/test/rig"
)

// size is how much a round moves and how long it may take.
type size struct {
	name    string
	files   int // per instance
	latency int // ms that the stack takes for each request, so that the storm meets the work
	storm   time.Duration
	calm    time.Duration // for what is left to do when all is healed
}

const (
	migrators  = 3
	instances  = 4
	smallBytes = 900
	largeBytes = 3 << 20
	largeFiles = 4
)

// move is one user's migration.
type move struct {
	user rig.User
	cozy *rig.Instance
	id   string
}

// round is one storm.
type round struct {
	*system
	seed     uint64
	size     size
	moves    []*move
	slots    [migrators]*migrator // nil: a new one comes later
	started  []*migrator          // all of this round
	timeline *timeline
	agenda   []appointment // by time
}

// appointment is the end of a fault.
type appointment struct {
	at time.Time
	do func()
}

func newRound(s *system, seed uint64, size size) *round {
	return &round{system: s, seed: seed, size: size, timeline: newTimeline()}
}

// run lets the storm rage over four migrations and returns when all is healed.
func (r *round) run() {
	r.t.Helper()
	for slot := range r.slots {
		r.fill(slot)
	}
	rig.Await(r.t, rig.Patience, "all migrators ready", func() bool {
		return !slices.ContainsFunc(r.slots[:], func(m *migrator) bool { return !m.isReady(r.t.Context()) })
	})
	r.latency(r.size.latency)
	for n := range instances {
		r.moves = append(r.moves, r.begin(n))
	}
	faults := menu()
	deadline, p := time.Now().Add(r.size.storm), newPlan(r.seed, len(faults))
	for d := p.next(); r.wait(d.after, deadline); d = p.next() {
		f := faults[d.fault]
		r.timeline.count(f.name)
		r.timeline.note("%s: %s", f.name, f.hit(r, d))
	}
	r.heal()
}

// begin offers a user's files and asks for their migration.
func (r *round) begin(n int) *move {
	r.t.Helper()
	name := fmt.Sprintf("user%d-%d-%d", n, r.seed%1_000_000, len(r.all))
	m := &move{user: r.rig.AddUser(name), cozy: r.rig.AddInstance(name + rig.InstanceSuffix)}
	small := r.size.files - largeFiles
	r.rig.Generate(m.user, "photos", small/2, smallBytes)
	r.rig.Generate(m.user, "letters/old", small/4, smallBytes/3)
	r.rig.Generate(m.user, "letters/new", small-small/2-small/4, 4*smallBytes)
	r.rig.Generate(m.user, "films", largeFiles, largeBytes)
	r.trigger.AwaitReady() // its broker may have been away in the round before
	m.id = r.trigger.MustStart(r.t, m.cozy, r.rig.Order(m.user))
	return m
}

// later arranges for the end of a fault.
func (r *round) later(d time.Duration, do func()) {
	r.agenda = append(r.agenda, appointment{time.Now().Add(d), do})
	slices.SortStableFunc(r.agenda, func(a, b appointment) int { return cmp.Compare(a.at.UnixNano(), b.at.UnixNano()) })
}

// wait ends faults whose time has come until the next one is due. It is false when
// the storm is over.
func (r *round) wait(d time.Duration, deadline time.Time) bool {
	due, tick := time.Now().Add(d), time.NewTicker(50*time.Millisecond)
	defer tick.Stop()
	for now := time.Now(); now.Before(due); now = <-tick.C {
		r.keep(now)
	}
	return time.Now().Before(deadline) && !r.ended()
}

// keep does what is due.
func (r *round) keep(now time.Time) {
	for len(r.agenda) > 0 && !r.agenda[0].at.After(now) {
		do := r.agenda[0].do
		r.agenda = r.agenda[1:]
		do()
	}
}

// heal ends all faults.
func (r *round) heal() {
	for len(r.agenda) > 0 {
		r.keep(r.agenda[len(r.agenda)-1].at)
	}
	r.rig.HealCozy()
	r.rig.HealNextcloud()
	r.latency(0)
	r.postgres.starting.Wait()
	r.broker.starting.Wait()
	r.timeline.note("all is healed")
}

// victim chooses among the processes that are up and not paused.
func (r *round) victim(d draw) (slot int, m *migrator) {
	for n := range r.slots {
		slot = (d.victim + n) % len(r.slots)
		if m := r.slots[slot]; m != nil && m.running() && !m.paused {
			return slot, m
		}
	}
	return 0, nil
}

// fill puts a new process into a slot.
func (r *round) fill(slot int) {
	m := r.startMigrator()
	r.slots[slot], r.started = m, append(r.started, m)
	r.timeline.note("%s starts, pid %d", m.name, m.cmd.Process.Pid)
}

// ended says whether every tracking document is final. It asks the simulator
// itself, which no fault reaches.
func (r *round) ended() bool {
	return !slices.ContainsFunc(r.moves, func(m *move) bool { return !m.tracking(r.t).Status.Final() })
}

// tracking is the document as it is stored.
func (m *move) tracking(t testing.TB) contract.Tracking {
	t.Helper()
	for _, raw := range m.cozy.Documents(contract.DoctypeMigrations) {
		var doc struct {
			ID string `json:"_id"`
			contract.Tracking
		}
		if err := json.Unmarshal(raw, &doc); err != nil {
			t.Fatalf("decode tracking document: %v", err)
		}
		if doc.ID == m.id {
			return doc.Tracking
		}
	}
	t.Fatalf("tracking document %s is gone", m.id)
	return contract.Tracking{}
}
