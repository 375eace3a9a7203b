package queue

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"
)

const (
	minPause = 200 * time.Millisecond
	maxPause = 15 * time.Second
	// settled is how long a session has to last for the next to be tried at
	// once; one that fails right after connecting must not spin.
	settled = 10 * time.Second
)

// pause is the state of a full-jitter backoff without end.
type pause struct {
	failures int
}

// next is a random part of a ceiling that doubles with each failure.
func (p *pause) next() time.Duration {
	ceiling := min(maxPause, minPause<<min(p.failures, 16))
	p.failures++
	return rand.N(ceiling) + time.Millisecond
}

// supervise runs one session after another until ctx ends, which is no error.
// A session lasts until its connection is of no more use.
func supervise(ctx context.Context, logger *slog.Logger, session func(ctx context.Context) error) error {
	var p pause
	for {
		start := time.Now()
		err := session(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if time.Since(start) > settled {
			p = pause{}
		}
		wait := p.next()
		logger.WarnContext(ctx, "broker session ended", "error", err, "next_try_in", wait)
		if !sleep(ctx, wait) {
			return nil
		}
	}
}

// sleep says false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
