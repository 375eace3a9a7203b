package sides_test

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"example.org/ncm/test/rig"
)

// stage is a system with a migrator and a trigger, for any number of scenes.
type stage struct {
	*rig.Rig
	mode     rig.Mode
	migrator *rig.Service
	trigger  *rig.Trigger

	mu     sync.Mutex // for what has one connection: the ledger
	scenes int
}

// newStage starts a system. Entries get two passes, so that one which is lost is
// given up after seconds. Settings given replace that.
func newStage(t *testing.T, m rig.Mode, settings rig.Env) *stage {
	t.Helper()
	s := &stage{Rig: backends.New(t), mode: m}
	env := rig.Env{"ATTEMPTS": "2", "SLOTS": scenesAtOnce, "TRANSFERS": "4", "LISTERS": "2", "DATABASE_CONNS": "16"}
	maps.Copy(env, m.Settings)
	maps.Copy(env, settings)
	s.migrator, s.trigger = s.StartMigrator(env), s.StartTrigger(nil)
	t.Cleanup(func() { s.wantCalm(t) })
	return s
}

// wantCalm checks what has to hold when all scenes are over.
func (s *stage) wantCalm(t *testing.T) {
	t.Helper()
	if t.Failed() {
		return // the scenes have said what is wrong
	}
	s.wantEmptyQueues(t)
	until(t, rig.Patience, "requests to the Nextcloud ended", func() bool { return s.sourceStats(t).InFlight == 0 })
	for _, p := range s.Processes() {
		if strings.Contains(p.Log.String(), "planted-") {
			t.Errorf("a secret is in the log of %s", p.Name)
		}
	}
}

func (s *stage) wantEmptyQueues(t *testing.T) {
	t.Helper()
	conn, err := amqp.Dial(s.BrokerURL())
	if err != nil {
		t.Fatalf("connect to RabbitMQ: %v", err)
	}
	defer conn.Close()
	ch, err := conn.Channel()
	if err != nil {
		t.Fatalf("open channel: %v", err)
	}
	for _, name := range []string{"migrator.nextcloud.requested", "migrator.nextcloud.canceled", "migrator.nextcloud.dead"} {
		q, err := ch.QueueDeclarePassive(name, true, false, false, false, nil)
		if err != nil || q.Messages > 0 {
			t.Errorf("queue %s holds %d messages, error %v", name, q.Messages, err)
		}
	}
}

// newScene makes a user and an instance on a stage that others use too.
func (s *stage) newScene(t *testing.T) *scene {
	t.Helper()
	s.mu.Lock()
	s.scenes++
	name := fmt.Sprintf("user%03d", s.scenes)
	s.mu.Unlock()
	return &scene{
		stage: s, t: t, user: s.AddUser(name), cozy: s.AddInstance(name + rig.InstanceSuffix),
	}
}

// group runs scenes that have something in common beside the others.
func (s *stage) group(t *testing.T, name string, play func(t *testing.T, s *stage)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		play(t, s)
	})
}

// perform runs a scene beside the others of its stage.
func (s *stage) perform(t *testing.T, name string, play func(c *scene)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		play(s.newScene(t))
	})
}

// sourceStats is what the Nextcloud counted, for all users together.
type sourceStats struct {
	Requests map[string]int64 `json:"requests"`
	Statuses map[int]int64    `json:"statuses"`
	InFlight int64            `json:"in_flight"`
}

func (s *stage) sourceStats(t *testing.T) (stats sourceStats) {
	t.Helper()
	ask(t, http.MethodGet, s.sourceOrders()+"stats", nil, &stats)
	return stats
}

// sourceOrders is where the Nextcloud takes orders: beside its sub-path.
func (s *stage) sourceOrders() string {
	return s.NextcloudURL[:strings.LastIndex(s.NextcloudURL, "/")] + "/_sim/"
}

// latency is what the stack waits before each request.
func (s *stage) latency(t *testing.T, d time.Duration) {
	t.Helper()
	ask(t, http.MethodPut, s.AdminURL+"/_sim/latency", map[string]any{"ms": d.Milliseconds()}, nil)
}

func (s *stage) maintenance(t *testing.T, on bool) {
	t.Helper()
	ask(t, http.MethodPost, s.sourceOrders()+"maintenance", map[string]any{"on": on}, nil)
}
