package sides_test

import (
	"slices"
	"testing"
	"time"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/test/rig"
)

// outage is a side that serves nothing at all for a while.
type outage struct {
	name   string
	strike func(c *scene)
	// words that the user is told while it lasts; empty where the tracking document
	// can't be written either.
	words string
	// pauses are the first two, in seconds.
	pauses [2]float64
}

// survive lets outages strike migrations in mid-run, ends them together when each
// migration has paused twice, and wants all to go on by themselves.
func survive(t *testing.T, s *stage, heal func(), outages ...outage) {
	t.Helper()
	scenes := make([]*scene, len(outages))
	for i := range outages {
		c := s.newScene(t)
		c.files("a/many", 80+c.ahead())
		c.files("b/many", 80+c.ahead())
		c.slowUploads(1500)
		c.start()
		scenes[i] = c
	}
	struck := make([]time.Time, len(outages))
	for i, o := range outages {
		scenes[i].awaitMidway(4)
		o.strike(scenes[i])
		struck[i] = time.Now()
	}
	// One after the other, but they all last at the same time.
	for i, o := range outages {
		t.Run(o.name+" lasts", func(t *testing.T) { o.wantPauses(scenes[i].on(t), struck[i]) })
	}
	heal()
	healed := time.Now()
	for i, o := range outages {
		t.Run(o.name+" is over", func(t *testing.T) { wantGoingOn(scenes[i].on(t), healed) })
	}
}

func wantGoingOn(c *scene, healed time.Time) {
	c.t.Helper()
	c.cozy.Heal()
	until(c.t, rig.Patience, "going on", func() bool { return c.row().PauseReason == "" })
	c.measured("going on by itself after an outage of two pauses", time.Since(healed))
	c.await(contract.StatusCompleted, rig.Patience)
	if n := c.attempts(); n > 0 {
		c.t.Errorf("an entry was charged with %d attempts for an outage", n)
	}
	c.aftermath(promise{})
}

// on is a scene that goes on in another test.
func (c *scene) on(t *testing.T) *scene {
	other := *c
	other.t = t
	return &other
}

// wantPauses waits for two pauses, which grow, and looks at what is shown of them.
func (o outage) wantPauses(c *scene, struck time.Time) {
	c.t.Helper()
	c.awaitPause(1)
	c.measured("paused", time.Since(struck))
	o.wantShown(c, struck)
	c.awaitPause(2)
	o.wantShown(c, struck)
	// The lease is released before the slice's line is logged.
	until(c.t, rig.Patience, "logged", func() bool { return len(c.pauses()) >= 2 })
	if got := c.pauses(); !slices.Equal(got[:2], o.pauses[:]) {
		c.t.Errorf("the pauses last %v seconds, want %v", got, o.pauses)
	}
	if n := c.attempts(); n > 0 {
		c.t.Errorf("an entry was charged with %d attempts for an outage", n)
	}
}

// awaitPause waits for the n-th pause in a row.
func (c *scene) awaitPause(n int) {
	c.t.Helper()
	until(c.t, rig.Patience, "paused", func() bool {
		row := c.row()
		if contract.Status(row.State).Final() {
			c.t.Fatalf("the migration is %s (%s), want it to pause", row.State, row.FailureReason)
		}
		return row.Pauses >= n && row.LeaseOwner == "" && row.PauseReason != ""
	})
}

// pauses are those that the migrator has logged, in seconds.
func (c *scene) pauses() (seconds []float64) {
	for _, line := range c.migrator.Log.All("slice ended") {
		if wait, paused := line["wait_seconds"].(float64); paused && line["migration"] == c.id {
			seconds = append(seconds, wait)
		}
	}
	return seconds
}

// wantShown checks that the user learns of the pause and sees a sign of life.
func (o outage) wantShown(c *scene, since time.Time) {
	c.t.Helper()
	if o.words == "" {
		return
	}
	var doc contract.Tracking
	until(c.t, rig.Patience, "pause shown", func() bool {
		_, doc = c.document()
		return doc.PauseReason != ""
	})
	if doc.PauseReason != o.words || doc.Status != contract.StatusRunning || doc.FailureReason != "" || len(doc.Errors) > 0 {
		c.t.Errorf("the user is told %q %q, status %s, want %q", doc.PauseReason, doc.FailureReason, doc.Status, o.words)
	}
	if doc.LastHeartbeatAt == nil || doc.LastHeartbeatAt.Before(since.Add(-time.Second)) {
		c.t.Errorf("last sign of life at %v, outage since %v", doc.LastHeartbeatAt, since)
	}
	c.wantWords(doc.PauseReason)
}

const (
	busy        = "The server was busy or in maintenance."
	unreachable = "The server did not answer."
	incomplete  = "The server's answer was cut short."
)

// lasting orders a fault for all that a user's home serves.
func lasting(f rig.Fault) func(c *scene) {
	f["times"] = -1
	return func(c *scene) { c.spoilSource("", f) }
}

var doubling = [2]float64{5, 10} //nolint:gochecknoglobals // never written

func TestSourceIsInMaintenance(t *testing.T) { rig.InModes(t, sourceIsInMaintenance) }

func sourceIsInMaintenance(t *testing.T, m rig.Mode) {
	s := newStage(t, m, rig.Env{"SLOTS": "2"})
	survive(t, s, func() { s.maintenance(t, false) },
		outage{"maintenance mode", func(*scene) { s.maintenance(t, true) }, busy, doubling})
}

func TestSourceIsDown(t *testing.T) { rig.InModes(t, sourceIsDown) }

func sourceIsDown(t *testing.T, m rig.Mode) {
	s := newStage(t, m, nil)
	survive(t, s, s.HealNextcloud,
		outage{"unreachable", lasting(rig.Fault{"drop": true}), unreachable, doubling},
		outage{"database away, 500", lasting(rig.Fault{"status": 500}), busy, doubling},
		outage{"Redis away, 503", lasting(rig.Fault{"status": 503, "message": "Redis server went away"}), busy, doubling},
		outage{"PHP away, 502", lasting(rig.Fault{"status": 502, "page": true}), busy, doubling},
		outage{"throttled, 429", lasting(rig.Fault{"status": 429, "retry_after": "9s"}), busy, [2]float64{9, 10}},
		outage{"a login page in place of everything", lasting(rig.Fault{"status": 200, "body": "<html>please log in</html>"}), incomplete, doubling},
	)
}

func TestTargetIsDown(t *testing.T) { rig.InModes(t, targetIsDown) }

func targetIsDown(t *testing.T, m rig.Mode) {
	s := newStage(t, m, nil)
	// Of several faults the oldest counts: the one that slows uploads down has to go,
	// and another slowness has to last until the outage is there.
	away := func(f rig.Fault) func(c *scene) {
		return func(c *scene) {
			s.latency(t, time.Second)
			s.HealCozy()
			c.spoilTarget(f)
			s.latency(t, 0)
		}
	}
	survive(t, s, s.HealCozy, outage{"files away, documents there", away(rig.Fault{"pathPrefix": "/files", "status": 503}), busy, doubling})
	survive(t, s, s.HealCozy, outage{"unreachable", away(rig.Fault{"resetBeforeBody": true}), "", doubling})
}
