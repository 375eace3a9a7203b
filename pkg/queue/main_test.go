package queue_test

import (
	"context"
	"crypto/rand"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"go.uber.org/goleak"

	"example.org/ncm/pkg/queue"
)

const patience = 20 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is a corner of the broker that belongs to one test.
type bench struct {
	url      string
	topology queue.Topology
	admin    *amqp.Channel
}

const (
	keyRequested = "requested"
	keyCanceled  = "canceled"
)

func setup(t *testing.T) *bench {
	t.Helper()
	b := &bench{url: brokerURL(t)}
	id := "test-" + rand.Text()[:10]
	b.topology = queue.Topology{
		Exchange: id,
		Bindings: []queue.Binding{
			{Queue: id + ".requested", Key: keyRequested},
			{Queue: id + ".canceled", Key: keyCanceled},
		},
		DeadExchange:  id + ".dead",
		DeadQueue:     id + ".dead",
		DeliveryLimit: 20,
	}
	conn, err := amqp.Dial(b.url)
	if err != nil {
		t.Fatalf("connect to %s: %v", "TEST_AMQP_URL", err)
	}
	b.admin = open(t, conn)
	t.Cleanup(func() {
		b.cleanup(t, conn)
		_ = conn.Close()
	})
	return b
}

// cleanup leaves nothing, on a fresh channel since a test may have broken its.
func (b *bench) cleanup(t *testing.T, conn *amqp.Connection) {
	t.Helper()
	ch := open(t, conn)
	queues := []string{b.topology.DeadQueue}
	for _, binding := range b.topology.Bindings {
		queues = append(queues, binding.Queue)
	}
	for _, q := range queues {
		if _, err := ch.QueueDelete(q, false, false, false); err != nil {
			t.Errorf("delete queue: %v", err)
		}
	}
	for _, exchange := range []string{b.topology.Exchange, b.topology.DeadExchange} {
		if err := ch.ExchangeDelete(exchange, false, false); err != nil {
			t.Errorf("delete exchange: %v", err)
		}
	}
}

func open(t *testing.T, conn *amqp.Connection) *amqp.Channel {
	t.Helper()
	ch, err := conn.Channel()
	if err != nil {
		t.Fatalf("open channel: %v", err)
	}
	return ch
}

func brokerURL(t *testing.T) string {
	t.Helper()
	url := os.Getenv("TEST_AMQP_URL")
	if url == "" {
		missing(t, "TEST_AMQP_URL is not set: no broker to test against")
	}
	return url
}

// rabbitmqctl runs a command of TEST_RABBITMQCTL, for example
// "docker exec rabbit rabbitmqctl".
func rabbitmqctl(t *testing.T, args ...string) {
	t.Helper()
	command := strings.Fields(os.Getenv("TEST_RABBITMQCTL"))
	if len(command) == 0 {
		missing(t, "TEST_RABBITMQCTL is not set: the broker's limits and users can't be changed")
	}
	command = append(command, args...)
	// Not the test's context: limits are put back after it has ended.
	out, err := exec.CommandContext(context.Background(), command[0], command[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("rabbitmqctl %s: %v\n%s", args[0], err, out)
	}
}

func missing(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// running starts what has a Run method and stops it when the test ends.
func running(t *testing.T, run func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run = %v, want nil after a stop", err)
			}
		case <-time.After(patience):
			t.Error("Run did not return after a stop")
		}
	}
	t.Cleanup(stop)
	return stop
}

// eventually polls a condition.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never happened: %s", what)
		}
	}
}

func receive[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("never came: %s", what)
		panic("unreachable")
	}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }
