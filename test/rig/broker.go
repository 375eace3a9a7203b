package rig

import (
	"context"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"example.org/ncm/pkg/contract"
)

// BrokerURL is the rig's virtual host, through the link that a test may cut.
func (r *Rig) BrokerURL() string { return brokerURL(r.Broker.Addr, r.vhost) }

// channel opens a channel of the rig's virtual host that no Cut reaches.
func (r *Rig) channel() *amqp.Channel {
	r.t.Helper()
	conn, err := amqp.Dial(brokerURL(r.backends.rabbitmq.addr, r.vhost))
	if err != nil {
		r.t.Fatalf("connect to RabbitMQ: %v", err)
	}
	r.t.Cleanup(func() { _ = conn.Close() })
	ch, err := conn.Channel()
	if err != nil {
		r.t.Fatalf("open channel: %v", err)
	}
	return ch
}

// Publish sends a message to the migration exchange as the stack's own trigger
// does, and returns when it is in a queue.
func (r *Rig) Publish(key, messageID, body string) {
	r.t.Helper()
	ch := r.channel()
	defer ch.Close()
	if err := ch.Confirm(false); err != nil {
		r.t.Fatalf("ask for confirmations: %v", err)
	}
	returned := ch.NotifyReturn(make(chan amqp.Return, 1))
	ctx, cancel := limited(r.t)
	defer cancel()
	confirmed, err := ch.PublishWithDeferredConfirmWithContext(ctx, contract.Exchange, key, true, false, amqp.Publishing{
		ContentType: "application/json", DeliveryMode: amqp.Persistent, MessageId: messageID, Timestamp: time.Now(), Body: []byte(body),
	})
	if err != nil {
		r.t.Fatalf("publish: %v", err)
	}
	if ok, err := confirmed.WaitContext(ctx); err != nil || !ok {
		r.t.Fatalf("publish: confirmed %v, error %v", ok, err)
	}
	select {
	case m := <-returned:
		r.t.Fatalf("publish: returned as %q", m.ReplyText)
	default:
	}
}

// Tap is a queue of the test's own that gets a copy of every message.
type Tap struct {
	t          *testing.T
	deliveries <-chan amqp.Delivery
}

// Tap listens to an exchange, which is declared if need be, from now on.
func (r *Rig) Tap(exchange, kind string) *Tap {
	r.t.Helper()
	ch := r.channel()
	if err := ch.ExchangeDeclare(exchange, kind, true, false, false, false, nil); err != nil {
		r.t.Fatalf("declare exchange: %v", err)
	}
	queue, err := ch.QueueDeclare("", false, true, true, false, nil)
	if err != nil {
		r.t.Fatalf("declare queue: %v", err)
	}
	if err := ch.QueueBind(queue.Name, "#", exchange, false, nil); err != nil {
		r.t.Fatalf("bind queue: %v", err)
	}
	deliveries, err := ch.Consume(queue.Name, "", true, true, false, false, nil)
	if err != nil {
		r.t.Fatalf("consume: %v", err)
	}
	return &Tap{t: r.t, deliveries: deliveries}
}

// TapMigrations listens to what triggers publish.
func (r *Rig) TapMigrations() *Tap {
	r.t.Helper()
	return r.Tap(contract.Exchange, amqp.ExchangeTopic)
}

// Next waits for a message.
func (tap *Tap) Next() amqp.Delivery {
	tap.t.Helper()
	ctx, cancel := context.WithTimeout(tap.t.Context(), Patience)
	defer cancel()
	select {
	case d := <-tap.deliveries:
		return d
	case <-ctx.Done():
		tap.t.Fatal("no message came")
		return amqp.Delivery{}
	}
}

// Rest gives the messages that are there already and were not asked for. A test
// that wants none waits for the end of what could have sent them first.
func (tap *Tap) Rest() []amqp.Delivery {
	var all []amqp.Delivery
	for {
		select {
		case d := <-tap.deliveries:
			all = append(all, d)
		default:
			return all
		}
	}
}
