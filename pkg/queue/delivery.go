package queue

import (
	"maps"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// Delivery is a message as a handler sees it.
type Delivery struct {
	Queue       string
	MessageID   string
	RoutingKey  string
	Body        []byte
	Redelivered bool // it was delivered before, perhaps to someone else
	Headers     map[string]any
	Published   time.Time // when it was first published, to the second; zero when unknown
}

func newDelivery(queue string, d *amqp.Delivery) Delivery {
	return Delivery{
		Queue:       queue,
		MessageID:   d.MessageId,
		RoutingKey:  d.RoutingKey,
		Body:        d.Body,
		Redelivered: d.Redelivered,
		Headers:     maps.Clone(map[string]any(d.Headers)),
		Published:   d.Timestamp,
	}
}

type verdictKind int

const (
	verdictLater verdictKind = iota // the zero verdict loses nothing
	verdictDone
	verdictDead
)

// Verdict is what the broker is told about a delivery. The zero value is Later.
type Verdict struct {
	kind   verdictKind
	reason string
}

// Done takes the message from its queue: whatever it asked for is safe.
func Done() Verdict { return Verdict{kind: verdictDone} }

// Later is for a message that can't be handled yet, since what the handler needs
// is away: consuming stops for a while and the message goes back. While Ready says
// that it is there, the same message is tried again instead. The reason goes to
// the log.
func Later(reason string) Verdict { return Verdict{kind: verdictLater, reason: reason} }

// Dead moves the message to the dead letters, with the reason beside it. The
// reason must hold no secret.
func Dead(reason string) Verdict { return Verdict{kind: verdictDead, reason: reason} }

// String is the verdict's name.
func (v Verdict) String() string {
	switch v.kind {
	case verdictDone:
		return "done"
	case verdictDead:
		return "dead"
	default:
		return "later"
	}
}
