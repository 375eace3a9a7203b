package queue_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	amqp "github.com/rabbitmq/amqp091-go"

	"example.org/ncm/pkg/queue"
)

func (b *bench) publisher(t *testing.T, change func(*queue.PublisherConfig)) *queue.Publisher {
	t.Helper()
	cfg := queue.PublisherConfig{URL: b.url, Name: "test", Exchange: b.topology.Exchange, Logger: quiet()}
	if change != nil {
		change(&cfg)
	}
	p, err := queue.NewPublisher(cfg)
	if err != nil {
		t.Fatalf("NewPublisher: %v", err)
	}
	return p
}

func (b *bench) connected(t *testing.T, change func(*queue.PublisherConfig)) *queue.Publisher {
	t.Helper()
	p := b.publisher(t, change)
	running(t, p.Run)
	eventually(t, "publisher is ready", func() bool { return p.Ready() == nil })
	return p
}

// bind gives the exchange a queue for requests and returns its name.
func (b *bench) bind(t *testing.T) string {
	t.Helper()
	name := b.topology.Bindings[0].Queue
	if _, err := b.admin.QueueDeclare(name, true, false, false, false, nil); err != nil {
		t.Fatalf("declare queue: %v", err)
	}
	if err := b.admin.QueueBind(name, keyRequested, b.topology.Exchange, false, nil); err != nil {
		t.Fatalf("bind queue: %v", err)
	}
	return name
}

func TestPublisherSendsWhatTheStackSends(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.connected(t, nil)
	name := b.bind(t)
	before := time.Now().Truncate(time.Second)

	if err := p.Publish(t.Context(), keyRequested, "id-1", []byte(`{"a":1}`)); err != nil {
		t.Fatalf("Publish: %v", err)
	}

	got, ok, err := b.admin.Get(name, true)
	if err != nil || !ok {
		t.Fatalf("Get = %v, %v; want the message", ok, err)
	}
	if got.Timestamp.Before(before) || time.Since(got.Timestamp) > time.Minute {
		t.Errorf("timestamp = %v, want now", got.Timestamp)
	}
	want := amqp.Delivery{
		ContentType: "application/json", DeliveryMode: amqp.Persistent, MessageId: "id-1",
		Exchange: b.topology.Exchange, RoutingKey: keyRequested, Body: []byte(`{"a":1}`),
	}
	got.Acknowledger, got.Timestamp, got.DeliveryTag = nil, time.Time{}, 0
	if len(got.Headers) == 0 {
		got.Headers = nil
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("message (-want +got):\n%s", diff)
	}
}

func TestPublishSaysUnroutableWithoutAQueue(t *testing.T) {
	t.Parallel()
	p := setup(t).connected(t, nil)

	err := p.Publish(t.Context(), keyRequested, "id", []byte("{}"))

	if !errors.Is(err, queue.ErrUnroutable) {
		t.Errorf("Publish = %v, want ErrUnroutable", err)
	}
}

func TestPublishTellsEachCallerItsOwnOutcome(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.connected(t, nil)
	b.bind(t)

	var wait sync.WaitGroup
	for i := range 200 {
		key, want := keyRequested, error(nil)
		if i%2 == 0 {
			key, want = "nobody", queue.ErrUnroutable
		}
		wait.Go(func() {
			if err := p.Publish(t.Context(), key, strconv.Itoa(i), []byte("{}")); !errors.Is(err, want) {
				t.Errorf("Publish to %s = %v, want %v", key, err, want)
			}
		})
	}
	wait.Wait()
}

func TestPublishAnswersAtOnceWithoutABroker(t *testing.T) {
	t.Parallel()
	p, err := queue.NewPublisher(queue.PublisherConfig{
		URL: "amqp://guest:hunter2@127.0.0.1:1/", Logger: quiet(), Timeout: time.Hour,
	})
	if err != nil {
		t.Fatalf("NewPublisher: %v", err)
	}
	running(t, p.Run)
	eventually(t, "the refused dial is the reason", func() bool {
		return strings.Contains(p.Ready().Error(), "refused")
	})

	err = p.Publish(t.Context(), keyRequested, "id", nil)

	if !errors.Is(err, queue.ErrUnavailable) {
		t.Errorf("Publish = %v, want ErrUnavailable", err)
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("error holds the password: %v", err)
	}
}

