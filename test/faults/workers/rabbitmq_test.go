package workers_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/test/rig"
)

// twoMoves are a migration in mid-run and one that nobody asked for yet.
func twoMoves(t *testing.T, r *rig.Rig) (running, next *move) {
	t.Helper()
	running, next, _ = moveBy(t, r, r.LedgerAddr(), steady())
	return running, next
}

func TestWorkGoesOnWhileTheBrokerIsCutOff(t *testing.T) {
	t.Parallel()
	r := backends.New(t)
	m, next := twoMoves(t, r)
	r.Broker.Cut()
	next.request()
	term := m.term(t)
	m.awaitMore(t, m.done(t), 40, rig.Patience)
	if m.term(t) != term || next.state(t) != "" {
		t.Errorf("term %d after %d; the request of meanwhile is %q", m.term(t), term, next.state(t))
	}
	r.Broker.Restore(t)
	back := time.Now()
	rig.Await(t, rig.Patience, "admitted", func() bool { return next.state(t) != "" })
	measured(t, "link to the broker cut: a request of meanwhile is admitted %v after it is back", time.Since(back).Round(10*time.Millisecond))
	awaitBoth(t, m, next)
}

func TestADeletedQueueIsMadeAgain(t *testing.T) {
	t.Parallel()
	r := backends.New(t)
	m, next := twoMoves(t, r)
	r.DeleteQueue(queueRequested)
	r.DeleteQueue(queueCanceled)
	deleted := time.Now()
	rig.Await(t, rig.Patience, "consumed again", func() bool {
		requested, ok := r.Queue(queueRequested)
		canceled, also := r.Queue(queueCanceled)
		return ok && also && requested.Consumers == 1 && canceled.Consumers == 1
	})
	measured(t, "queues deleted: consumed again after %v", time.Since(deleted).Round(10*time.Millisecond))
	next.request()
	awaitBoth(t, m, next)
}

func TestAPurgedRequestIsSentAgainWhenItsUserAsks(t *testing.T) {
	t.Parallel()
	r := backends.New(t)
	running := newMove(t, r, "alice")
	running.fill(2, 20)
	next := &move{Rig: r, user: r.AddUser("bob"), cozy: r.AddInstance("bob" + rig.InstanceSuffix)}
	next.fill(2, 20)
	worker, trigger := r.StartMigrator(steady()), r.StartTrigger(nil)
	running.request()
	running.awaitCompleted(t, rig.Patience)
	r.Broker.Cut() // so that the message waits
	worker.Stop(t)
	r.Broker.Restore(t)
	trigger.AwaitReady()
	next.id = trigger.MustStart(t, next.cozy, r.Order(next.user))
	if n := r.PurgeQueue(queueRequested); n != 1 {
		t.Fatalf("%d messages were purged, want the request", n)
	}
	purged := time.Now()
	r.StartMigrator(steady())
	next.askUntilStarted(t, trigger)
	next.awaitCompleted(t, rig.Patience)
	measured(t, "request purged: completed after %v", time.Since(purged).Round(10*time.Millisecond))
	aftermath(t, running, next)
}

// The trigger tells its caller 503 when it does not know whether the broker has the
// message, and marks the document failed; the user then asks again.
func TestARequestThatWasDeliveredAfterItFailedMakesWayForTheNext(t *testing.T) {
	t.Parallel()
	r := backends.New(t)
	m, next, _ := moveBy(t, r, r.LedgerAddr(), with(steady(), rig.Env{"SLOTS": "1"}))
	next.request()
	rig.Await(t, rig.Patience, "admitted", func() bool { return next.state(t) == "pending" })
	first := *next
	first.fail(t)
	next.id = next.cozy.AddDocument(contract.DoctypeMigrations, contract.NewTracking("/", rig.TargetDir))
	next.request()
	rig.Await(t, rig.Patience, "admitted", func() bool { return next.state(t) != "" })
	if before, now := first.state(t), next.state(t); before != "failed" || now != "pending" {
		t.Errorf("the first request is %s, the second %s", before, now)
	}
	awaitBoth(t, m, next)
}

// fail marks a tracking document as the trigger does.
func (m *move) fail(t *testing.T) {
	t.Helper()
	path := "/data/" + contract.DoctypeMigrations + "/" + m.id
	var doc map[string]any
	m.cozy.Call(http.MethodGet, path, "").Decode(t, &doc)
	doc["status"] = contract.StatusFailed
	content, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	if answer := m.cozy.Call(http.MethodPut, path, string(content)); answer.Status != http.StatusOK {
		t.Fatalf("write the tracking document: %d %s", answer.Status, answer.Body)
	}
}

