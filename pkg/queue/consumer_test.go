package queue_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	amqp "github.com/rabbitmq/amqp091-go"

	"example.org/ncm/pkg/queue"
	"example.org/ncm/pkg/tracing"
)

func (b *bench) consumer(t *testing.T, handler queue.Handler, change func(*queue.ConsumerConfig)) *queue.Consumer {
	t.Helper()
	cfg := queue.ConsumerConfig{URL: b.url, Name: "test", Topology: b.topology, Handler: handler, Logger: quiet()}
	if change != nil {
		change(&cfg)
	}
	c, err := queue.NewConsumer(cfg)
	if err != nil {
		t.Fatalf("NewConsumer: %v", err)
	}
	return c
}

// consuming starts a consumer and returns when it consumes.
func (b *bench) consuming(t *testing.T, handler queue.Handler, change func(*queue.ConsumerConfig)) (c *queue.Consumer, stop func()) {
	t.Helper()
	c = b.consumer(t, handler, change)
	stop = running(t, c.Run)
	eventually(t, "consumer is ready", func() bool { return c.Ready() == nil })
	return c, stop
}

func (b *bench) send(t *testing.T, key, id, body string) {
	t.Helper()
	err := b.admin.PublishWithContext(t.Context(), b.topology.Exchange, key, true, false, amqp.Publishing{
		DeliveryMode: amqp.Persistent, ContentType: "application/json", MessageId: id,
		Timestamp: time.Now().Add(-time.Minute), Body: []byte(body),
	})
	if err != nil {
		t.Fatalf("send %s: %v", id, err)
	}
}

// waiting counts the messages in a queue that nobody holds.
func (b *bench) waiting(t *testing.T, queueName string) int {
	t.Helper()
	q, err := b.admin.QueueDeclarePassive(queueName, true, false, false, false, nil)
	if err != nil {
		t.Fatalf("look at queue %s: %v", queueName, err)
	}
	return q.Messages
}

// recorder is a handler that passes on what it sees and answers in order, Done
// when out of answers.
type recorder struct {
	seen    chan queue.Delivery
	answers chan queue.Verdict
}

func newRecorder(answers ...queue.Verdict) *recorder {
	r := &recorder{seen: make(chan queue.Delivery, 100), answers: make(chan queue.Verdict, 100)}
	for _, a := range answers {
		r.answers <- a
	}
	return r
}

func (r *recorder) handle(_ context.Context, d queue.Delivery) queue.Verdict {
	r.seen <- d
	select {
	case v := <-r.answers:
		return v
	default:
		return queue.Done()
	}
}

func TestConsumerTakesWhatIsDone(t *testing.T) {
	t.Parallel()
	b, r, registry := setup(t), newRecorder(), prometheus.NewRegistry()
	_, stop := b.consuming(t, r.handle, func(c *queue.ConsumerConfig) { c.Registerer = registry })
	b.send(t, keyRequested, "id-1", `{"a":1}`)

	got := receive(t, "delivery", r.seen)

	if age := time.Since(got.Published); age < 59*time.Second || age > 2*time.Minute {
		t.Errorf("Published is %v ago, want about a minute", age)
	}
	got.Published = time.Time{}
	want := queue.Delivery{
		Queue: b.topology.Bindings[0].Queue, MessageID: "id-1", RoutingKey: keyRequested,
		Body: []byte(`{"a":1}`),
	}
	if diff := cmp.Diff(want, got, cmp.Transformer("empty", func(m map[string]any) int { return len(m) })); diff != "" {
		t.Errorf("delivery (-want +got):\n%s", diff)
	}
	stop()
	if n := b.waiting(t, got.Queue); n != 0 {
		t.Errorf("%d messages left, want 0", n)
	}
	if n, err := testutil.GatherAndCount(registry, "queue_message_age_seconds", "queue_deliveries_total"); n != 2 || err != nil {
		t.Errorf("metrics of the delivery: %d series, %v; want 2", n, err)
	}
}