func TestNewPublisherQuotesNothingOfAMalformedURL(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"amqp://u:hunter2@host:port/", "hunter2", "http://u:hunter2@h/", "amqp://u:hunter2@h/%zz"} {
		_, err := queue.NewPublisher(queue.PublisherConfig{URL: url, Logger: quiet()})
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("NewPublisher(%q) = %v, want an error without the password", url, err)
		}
	}
}

func TestPublisherDeclaresAMissingExchangeAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.connected(t, nil)
	if err := b.admin.ExchangeDelete(b.topology.Exchange, false, false); err != nil {
		t.Fatalf("delete exchange: %v", err)
	}

	err := p.Publish(t.Context(), keyRequested, "id", nil)

	if !errors.Is(err, queue.ErrUnavailable) {
		t.Errorf("Publish without the exchange = %v, want ErrUnavailable", err)
	}
	eventually(t, "the exchange is back", func() bool {
		return errors.Is(p.Publish(t.Context(), keyRequested, "id", nil), queue.ErrUnroutable)
	})
}

func TestPublisherSaysWhatToDoAboutAnotherKindOfExchange(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if err := b.admin.ExchangeDeclare(b.topology.Exchange, "direct", true, false, false, false, nil); err != nil {
		t.Fatalf("declare exchange: %v", err)
	}
	p := b.publisher(t, nil)
	running(t, p.Run)

	eventually(t, "the mismatch is the reason", func() bool {
		return errors.Is(p.Ready(), queue.ErrTopology)
	})
	if err := p.Ready(); !strings.Contains(err.Error(), "passive mode") {
		t.Errorf("Ready = %v, want advice", err)
	}
}

func TestPublisherComesBackAfterALostConnection(t *testing.T) {
	t.Parallel()
	b := setup(t)
	broken := newProxy(t, b.url)
	registry := prometheus.NewRegistry()
	p := b.connected(t, func(c *queue.PublisherConfig) { c.URL, c.Registerer = broken.url, registry })
	b.bind(t)

	broken.refuseNew(true)
	broken.cut()
	eventually(t, "the loss is noticed", func() bool { return p.Ready() != nil })
	if err := p.Publish(t.Context(), keyRequested, "id", nil); !errors.Is(err, queue.ErrUnavailable) {
		t.Errorf("Publish while away = %v, want ErrUnavailable", err)
	}
	broken.refuseNew(false)

	eventually(t, "a message is confirmed again", func() bool {
		return p.Publish(t.Context(), keyRequested, "id", nil) == nil
	})
	want := `
		# HELP queue_connected 1 while there is a usable connection to the broker.
		# TYPE queue_connected gauge
		queue_connected{connection="test"} 1
		# HELP queue_connects_total Connections made to the broker.
		# TYPE queue_connects_total counter
		queue_connects_total{connection="test"} 2
	`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "queue_connected", "queue_connects_total"); err != nil {
		t.Error(err)
	}
}

func TestPublishGivesUpOnASilentBrokerAndForgetsItsLateAnswer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	broken := newProxy(t, b.url)
	p := b.connected(t, func(c *queue.PublisherConfig) {
		c.URL, c.Timeout = broken.url, 300*time.Millisecond
	})
	b.bind(t)

	broken.freeze()
	start := time.Now()
	err := p.Publish(t.Context(), "nobody", "id", nil)
	if !errors.Is(err, queue.ErrNotConfirmed) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Publish to a silent broker = %v, want ErrNotConfirmed", err)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("Publish took %v, want about its timeout", took)
	}

	eventually(t, "a new connection works", func() bool {
		return p.Publish(t.Context(), keyRequested, "id", nil) == nil
	})
}