func TestRequestsThatComeSeveralTimesCountOnce(t *testing.T) {
	t.Parallel()
	r := backends.New(t)
	m := newMove(t, r, "alice")
	m.fill(4, 50)
	m.slow(150 * time.Millisecond)
	r.StartMigrator(steady())
	r.StartMigrator(steady())
	for range 5 {
		m.request()
	}
	m.awaitMid(t)
	m.request()
	m.HealCozy()
	m.awaitCompleted(t, rig.Patience)
	term, sent := m.term(t), posted(r)[201]
	m.request()
	rig.Await(t, rig.Patience, "taken", func() bool { return m.waiting(queueRequested) == 0 })
	aftermath(t, m)
	if m.term(t) != term || term != 1 || posted(r)[201] != sent {
		t.Errorf("term %d, then %d; %d files and folders were sent, then %d", term, m.term(t), sent, posted(r)[201])
	}
}

func TestPoisonBecomesADeadLetterWithItsReasonAndTheNextMessageIsServed(t *testing.T) {
	t.Parallel()
	r := backends.New(t)
	m := newMove(t, r, "alice")
	m.fill(2, 20)
	r.StartMigrator(steady())
	dead := r.Tap(queueDead, amqp.ExchangeFanout)
	poison := map[string]struct{ body, reason string }{
		"not JSON":           {`{"migrationId":`, "not JSON"},
		"no object":          {`[]`, "wrong type"},
		"wrong type":         {strings.Replace(m.requestBody(), `"timestamp":`, `"timestamp":"x","was":`, 1), "wrong type"},
		"no id":              {strings.Replace(m.requestBody(), m.id, "", 1), "migrationId is missing"},
		"5 MB":               {fmt.Sprintf(`{"migrationId":%q}`, strings.Repeat("x", 5<<20)), "too large"},
		"another's instance": {strings.Replace(m.requestBody(), rig.InstanceSuffix, ".elsewhere.test", 1), "not an instance"},
		"empty":              {"", "not JSON"},
		"newer version":      {strings.Replace(m.requestBody(), `{`, `{"version":2,`, 1), "unknown version"},
	}
	for id, p := range poison {
		r.Publish(contract.KeyRequested, id, p.body)
	}
	m.request()
	m.awaitCompleted(t, rig.Patience)
	for range poison {
		letter := dead.Next()
		reason, _ := letter.Headers["x-dead-reason"].(string)
		if want := poison[letter.MessageId].reason; want == "" || !strings.Contains(reason, want) {
			t.Errorf("the dead letter %q has the reason %q, want %q", letter.MessageId, reason, want)
		}
		if letter.Headers["x-dead-queue"] != queueRequested || string(letter.Body) != poison[letter.MessageId].body {
			t.Errorf("the dead letter %q is not the message that it was: %v", letter.MessageId, letter.Headers)
		}
	}
	rig.Await(t, rig.Patience, "all dead letters kept", func() bool { return m.waiting(queueDead) == len(poison) })
	r.PurgeQueue(queueDead)
	aftermath(t, m)
}

func TestABrokerThatFails(t *testing.T) {
	t.Parallel()
	own, server := backends.OwnRabbitMQ(t)
	// One after the other: each takes the broker away from all.
	t.Run("by a kill loses no message", func(t *testing.T) { killBroker(t, own.New(t), server) })
	t.Run("by a memory alarm is told to callers", func(t *testing.T) { blockBroker(t, own, own.New(t)) })
}

func killBroker(t *testing.T, r *rig.Rig, server *rig.Own) {
	m, next := twoMoves(t, r)
	r.Broker.Cut()
	next.request()
	done := m.done(t)
	server.Kill(t)
	m.awaitMore(t, done, 20, rig.Patience)
	server.Start(t)
	if state := next.state(t); state != "" {
		t.Errorf("the request of meanwhile is %s already: nothing was shown", state)
	}
	r.Broker.Restore(t)
	back := time.Now()
	rig.Await(t, rig.Patience, "admitted", func() bool { return next.state(t) != "" })
	measured(t, "RabbitMQ killed: a request of before is admitted %v after it is back", time.Since(back).Round(10*time.Millisecond))
	awaitBoth(t, m, next)
}

func blockBroker(t *testing.T, backends *rig.Backends, r *rig.Rig) {
	m := &move{Rig: r, user: r.AddUser("alice"), cozy: r.AddInstance("alice" + rig.InstanceSuffix)}
	m.fill(2, 20)
	m.StartMigrator(steady())
	trigger := r.StartTrigger(nil)
	backends.MemoryAlarm(t, true)
	for n := range 3 {
		answer := trigger.Start(t, m.cozy, r.Order(m.user))
		if answer.Status != 503 {
			t.Fatalf("request %d while the broker is blocked: %d %s", n, answer.Status, answer.Body)
		}
		measured(t, "RabbitMQ blocked by an alarm: 503 after %v", answer.Took.Round(10*time.Millisecond))
	}
	backends.MemoryAlarm(t, false)
	healed := time.Now()
	trigger.AwaitReady()
	m.id = trigger.MustStart(t, m.cozy, r.Order(m.user))
	measured(t, "RabbitMQ blocked by an alarm: 201 %v after its end", time.Since(healed).Round(10*time.Millisecond))
	m.awaitCompleted(t, rig.Patience)
	aftermath(t, m)
}