func TestConsumerServesItsQueuesIndependently(t *testing.T) {
	t.Parallel()
	b := setup(t)
	release, canceled := make(chan struct{}), make(chan string, 1)
	b.consuming(t, func(_ context.Context, d queue.Delivery) queue.Verdict {
		if d.RoutingKey == keyRequested {
			<-release
			return queue.Done()
		}
		canceled <- d.MessageID
		return queue.Done()
	}, nil)
	defer close(release)
	b.send(t, keyRequested, "slow", "{}")
	b.send(t, keyCanceled, "quick", "{}")

	if id := receive(t, "cancellation", canceled); id != "quick" {
		t.Errorf("got %q, want quick", id)
	}
}

func TestLaterBringsTheMessageBack(t *testing.T) {
	t.Parallel()
	b, r := setup(t), newRecorder(queue.Later("ledger is away"))
	b.consuming(t, r.handle, nil)
	b.send(t, keyRequested, "id", "{}")

	first := receive(t, "first delivery", r.seen)
	second := receive(t, "second delivery", r.seen)

	if first.Redelivered || !second.Redelivered || second.MessageID != "id" {
		t.Errorf("deliveries = %+v, %+v; want the second redelivered", first, second)
	}
}

func TestLaterKeepsTheMessageInHandWhileItsNeedsAreThere(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.topology.DeliveryLimit = 1
	later := queue.Later("ledger takes no writes")
	r := newRecorder(later, later, later, later)
	b.consuming(t, r.handle, func(c *queue.ConsumerConfig) {
		c.Ready = func(context.Context) error { return nil }
	})
	b.send(t, keyRequested, "id", "{}")

	for try := range 5 {
		if got := receive(t, "try", r.seen); got.Redelivered || got.MessageID != "id" {
			t.Errorf("try %d: %+v, want the first delivery", try, got)
		}
	}
	eventually(t, "it is acknowledged", func() bool { return b.waiting(t, b.topology.Bindings[0].Queue) == 0 })
}

func TestAStopGivesBackWhatHasToWait(t *testing.T) {
	t.Parallel()
	b := setup(t)
	seen := make(chan struct{}, 100)
	_, stop := b.consuming(t, func(context.Context, queue.Delivery) queue.Verdict {
		seen <- struct{}{}
		return queue.Later("ledger takes no writes")
	}, func(c *queue.ConsumerConfig) { c.Ready = func(context.Context) error { return nil } })
	b.send(t, keyRequested, "id", "{}")
	for range 3 {
		receive(t, "try", seen)
	}

	stop()

	eventually(t, "it is back", func() bool { return b.waiting(t, b.topology.Bindings[0].Queue) == 1 })
}

func TestConsumerTakesNothingUntilItsNeedsAreThere(t *testing.T) {
	t.Parallel()
	b, r := setup(t), newRecorder()
	var up atomic.Bool
	var asked atomic.Int32
	c := b.consumer(t, r.handle, func(c *queue.ConsumerConfig) {
		c.Ready = func(context.Context) error {
			asked.Add(1)
			if !up.Load() {
				return errors.New("ledger is away")
			}
			return nil
		}
	})
	running(t, c.Run)
	eventually(t, "it was asked again", func() bool { return asked.Load() > 2 })
	if err := c.Ready(); err == nil || !strings.Contains(err.Error(), "ledger is away") {
		t.Errorf("Ready = %v, want why", err)
	}

	up.Store(true)

	eventually(t, "it consumes", func() bool { return c.Ready() == nil })
	b.send(t, keyRequested, "id", "{}")
	receive(t, "delivery", r.seen)
}

func TestDeadMovesTheMessageWithItsReason(t *testing.T) {
	t.Parallel()
	b, r := setup(t), newRecorder(queue.Dead("malformed message: not JSON"))
	b.consuming(t, r.handle, nil)
	b.send(t, keyRequested, "bad", "{nope")
	b.send(t, keyRequested, "good", "{}")

	receive(t, "bad message", r.seen)
	if next := receive(t, "next message", r.seen); next.MessageID != "good" || next.Redelivered {
		t.Errorf("after the dead message came %+v, want the good one", next)
	}
	letters := b.letters(t, 1)
	if got := letters[0]; got.Reason != "malformed message: not JSON" || got.From != b.topology.Bindings[0].Queue ||
		got.MessageID != "bad" || got.RoutingKey != keyRequested || string(got.Body) != "{nope" {
		t.Errorf("dead letter = %+v", got)
	}
}

