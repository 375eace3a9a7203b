package storm_test

import (
	"fmt"
	"net/http"
	"syscall"
	"time"

	"example.org/ncm/test/rig"
)

// fault is something that the storm does. It says what it did in words, after it
// arranged for its own end.
type fault struct {
	name string
	hit  func(*round, draw) string
}

// menu is all that may happen, what matters most twice. A plan refers to it by
// number.
func menu() []fault {
	return []fault{
		{"kill", killMigrator},
		{"kill", killMigrator},
		{"pause", pauseMigrator},
		{"pause", pauseMigrator},
		{"stop", stopMigrator},
		{"broker-cut", func(r *round, d draw) string { return r.cutLink(r.broker, d) }},
		{"broker-restart", func(r *round, d draw) string { return r.restart(r.broker, d) }},
		{"postgres-cut", func(r *round, d draw) string { return r.cutLink(r.postgres, d) }},
		{"postgres-restart", func(r *round, d draw) string { return r.restart(r.postgres, d) }},
		{"source-5xx", sourceFails},
		{"source-body", sourceBodies},
		{"source-listing", sourceListings},
		{"source-maintenance", sourceMaintenance},
		{"target-5xx", targetFails},
		{"target-reset", targetResets},
		{"target-token", targetTokens},
		{"target-latency", targetLatency},
	}
}

func killMigrator(r *round, d draw) string {
	slot, m := r.victim(d)
	if m == nil {
		return "nobody is up"
	}
	back := d.between(0, 6*time.Second)
	m.kill()
	r.later(back, func() { r.fill(slot) })
	return fmt.Sprintf("%s, another one in %v", m.name, back)
}

func pauseMigrator(r *round, d draw) string {
	_, m := r.victim(d)
	if m == nil {
		return "nobody is up"
	}
	pause := d.between(5*time.Second, 25*time.Second)
	m.signal(syscall.SIGSTOP)
	m.paused = true
	r.later(pause, func() {
		m.signal(syscall.SIGCONT)
		m.paused = false
		r.timeline.note("%s goes on", m.name)
	})
	return fmt.Sprintf("%s for %v", m.name, pause)
}

// stopMigrator starts the next one as a roll-out does, while the old one may still
// be ending.
func stopMigrator(r *round, d draw) string {
	slot, m := r.victim(d)
	if m == nil {
		return "nobody is up"
	}
	m.signal(syscall.SIGTERM)
	r.slots[slot] = nil
	back := d.between(0, 3*time.Second)
	r.later(back, func() { r.fill(slot) })
	return fmt.Sprintf("%s, another one in %v", m.name, back)
}

func (r *round) cutLink(s *server, d draw) string {
	if s.cut {
		return "it is cut already"
	}
	away := d.between(500*time.Millisecond, 8*time.Second)
	s.link.Cut()
	s.cut = true
	r.later(away, func() {
		s.link.Restore(r.t)
		s.cut = false
	})
	return fmt.Sprintf("for %v", away)
}

func (r *round) restart(s *server, d draw) string {
	if s.down.Load() {
		return "it is down already"
	}
	away := d.between(0, 3*time.Second)
	s.kill()
	r.later(away, func() {
		s.start()
		r.timeline.note("%s starts", s.name)
	})
	return fmt.Sprintf("killed, starts in %v", away)
}

// The simulators spoil a number of requests, and those of them that do not come soon
// are spared: a migration that waits must not find old faults when it goes on.

func (r *round) spoilSource(d draw, f rig.Fault) {
	r.rig.SpoilNextcloud(f)
	r.later(d.between(time.Second, 5*time.Second), r.rig.HealNextcloud)
}

func (r *round) spoilTarget(d draw, f rig.Fault) {
	r.rig.SpoilCozy(f)
	r.later(d.between(time.Second, 5*time.Second), r.rig.HealCozy)
}

func sourceFails(r *round, d draw) string {
	status := []int{http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusLocked, http.StatusTooManyRequests}[d.victim%5]
	n := d.count(3, 60)
	r.spoilSource(d, rig.Fault{"status": status, "times": n, "path_prefix": "/remote.php"})
	return fmt.Sprintf("%d for %d requests", status, n)
}

func sourceBodies(r *round, d draw) string {
	how := []rig.Fault{{"reset_after": 300}, {"truncate_after": 300}, {"drop": true}, {"wrong_content_length": -10}, {"overlong": 10}}[d.victim%5]
	text, n := fmt.Sprint(how), d.count(3, 40)
	how["method"], how["times"] = http.MethodGet, n
	r.spoilSource(d, how)
	return fmt.Sprintf("%s for %d files", text, n)
}

func sourceListings(r *round, d draw) string {
	how := []rig.Fault{{"truncate_after": 2000}, {"malformed_multistatus": true}, {"reset_after": 2000}, {"drop": true}}[d.victim%4]
	text, n := fmt.Sprint(how), d.count(1, 8)
	how["method"], how["times"] = "PROPFIND", n
	r.spoilSource(d, how)
	return fmt.Sprintf("%s for %d folders", text, n)
}

func sourceMaintenance(r *round, d draw) string {
	away := d.between(time.Second, 8*time.Second)
	r.maintenance(true)
	r.later(away, func() { r.maintenance(false) })
	return fmt.Sprintf("for %v", away)
}

func targetFails(r *round, d draw) string {
	status := []int{http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusTooManyRequests}[d.victim%4]
	n := d.count(3, 60)
	r.spoilTarget(d, rig.Fault{"status": status, "times": n, "answerEarly": d.victim%3 == 0})
	return fmt.Sprintf("%d for %d requests", status, n)
}

func targetResets(r *round, d draw) string {
	how := []string{"resetBeforeBody", "resetMidBody", "afterCommit", "cutAnswer"}[d.victim%4]
	n := d.count(3, 40)
	r.spoilTarget(d, rig.Fault{how: true, "times": n, "pathPrefix": []string{"/files/", "/"}[d.victim/4%2]})
	return fmt.Sprintf("%s for %d requests", how, n)
}

func targetTokens(r *round, d draw) string {
	m := r.moves[d.victim%len(r.moves)]
	m.cozy.Change(map[string]any{"expireTokens": true})
	return "of " + m.cozy.Host
}

func targetLatency(r *round, d draw) string {
	ms, lasts := 50+d.victim%500, d.between(time.Second, 5*time.Second)
	r.latency(ms)
	r.later(lasts, func() { r.latency(r.size.latency) })
	return fmt.Sprintf("%d ms for %v", ms, lasts)
}