func TestPublishDoesNotHangInASocketThatIsFull(t *testing.T) {
	t.Parallel()
	b := setup(t)
	deaf := newProxy(t, b.url)
	p := b.connected(t, func(c *queue.PublisherConfig) {
		c.URL, c.Timeout = deaf.url, 500*time.Millisecond
	})
	b.bind(t)
	deaf.plug()

	err := p.Publish(t.Context(), keyRequested, "id", make([]byte, 12<<20))

	if !errors.Is(err, queue.ErrNotConfirmed) {
		t.Errorf("Publish = %v, want ErrNotConfirmed", err)
	}
}

func TestPublisherVerifiesTheBrokersCertificate(t *testing.T) {
	t.Parallel()
	b := setup(t)
	secure, roots := newTLSProxy(t, b.url)
	p := b.connected(t, func(c *queue.PublisherConfig) { c.URL, c.TLS = secure.url, &tls.Config{RootCAs: roots} })
	b.bind(t)
	if err := p.Publish(t.Context(), keyRequested, "id", nil); err != nil {
		t.Errorf("Publish over TLS: %v", err)
	}

	stranger := b.publisher(t, func(c *queue.PublisherConfig) { c.URL = secure.url })
	running(t, stranger.Run)

	eventually(t, "the unknown certificate is the reason", func() bool {
		var unknown x509.UnknownAuthorityError
		return errors.As(stranger.Ready(), &unknown)
	})
}

func TestPausesGrowToACeilingAndAreRandom(t *testing.T) {
	t.Parallel()
	const ceiling = 15*time.Second + time.Millisecond
	seen := map[time.Duration]bool{}
	for i, pause := range queue.Pauses(500) {
		if least := 200 * time.Millisecond << min(i, 10); pause <= 0 || pause > ceiling || pause > least+time.Millisecond {
			t.Errorf("pause %d = %v, want a part of at most %v", i, pause, min(least, ceiling))
		}
		seen[pause.Truncate(time.Second)] = true
	}
	if len(seen) < 10 {
		t.Errorf("500 pauses fall on %d seconds, want them spread", len(seen))
	}
}

// Not parallel: the alarm stops every publisher of the broker.
func TestPublishAnswersDuringAMemoryAlarm(t *testing.T) {
	b := setup(t)
	p := b.connected(t, func(c *queue.PublisherConfig) { c.Timeout = time.Second })
	b.bind(t)
	rabbitmqctl(t, "set_vm_memory_high_watermark", "0.000001")
	t.Cleanup(func() { rabbitmqctl(t, "set_vm_memory_high_watermark", "0.4") })

	eventually(t, "a message is not confirmed", func() bool {
		return p.Publish(t.Context(), keyRequested, "id", nil) != nil
	})
	start := time.Now()
	if err := p.Publish(t.Context(), keyRequested, "id", nil); !errors.Is(err, queue.ErrUnavailable) {
		t.Errorf("Publish on a blocked connection = %v, want ErrUnavailable", err)
	}
	if took := time.Since(start); took > 500*time.Millisecond {
		t.Errorf("Publish on a blocked connection took %v, want an answer at once", took)
	}

	rabbitmqctl(t, "set_vm_memory_high_watermark", "0.4")
	eventually(t, "messages are confirmed after the alarm", func() bool {
		return p.Publish(t.Context(), keyRequested, "id", nil) == nil
	})
}

func TestPublisherNeedsNoMoreThanTheRightToWrite(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if err := b.admin.ExchangeDeclare(b.topology.Exchange, "topic", true, false, false, false, nil); err != nil {
		t.Fatalf("declare exchange: %v", err)
	}
	b.bind(t)
	user := b.topology.Exchange
	rabbitmqctl(t, "add_user", user, "pass")
	t.Cleanup(func() { rabbitmqctl(t, "delete_user", user) })
	rabbitmqctl(t, "set_permissions", user, "^$", "^"+b.topology.Exchange+"$", "^$")

	p := b.connected(t, func(c *queue.PublisherConfig) { c.URL = withUser(t, b.url, user, "pass") })

	if err := p.Publish(t.Context(), keyRequested, "id", nil); err != nil {
		t.Errorf("Publish: %v", err)
	}
}