func TestOversizeMessagesDieUnread(t *testing.T) {
	t.Parallel()
	b, r := setup(t), newRecorder()
	b.consuming(t, r.handle, nil)
	b.send(t, keyRequested, "huge", strings.Repeat("x", 1<<20))
	b.send(t, keyRequested, "next", "{}")

	if got := receive(t, "delivery", r.seen); got.MessageID != "next" {
		t.Errorf("handler saw %q, want only the next message", got.MessageID)
	}
	if got := b.letters(t, 1)[0]; len(got.Body) != 1<<20 || !strings.HasPrefix(got.Reason, "too large") {
		t.Errorf("dead letter of %d bytes, reason %q", len(got.Body), got.Reason)
	}
}

func TestMessagesThatComeBackTooOftenDie(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.topology.DeliveryLimit = 2
	b.consuming(t, func(context.Context, queue.Delivery) queue.Verdict { return queue.Later("always") }, nil)
	b.send(t, keyRequested, "poison", "{}")

	got := b.letters(t, 1)[0]

	if got.Reason != "delivery_limit" || got.From != b.topology.Bindings[0].Queue || got.RoutingKey != keyRequested {
		t.Errorf("dead letter = %+v, want the broker's reason and the original key", got)
	}
}

func TestConsumerDeclaresADeletedQueueAgain(t *testing.T) {
	t.Parallel()
	b, r := setup(t), newRecorder()
	c, _ := b.consuming(t, r.handle, nil)
	if _, err := b.admin.QueueDelete(b.topology.Bindings[0].Queue, false, false, false); err != nil {
		t.Fatalf("delete queue: %v", err)
	}

	eventually(t, "the loss is noticed", func() bool { return c.Ready() != nil })
	eventually(t, "it consumes again", func() bool { return c.Ready() == nil })
	b.send(t, keyRequested, "id", "{}")
	receive(t, "delivery", r.seen)
}

func TestALostConnectionBringsTheMessageToTheNext(t *testing.T) {
	t.Parallel()
	b := setup(t)
	broken := newProxy(t, b.url)
	seen, release := make(chan queue.Delivery, 10), make(chan struct{})
	b.consuming(t, func(_ context.Context, d queue.Delivery) queue.Verdict {
		seen <- d
		<-release
		return queue.Done()
	}, func(c *queue.ConsumerConfig) { c.URL = broken.url })
	b.send(t, keyRequested, "id", "{}")
	receive(t, "first delivery", seen)

	broken.cut()
	close(release)

	if got := receive(t, "second delivery", seen); !got.Redelivered || got.MessageID != "id" {
		t.Errorf("second delivery = %+v, want the same message redelivered", got)
	}
	eventually(t, "it is acknowledged", func() bool { return b.waiting(t, b.topology.Bindings[0].Queue) == 0 })
}

func TestStopFinishesTheDeliveryInHand(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx, cancel := context.WithCancel(t.Context())
	started, release := make(chan struct{}, 10), make(chan struct{})
	handlerErr := make(chan error, 10)
	c := b.consumer(t, func(ctx context.Context, _ queue.Delivery) queue.Verdict {
		started <- struct{}{}
		<-release
		handlerErr <- ctx.Err()
		return queue.Done()
	}, nil)
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	eventually(t, "consumer is ready", func() bool { return c.Ready() == nil })
	b.send(t, keyRequested, "in hand", "{}")
	b.send(t, keyRequested, "not begun", "{}")
	receive(t, "delivery", started)

	cancel()
	close(release)

	if err := receive(t, "end of Run", done); err != nil {
		t.Errorf("Run = %v, want nil", err)
	}
	if err := receive(t, "end of the handler", handlerErr); err != nil {
		t.Errorf("handler's context = %v, want it alive", err)
	}
	name := b.topology.Bindings[0].Queue
	eventually(t, "the other message is back", func() bool { return b.waiting(t, name) == 1 })
	if got, _, err := b.admin.Get(name, true); err != nil || got.MessageId != "not begun" {
		t.Errorf("left in the queue: %q, %v; want the message not begun", got.MessageId, err)
	}
}

