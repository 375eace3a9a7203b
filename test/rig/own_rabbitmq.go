package rig

import (
	"context"
	"fmt"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// OwnRabbitMQ gives backends with a RabbitMQ of the test's own.
func (b *Backends) OwnRabbitMQ(t *testing.T) (*Backends, *Own) {
	t.Helper()
	b.ready(t)
	images, err := findImages(b.root)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), startWithin)
	defer cancel()
	r, err := startRabbitMQ(ctx, images.rabbitmq, b.reaper.session)
	if err != nil {
		t.Fatal(err)
	}
	return b.with(b.postgres, r), own(t, &r.server, "5672/tcp")
}

// Queue is what the broker says of a queue, by a way that no Cut reaches; ok is
// false when there is none, or the broker is away.
func (r *Rig) Queue(name string) (state amqp.Queue, ok bool) {
	r.t.Helper()
	err := r.useChannel(func(ch *amqp.Channel) (err error) {
		state, err = ch.QueueDeclarePassive(name, true, false, false, false, nil)
		return err
	})
	return state, err == nil
}

// DeleteQueue takes a queue away with all that is in it and consumes from it.
func (r *Rig) DeleteQueue(name string) {
	r.t.Helper()
	if err := r.useChannel(func(ch *amqp.Channel) error {
		_, err := ch.QueueDelete(name, false, false, false)
		return err
	}); err != nil {
		r.t.Fatalf("delete queue: %v", err)
	}
}

// PurgeQueue takes what is in a queue away and says how many messages it was.
func (r *Rig) PurgeQueue(name string) (messages int) {
	r.t.Helper()
	if err := r.useChannel(func(ch *amqp.Channel) (err error) {
		messages, err = ch.QueuePurge(name, false)
		return err
	}); err != nil {
		r.t.Fatalf("purge queue: %v", err)
	}
	return messages
}

// useChannel lends a channel of a connection of its own.
func (r *Rig) useChannel(use func(*amqp.Channel) error) error {
	conn, err := amqp.DialConfig(brokerURL(r.backends.rabbitmq.addr, r.vhost), amqp.Config{Dial: amqp.DefaultDial(5 * time.Second)})
	if err != nil {
		return fmt.Errorf("connect to RabbitMQ: %w", err)
	}
	defer conn.Close()
	ch, err := conn.Channel()
	if err != nil {
		return fmt.Errorf("open channel: %w", err)
	}
	return use(ch)
}

// MemoryAlarm makes the broker of these backends refuse what is published, as if
// it had no memory left, or ends that.
func (b *Backends) MemoryAlarm(t testing.TB, on bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	mark := "0.6"
	if on {
		mark = "0.0000001"
	}
	if err := b.rabbitmq.control(ctx, "set_vm_memory_high_watermark", mark); err != nil {
		t.Fatal(err)
	}
}
