package queue

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"example.org/ncm/pkg/tracing"
)

// subscription is a consumer of one queue on a channel of its own.
type subscription struct {
	*Consumer

	link       *link
	queue      string
	ch         *amqp.Channel
	closed     <-chan *amqp.Error
	deliveries <-chan amqp.Delivery
}

func (c *Consumer) subscribe(l *link, queue string) (*subscription, error) {
	ch, closed, err := l.channel()
	if err != nil {
		return nil, err
	}
	if err := ch.Qos(c.cfg.Prefetch, 0, false); err != nil {
		return nil, fmt.Errorf("set prefetch of %s: %w", queue, err)
	}
	deliveries, err := ch.Consume(queue, queue, false, false, false, false, nil)
	if err != nil {
		return nil, fmt.Errorf("consume %s: %w", queue, err)
	}
	return &subscription{Consumer: c, link: l, queue: queue, ch: ch, closed: closed, deliveries: deliveries}, nil
}

// run handles deliveries until ctx ends or one of them can't be settled. The
// broker is told to send no more while the last one is still in hand.
func (s *subscription) run(ctx context.Context) error {
	ctx, end := context.WithCancel(ctx)
	var canceling sync.WaitGroup
	canceling.Go(func() {
		<-ctx.Done()
		timer := time.AfterFunc(closeTimeout, s.link.cut)
		defer timer.Stop()
		_ = s.ch.Cancel(s.queue, false)
	})
	defer canceling.Wait()
	defer end()
	return s.loop(ctx)
}

func (s *subscription) loop(ctx context.Context) error {
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case d, open := <-s.deliveries:
			switch {
			case ctx.Err() != nil:
				// Stopped: what is buffered goes back to the queue.
			case !open:
				return s.ended()
			default:
				if err := s.handle(ctx, &d); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// ended says why no more deliveries come. A queue that is deleted ends them
// while its channel stays open.
func (s *subscription) ended() error {
	select {
	case fault := <-s.closed:
		if fault != nil {
			return fault
		}
		return errClosed
	default:
		return fmt.Errorf("%s: %w", s.queue, errQueue)
	}
}

func (s *subscription) handle(ctx context.Context, d *amqp.Delivery) error {
	s.metrics.observeAge(s.queue, d.Timestamp)
	verdict, err := s.decide(ctx, d)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.HandlerTimeout)
	defer cancel()
	if verdict.kind == verdictDead {
		s.logger.WarnContext(ctx, "message is dead", "queue", s.queue, "message_id", d.MessageId, "reason", verdict.reason)
		if err := s.bury(ctx, d, verdict.reason); err != nil {
			return err
		}
		// If we stop here, the message is in both queues; it is delivered and
		// judged again, and the dead letters hold it twice.
	}
	if err := d.Ack(false); err != nil {
		return fmt.Errorf("acknowledge in %s: %w", s.queue, err)
	}
	return nil
}

// decide asks the handler until it has decided. While what the handler needs is
// there and refuses all the same, such as a database that takes no writes, the
// message stays in hand: each return counts against its delivery limit, and what
// passes must make no dead letters.
func (s *subscription) decide(ctx context.Context, d *amqp.Delivery) (Verdict, error) {
	for p := (pause{}); ; {
		verdict := s.judge(ctx, d)
		s.metrics.deliveries.WithLabelValues(s.queue, verdict.String()).Inc()
		if verdict.kind != verdictLater {
			return verdict, nil
		}
		wait := p.next()
		if s.cfg.Ready == nil || s.cfg.Ready(ctx) != nil || !sleep(ctx, wait) {
			return verdict, fmt.Errorf("%w: %s", errLater, verdict.reason)
		}
		s.logger.WarnContext(ctx, "message had to wait", "queue", s.queue, "message_id", d.MessageId, "reason", verdict.reason, "waited", wait)
	}
}

func (s *subscription) judge(ctx context.Context, d *amqp.Delivery) Verdict {
	if len(d.Body) > s.cfg.MaxBody {
		return Dead(fmt.Sprintf("too large: %d bytes, the limit is %d", len(d.Body), s.cfg.MaxBody))
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.HandlerTimeout)
	defer cancel()
	ctx, span := s.tracer.Start(tracing.WithParent(ctx, text(d, tracing.Header)), "process "+s.queue,
		trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(
			attribute.String("messaging.system", "rabbitmq"), attribute.String("messaging.message.id", d.MessageId)))
	defer span.End()
	verdict := s.cfg.Handler(ctx, newDelivery(s.queue, d))
	span.SetAttributes(attribute.String("verdict", verdict.String()))
	return verdict
}

// bury publishes the message to the dead letters under its own routing key,
// with the reason, its queue and its trace as the only headers.
func (s *subscription) bury(ctx context.Context, d *amqp.Delivery, why string) error {
	headers := amqp.Table{headerReason: why, headerQueue: s.queue}
	maps.Copy(headers, traceOf(d))
	err := s.dead.publish(ctx, d.RoutingKey, amqp.Publishing{
		Headers:      headers,
		ContentType:  d.ContentType,
		DeliveryMode: amqp.Persistent,
		MessageId:    d.MessageId,
		Timestamp:    d.Timestamp,
		Body:         d.Body,
	})
	if err != nil {
		return fmt.Errorf("bury message of %s: %w", s.queue, err)
	}
	return nil
}

// newDeadSender publishes to the dead letters on a connection of its own.
func newDeadSender(cfg ConsumerConfig, m *metrics) *sender {
	name := cfg.Name + "-dead"
	t := cfg.Topology
	return &sender{
		endpoint: endpoint{url: cfg.URL, tls: cfg.TLS, name: name},
		exchange: t.DeadExchange,
		timeout:  defaultPublishTimeout,
		logger:   cfg.Logger.With("connection", name),
		metrics:  m,
		assert: func(l *link) error {
			return l.with(func(ch *amqp.Channel) error {
				return t.declareExchange(ch, t.DeadExchange, amqp.ExchangeFanout)
			})
		},
		turn: make(chan struct{}, 1),
	}
}
