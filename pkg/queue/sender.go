package queue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// sender keeps a session to one exchange alive and lets callers take turns.
type sender struct {
	endpoint endpoint
	exchange string
	timeout  time.Duration
	logger   *slog.Logger
	metrics  *metrics
	assert   func(*link) error // makes sure that the exchange is there

	turn    chan struct{} // holds a token while a message is in flight
	mu      sync.Mutex
	current *session // nil: not connected
	why     error    // why there is none
}

// run keeps a session until ctx ends.
func (s *sender) run(ctx context.Context) error {
	return supervise(ctx, s.logger, s.session)
}

func (s *sender) session(ctx context.Context) (err error) {
	defer func() { s.put(nil, cmp.Or(err, errClosed)) }()
	l, err := connect(ctx, s.endpoint)
	if err != nil {
		return err
	}
	defer l.close()
	if err := s.assert(l); err != nil {
		return err
	}
	current, err := newSession(l, s.exchange)
	if err != nil {
		return err
	}
	s.put(current, nil)
	s.metrics.connects.WithLabelValues(s.endpoint.name).Inc()
	s.logger.InfoContext(ctx, "connected to broker")
	return s.watch(ctx, current)
}

// watch returns when the session is of no more use. Blocked it is kept: a new
// connection would be blocked as well, but only say so after the next message.
func (s *sender) watch(ctx context.Context, current *session) error {
	closed := current.ch.NotifyClose(make(chan *amqp.Error, 1))
	blockings := current.link.conn.NotifyBlocked(make(chan amqp.Blocking, 1))
	for {
		select {
		case <-ctx.Done():
			s.finish(ctx)
			return nil
		case fault := <-closed:
			if fault != nil {
				return fault
			}
			return errClosed
		case b := <-blockings:
			current.blocked.Store(b.Active)
			s.logger.WarnContext(ctx, "broker flow control", "blocked", b.Active, "reason", b.Reason)
		case <-current.abandoned:
		}
		if current.spoilt.Load() && !current.blocked.Load() {
			return errReplaced
		}
	}
}

// finish takes new callers' session away and lets the message in flight end.
func (s *sender) finish(ctx context.Context) {
	s.put(nil, errClosed)
	wait, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	select {
	case s.turn <- struct{}{}:
		<-s.turn
	case <-wait.Done():
	}
}

func (s *sender) put(current *session, why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current, s.why = current, why
	connected := 0.0
	if current != nil {
		connected = 1
	}
	s.metrics.connected.WithLabelValues(s.endpoint.name).Set(connected)
}

// ready gives the session, or ErrUnavailable with the reason.
func (s *sender) ready() (*session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.current == nil && s.why == nil:
		return nil, fmt.Errorf("%w: not connected yet", ErrUnavailable)
	case s.current == nil:
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, s.why)
	case s.current.blocked.Load():
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, errBlocked)
	case s.current.spoilt.Load():
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, errReplaced)
	}
	return s.current, nil
}

// publish answers within the sender's timeout, at once where nothing can be
// sent.
func (s *sender) publish(ctx context.Context, key string, msg amqp.Publishing) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	err := s.inTurn(ctx, func(current *session) error {
		return current.publish(ctx, key, msg)
	})
	s.metrics.publishes.WithLabelValues(s.endpoint.name, result(err)).Inc()
	return err
}

func (s *sender) inTurn(ctx context.Context, use func(*session) error) error {
	if _, err := s.ready(); err != nil {
		return err
	}
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return fmt.Errorf("%w: wait for the message before: %w", ErrUnavailable, context.Cause(ctx))
	}
	current, err := s.ready()
	if err != nil {
		return err
	}
	return use(current)
}

func result(err error) string {
	switch {
	case err == nil:
		return "confirmed"
	case errors.Is(err, ErrUnroutable):
		return "unroutable"
	case errors.Is(err, ErrUnavailable):
		return "unavailable"
	default:
		return "unknown"
	}
}