func TestConsumerSaysWhatToDoAboutOtherArguments(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := b.topology
	first.DeliveryLimit = 7
	_, stop := b.consuming(t, newRecorder().handle, func(c *queue.ConsumerConfig) { c.Topology = first })
	stop()

	c := b.consumer(t, newRecorder().handle, nil)
	running(t, c.Run)

	eventually(t, "the mismatch is the reason", func() bool { return errors.Is(c.Ready(), queue.ErrTopology) })
	if err := c.Ready(); !strings.Contains(err.Error(), "passive mode") || !strings.Contains(err.Error(), b.topology.Bindings[0].Queue) {
		t.Errorf("Ready = %v, want the queue and advice", err)
	}
}

func TestPassiveConsumerTakesQueuesAsTheyAre(t *testing.T) {
	t.Parallel()
	b, r := setup(t), newRecorder()
	passive := b.topology
	passive.Passive, passive.DeliveryLimit = true, 99
	c := b.consumer(t, r.handle, func(c *queue.ConsumerConfig) { c.Topology = passive })
	running(t, c.Run)
	eventually(t, "the missing queue is the reason", func() bool { return errors.Is(c.Ready(), queue.ErrTopology) })

	_, stop := b.consuming(t, newRecorder().handle, func(c *queue.ConsumerConfig) { c.Name = "active" })
	stop()

	eventually(t, "it consumes", func() bool { return c.Ready() == nil })
	b.send(t, keyRequested, "id", "{}")
	receive(t, "delivery", r.seen)
}

func TestTheLengthsOfTheQueuesAreShown(t *testing.T) {
	t.Parallel()
	b, registry := setup(t), prometheus.NewRegistry()
	b.dead(t, "a", "b", "c")
	_, stop := b.consuming(t, newRecorder().handle, func(c *queue.ConsumerConfig) { c.Registerer = registry })
	want := fmt.Sprintf(`
		# HELP queue_messages Messages that wait in a queue, the dead letters' included, as a consumer sees it now and then.
		# TYPE queue_messages gauge
		queue_messages{queue=%q} 0
		queue_messages{queue=%q} 3
		queue_messages{queue=%q} 0
`, b.topology.Bindings[1].Queue, b.topology.DeadQueue, b.topology.Bindings[0].Queue)
	eventually(t, "lengths are shown", func() bool {
		return testutil.GatherAndCompare(registry, strings.NewReader(want), "queue_messages") == nil
	})
	stop()
	if n, err := testutil.GatherAndCount(registry, "queue_messages"); n != 0 || err != nil {
		t.Errorf("%d lengths are shown by a consumer that has stopped, %v", n, err)
	}
}

func TestAMessageTakesItsTraceAlongAlsoAsADeadLetter(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	seen := make(chan string, 10)
	answers := []queue.Verdict{queue.Dead("test"), queue.Done()}
	handle := func(ctx context.Context, _ queue.Delivery) queue.Verdict {
		seen <- tracing.Parent(ctx)
		verdict := answers[0]
		answers = answers[1:]
		return verdict
	}
	_, stop := b.consuming(t, handle, nil)
	defer stop()
	p := b.connected(t, nil)
	if err := p.Publish(tracing.WithParent(t.Context(), parent), keyRequested, "id", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	b.letters(t, 1)
	if n, err := b.deadLetters(t).Replay(t.Context(), 1, is("id")); n != 1 || err != nil {
		t.Fatalf("replayed %d, %v", n, err)
	}
	for _, when := range []string{"first", "replayed"} {
		if got := receive(t, when, seen); got != parent {
			t.Errorf("%s: trace %q, want %q", when, got, parent)
		}
	}
}
