package queue

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	amqp "github.com/rabbitmq/amqp091-go"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/pkg/tracing"
)

const defaultPublishTimeout = 10 * time.Second

// PublisherConfig is what a publisher needs to know.
type PublisherConfig struct {
	URL        string        // amqp:// or amqps://, holds the password
	TLS        *tls.Config   // for amqps; nil: from the URL's parameters
	Name       string        // the connection's name at the broker and in metrics
	Exchange   string        // zero: contract.Exchange
	Timeout    time.Duration // for one message with its confirmation; zero: 10 s
	Logger     *slog.Logger
	Registerer prometheus.Registerer // may be nil
	Tracing    trace.TracerProvider  // nil: no spans
}

// Publisher publishes to the migration exchange. It is safe for concurrent use;
// messages go one at a time.
type Publisher struct {
	sender *sender
	tracer trace.Tracer
}

// NewPublisher checks the settings; Run connects.
func NewPublisher(cfg PublisherConfig) (*Publisher, error) {
	e := endpoint{url: cfg.URL, tls: cfg.TLS, name: cmp.Or(cfg.Name, "publisher")}
	if err := e.check(); err != nil {
		return nil, err
	}
	m, err := newMetrics(cfg.Registerer)
	if err != nil {
		return nil, err
	}
	exchange := cmp.Or(cfg.Exchange, contract.Exchange)
	return &Publisher{tracer: tracing.Tracer(cfg.Tracing), sender: &sender{
		endpoint: e,
		exchange: exchange,
		timeout:  cmp.Or(cfg.Timeout, defaultPublishTimeout),
		logger:   cfg.Logger.With("connection", e.name),
		metrics:  m,
		assert:   func(l *link) error { return assertExchange(l, exchange) },
		turn:     make(chan struct{}, 1),
	}}, nil
}

// Run connects, and connects again whenever the connection is lost, until ctx
// ends; then it lets the message in flight end and returns nil.
func (p *Publisher) Run(ctx context.Context) error { return p.sender.run(ctx) }

// Ready returns nil while messages can be published, else ErrUnavailable with
// the reason. It never waits.
func (p *Publisher) Ready() error {
	_, err := p.sender.ready()
	return err
}

// Publish returns nil when the broker has the message in at least one queue.
// Otherwise the error is ErrUnavailable (nothing was sent; at once without a
// connection), ErrUnroutable or ErrNotConfirmed. The message carries the trace of
// ctx.
func (p *Publisher) Publish(ctx context.Context, key, messageID string, body []byte) error {
	ctx, span := p.tracer.Start(ctx, "publish "+key, trace.WithSpanKind(trace.SpanKindProducer),
		trace.WithAttributes(attribute.String("messaging.system", "rabbitmq"), attribute.String("messaging.message.id", messageID)))
	err := p.sender.publish(ctx, key, amqp.Publishing{
		Headers:      traceHeaders(ctx),
		ContentType:  "application/json",
		DeliveryMode: amqp.Persistent,
		MessageId:    messageID,
		Timestamp:    time.Now(),
		Body:         body,
	})
	tracing.End(span, err)
	if err != nil {
		return fmt.Errorf("publish %s: %w", key, err)
	}
	return nil
}

// assertExchange declares the exchange, and only checks it where the user may
// not declare: a publisher's user needs no more than the right to write.
func assertExchange(l *link, exchange string) error {
	var err error
	for _, passive := range []bool{false, true} {
		t := Topology{Passive: passive}
		err = l.with(func(ch *amqp.Channel) error {
			return t.declareExchange(ch, exchange, amqp.ExchangeTopic)
		})
		if !hasCode(err, amqp.AccessRefused) {
			return err
		}
	}
	return err
}
