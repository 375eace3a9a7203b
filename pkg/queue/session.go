package queue

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	amqp "github.com/rabbitmq/amqp091-go"
)

// session is a channel in confirm mode with at most one message in flight, so
// that a confirmation or return can only be that message's. After an outcome
// that was not waited for it must not be used again.
type session struct {
	link     *link
	exchange string
	ch       *amqp.Channel
	closed   <-chan *amqp.Error // read by publish
	confirms chan amqp.Confirmation
	returns  chan amqp.Return // buffered: what nobody takes at once is lost

	blocked   atomic.Bool
	spoilt    atomic.Bool   // an outcome is unknown: a late answer may come
	abandoned chan struct{} // holds a token once spoilt
}

// newSession opens the channel. It owns nothing: closing the link ends it.
func newSession(l *link, exchange string) (*session, error) {
	ch, closed, err := l.channel()
	if err != nil {
		return nil, err
	}
	if err := ch.Confirm(false); err != nil {
		return nil, fmt.Errorf("turn on confirms: %w", err)
	}
	return &session{
		link:      l,
		exchange:  exchange,
		ch:        ch,
		closed:    closed,
		confirms:  ch.NotifyPublish(make(chan amqp.Confirmation, 1)),
		returns:   ch.NotifyReturn(make(chan amqp.Return, 1)),
		abandoned: make(chan struct{}, 1),
	}, nil
}

// publish sends a message and waits for its outcome. Callers take turns.
func (s *session) publish(ctx context.Context, key string, msg amqp.Publishing) error {
	if err := s.send(ctx, key, msg); err != nil {
		return err
	}
	select {
	case confirm, open := <-s.confirms:
		if !open {
			return s.lost()
		}
		return s.outcome(confirm)
	case <-ctx.Done():
		s.abandon()
		return fmt.Errorf("%w: %w", ErrNotConfirmed, context.Cause(ctx))
	}
}

// send writes the message. The library's write has no context: when a broker
// that does not read fills the socket, only cutting the socket ends it.
func (s *session) send(ctx context.Context, key string, msg amqp.Publishing) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, context.Cause(ctx))
	}
	stop := context.AfterFunc(ctx, s.link.cut)
	defer stop()
	err := s.ch.PublishWithContext(ctx, s.exchange, key, true, false, msg)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, amqp.ErrClosed): // before a byte was written
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	default:
		s.abandon()
		return fmt.Errorf("%w: %w", ErrNotConfirmed, err)
	}
}

// outcome reads the return that came before the confirmation: the broker
// acknowledges an unroutable message like any other.
func (s *session) outcome(confirm amqp.Confirmation) error {
	select {
	case back := <-s.returns:
		return fmt.Errorf("%w: %d %s", ErrUnroutable, back.ReplyCode, back.ReplyText)
	default:
	}
	if !confirm.Ack {
		return fmt.Errorf("%w: refused by the broker", ErrNotConfirmed)
	}
	return nil
}

// lost judges the end of the channel during a wait: a missing exchange or a
// missing right is the broker's answer to this message, which it did not take.
func (s *session) lost() error {
	err := reason(s.closed)
	if hasCode(err, amqp.NotFound) || hasCode(err, amqp.AccessRefused) {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return fmt.Errorf("%w: %w", ErrNotConfirmed, err)
}

// abandon spoils the session before the next caller's turn.
func (s *session) abandon() {
	s.spoilt.Store(true)
	select {
	case s.abandoned <- struct{}{}:
	default:
	}
}
