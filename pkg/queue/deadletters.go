package queue

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// Headers of a dead letter that a consumer buried. The broker itself, past the
// delivery limit, writes others.
const (
	headerReason = "x-dead-reason"
	headerQueue  = "x-dead-queue"

	headerBrokerReason = "x-first-death-reason"
	headerBrokerQueue  = "x-first-death-queue"
)

// DeadLettersConfig is what DeadLetters needs to know.
type DeadLettersConfig struct {
	URL      string      // amqp:// or amqps://, holds the password
	TLS      *tls.Config // for amqps; nil: from the URL's parameters
	Name     string      // the connection's name at the broker
	Topology Topology
	Timeout  time.Duration // for one message to be published again; zero: 10 s
}

// DeadLetters lets an operator look at the dead letters, send them again or drop
// them. Each call has a connection of its own and meanwhile holds what it looks
// at, so two calls at once see different letters.
type DeadLetters struct {
	endpoint endpoint
	topology Topology
	timeout  time.Duration
}

// DeadLetter is a message that was given up.
type DeadLetter struct {
	Delivery

	Reason string // why
	From   string // the queue it was in
}

// NewDeadLetters checks the settings.
func NewDeadLetters(cfg DeadLettersConfig) (*DeadLetters, error) {
	e := endpoint{url: cfg.URL, tls: cfg.TLS, name: cmp.Or(cfg.Name, "dead-letters")}
	if err := e.check(); err != nil {
		return nil, err
	}
	timeout := cmp.Or(cfg.Timeout, defaultPublishTimeout)
	return &DeadLetters{endpoint: e, topology: cfg.Topology, timeout: timeout}, nil
}

// List returns up to a number of letters and leaves them where they are; their
// order may change.
func (d *DeadLetters) List(ctx context.Context, most int) ([]DeadLetter, error) {
	var letters []DeadLetter
	err := d.visit(ctx, most, func(_ *amqp.Delivery, letter DeadLetter) error {
		letters = append(letters, letter)
		return nil
	})
	return letters, err
}

// Drop deletes those among the first letters that match, and returns how many.
func (d *DeadLetters) Drop(ctx context.Context, most int, match func(DeadLetter) bool) (int, error) {
	dropped := 0
	err := d.visit(ctx, most, func(raw *amqp.Delivery, letter DeadLetter) error {
		if !match(letter) {
			return nil
		}
		if err := raw.Ack(false); err != nil {
			return fmt.Errorf("drop dead letter: %w", err)
		}
		dropped++
		return nil
	})
	return dropped, err
}

// Replay publishes those among the first letters that match to the migration
// exchange as they first were, and returns how many. Every queue bound to their
// key gets them, not only the one they died in.
func (d *DeadLetters) Replay(ctx context.Context, most int, match func(DeadLetter) bool) (int, error) {
	l, err := connect(ctx, d.endpoint)
	if err != nil {
		return 0, err
	}
	defer l.close()
	out, err := newSession(l, d.topology.Exchange)
	if err != nil {
		return 0, err
	}
	replayed := 0
	err = d.visit(ctx, most, func(raw *amqp.Delivery, letter DeadLetter) error {
		if !match(letter) {
			return nil
		}
		if err := d.replay(ctx, out, raw); err != nil {
			return err
		}
		replayed++
		return nil
	})
	return replayed, err
}

func (d *DeadLetters) replay(ctx context.Context, out *session, raw *amqp.Delivery) error {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	err := out.publish(ctx, raw.RoutingKey, amqp.Publishing{
		Headers:      traceOf(raw),
		ContentType:  raw.ContentType,
		DeliveryMode: amqp.Persistent,
		MessageId:    raw.MessageId,
		Timestamp:    raw.Timestamp,
		Body:         raw.Body,
	})
	if err != nil {
		return fmt.Errorf("replay dead letter: %w", err)
	}
	// If we stop here, the letter was sent and is still there; sending it twice
	// is harmless, since messages are admitted once by their migration.
	if err := raw.Ack(false); err != nil {
		return fmt.Errorf("remove replayed dead letter: %w", err)
	}
	return nil
}

// visit shows letters one by one and holds them all until the end, since one put
// back at once might be the next to come. What was not acknowledged goes back
// when the connection closes. Letters that come meanwhile are not visited: one that
// is sent again may die again at once, for as long as anybody sends it.
func (d *DeadLetters) visit(ctx context.Context, most int, show func(*amqp.Delivery, DeadLetter) error) error {
	l, err := connect(ctx, d.endpoint)
	if err != nil {
		return err
	}
	defer l.close()
	stop := context.AfterFunc(ctx, l.cut)
	defer stop()
	ch, _, err := l.channel()
	if err != nil {
		return err
	}
	for visited := 0; visited < most; visited++ {
		raw, found, err := ch.Get(d.topology.DeadQueue, false)
		if err != nil {
			return fmt.Errorf("get from %s: %w", d.topology.DeadQueue, err)
		}
		if !found {
			return nil
		}
		if visited == 0 {
			most = min(most, 1+int(raw.MessageCount))
		}
		if err := show(&raw, newDeadLetter(&raw, d.topology.DeadQueue)); err != nil {
			return err
		}
	}
	return nil
}

func newDeadLetter(raw *amqp.Delivery, queue string) DeadLetter {
	letter := DeadLetter{Delivery: newDelivery(queue, raw)}
	letter.Reason = cmp.Or(text(raw, headerReason), text(raw, headerBrokerReason))
	letter.From = cmp.Or(text(raw, headerQueue), text(raw, headerBrokerQueue))
	return letter
}

func text(raw *amqp.Delivery, header string) string {
	s, _ := raw.Headers[header].(string)
	return s
}
