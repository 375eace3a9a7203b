// Package service runs the life of a process: its parts start in order and stop
// in the reverse order within a grace period, its logger, its HTTP servers and
// what an operator asks it for.
package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// ErrGraceOver is the cause with which work is cut that outlived the grace
// period after a stop.
var ErrGraceOver = errors.New("grace period is over")

// ErrEnded means that a part returned before it was told to stop.
var ErrEnded = errors.New("ended by itself")

// cleanupTime is what parts get to return after their work was cut.
const cleanupTime = 5 * time.Second

// Part is one of the long-running things a process is made of.
type Part struct {
	Name string
	// Run works until take ends; then it starts nothing new, finishes what it
	// has in hand under work and returns. Work ends with ErrGraceOver as its
	// cause when the grace period is over.
	Run func(take, work context.Context) error
}

// Loop is a part that needs no grace: it returns soon after its context ends.
func Loop(name string, run func(ctx context.Context) error) Part {
	return Part{Name: name, Run: func(take, _ context.Context) error { return run(take) }}
}

// SignalContext ends at SIGINT or SIGTERM. A second signal kills the process as
// usual, for an operator who does not want to wait.
func SignalContext(parent context.Context) (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(parent, syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// Run starts the parts in order and returns when all have ended. When ctx ends
// or a part ends by itself, they are stopped one by one from the last to the
// first, so that each may rely on those before it until it is done; all share
// one grace period. The error joins what the parts returned; a part's error that
// only repeats the end of its context is left out.
func Run(ctx context.Context, logger *slog.Logger, grace time.Duration, parts ...Part) error {
	work, cut := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cut(nil)
	ended := make(chan struct{}, len(parts))
	started := make([]*running, 0, len(parts))
	for _, p := range parts {
		started = append(started, start(work, p, ended))
		logger.Info("part started", "part", p.Name)
	}

	select {
	case <-ctx.Done():
		logger.Info("stopping", "cause", context.Cause(ctx), "grace", grace)
	case <-ended:
		logger.Error("stopping, because a part ended")
	}
	timer := time.AfterFunc(grace, func() {
		for _, p := range started {
			p.tell() // else the cut would look like an end of its own
		}
		cut(ErrGraceOver)
	})
	defer timer.Stop()
	return stop(work, logger, started)
}

// running is a started part.
type running struct {
	Part
	told chan struct{} // closed when the part is told to stop
	tell func()
	done chan struct{} // closed when it has returned; err is set before
	err  error
}

func start(work context.Context, p Part, ended chan<- struct{}) *running {
	take, cancel := context.WithCancel(work)
	r := &running{Part: p, told: make(chan struct{}), done: make(chan struct{})}
	r.tell = sync.OnceFunc(func() {
		close(r.told)
		cancel()
	})
	go func() {
		defer close(r.done)
		r.err = r.verdict(p.Run(take, work))
		ended <- struct{}{}
	}()
	return r
}

// verdict is what a part's return means: after it was told to stop, the end of
// its context is no error; before, even a return without error is one.
func (r *running) verdict(err error) error {
	select {
	case <-r.told:
		if err == nil || errors.Is(err, context.Canceled) {
			return nil
		}
	default:
		if err == nil {
			err = ErrEnded
		}
	}
	return fmt.Errorf("%s: %w", r.Name, err)
}

func stop(work context.Context, logger *slog.Logger, parts []*running) error {
	var faults []error
	for i := len(parts) - 1; i >= 0; i-- {
		p := parts[i]
		p.tell()
		if err := p.wait(work); err != nil {
			faults = append(faults, err)
			continue
		}
		logger.Info("part stopped", "part", p.Name)
	}
	return errors.Join(faults...)
}

// wait gives a part that ignores the cut some time to clean up, then leaves it.
func (r *running) wait(work context.Context) error {
	select {
	case <-r.done:
		return r.err
	case <-work.Done():
	}
	timer := time.NewTimer(cleanupTime)
	defer timer.Stop()
	select {
	case <-r.done:
		return r.err
	case <-timer.C:
		return fmt.Errorf("%s: still running %s after the cut: %w", r.Name, cleanupTime, ErrGraceOver)
	}
}
