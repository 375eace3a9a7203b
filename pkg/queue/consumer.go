package queue

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/errgroup"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/pkg/tracing"
)

const (
	defaultPrefetch       = 10
	defaultHandlerTimeout = 30 * time.Second
)

// Handler decides about one delivery. Its context outlives the consumer's, so
// that a delivery in hand is finished, but not the handler timeout; it is part of
// the message's trace. It is called
// from one goroutine per queue and may see a message more than once.
type Handler func(ctx context.Context, d Delivery) Verdict

// ConsumerConfig is what a consumer needs to know.
type ConsumerConfig struct {
	URL            string        // amqp:// or amqps://, holds the password
	TLS            *tls.Config   // for amqps; nil: from the URL's parameters
	Name           string        // the connections' name at the broker and in metrics
	Topology       Topology      // declared at each connect; all its bindings are consumed
	Prefetch       int           // unacknowledged messages per queue; zero: 10
	MaxBody        int           // bytes; larger messages are dead; zero: contract.MaxMessageBytes
	HandlerTimeout time.Duration // zero: 30 s
	Handler        Handler
	// Ready, when set, is asked before each subscription. While it fails nothing
	// is taken: each return of a message counts against its delivery limit.
	Ready      func(ctx context.Context) error
	Logger     *slog.Logger
	Registerer prometheus.Registerer // may be nil
	Tracing    trace.TracerProvider  // nil: no spans
}

// Consumer takes messages from the queues of a topology, one at a time each.
type Consumer struct {
	cfg      ConsumerConfig
	endpoint endpoint
	metrics  *metrics
	dead     *sender
	logger   *slog.Logger
	tracer   trace.Tracer

	mu  sync.Mutex
	why error // why nothing is consumed; nil: consuming
}

// NewConsumer checks the settings; Run connects.
func NewConsumer(cfg ConsumerConfig) (*Consumer, error) {
	cfg.Name = cmp.Or(cfg.Name, "consumer")
	cfg.Prefetch = cmp.Or(cfg.Prefetch, defaultPrefetch)
	cfg.MaxBody = cmp.Or(cfg.MaxBody, contract.MaxMessageBytes)
	cfg.HandlerTimeout = cmp.Or(cfg.HandlerTimeout, defaultHandlerTimeout)
	e := endpoint{url: cfg.URL, tls: cfg.TLS, name: cfg.Name}
	if err := e.check(); err != nil {
		return nil, err
	}
	m, err := newMetrics(cfg.Registerer)
	if err != nil {
		return nil, err
	}
	return &Consumer{
		cfg:      cfg,
		endpoint: e,
		metrics:  m,
		dead:     newDeadSender(cfg, m),
		logger:   cfg.Logger.With("connection", e.name),
		tracer:   tracing.Tracer(cfg.Tracing),
		why:      errors.New("not connected yet"),
	}, nil
}

// Ready returns nil while the queues are consumed, else ErrUnavailable with the
// reason. It never waits.
func (c *Consumer) Ready() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.why != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, c.why)
	}
	return nil
}

// Run consumes until ctx ends, over as many connections as it takes; then it
// finishes the deliveries in hand and returns nil.
func (c *Consumer) Run(ctx context.Context) error {
	// The dead letters' connection closes last: a delivery in hand may need it.
	deadCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
	var dead errgroup.Group
	dead.Go(func() error { return c.dead.run(deadCtx) })
	err := supervise(ctx, c.logger, c.session)
	stop()
	return errors.Join(err, dead.Wait())
}

func (c *Consumer) session(ctx context.Context) (err error) {
	defer func() { c.put(cmp.Or(err, errClosed)) }()
	if c.cfg.Ready != nil {
		if err := c.cfg.Ready(ctx); err != nil {
			return fmt.Errorf("not ready to consume: %w", err)
		}
	}
	l, err := connect(ctx, c.endpoint)
	if err != nil {
		return err
	}
	defer l.close()
	if err := l.with(c.cfg.Topology.declare); err != nil {
		return err
	}
	return c.consumeAll(ctx, l)
}

// consumeAll ends when one queue does: what ended it, a lost connection or an
// absent ledger, ends the others as well.
func (c *Consumer) consumeAll(ctx context.Context, l *link) error {
	var subscriptions []*subscription
	for _, b := range c.cfg.Topology.Bindings {
		s, err := c.subscribe(l, b.Queue)
		if err != nil {
			return err
		}
		subscriptions = append(subscriptions, s)
	}
	c.metrics.connects.WithLabelValues(c.endpoint.name).Inc()
	c.put(nil)
	c.logger.InfoContext(ctx, "consuming")
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return c.measure(ctx, l) })
	for _, s := range subscriptions {
		group.Go(func() error { return s.run(ctx) })
	}
	return group.Wait()
}

func (c *Consumer) put(why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.why = why
	connected := 0.0
	if why == nil {
		connected = 1
	}
	c.metrics.connected.WithLabelValues(c.endpoint.name).Set(connected)
}
