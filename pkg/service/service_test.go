package service_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"example.org/ncm/pkg/service"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// journal notes in which order things happen.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) note(line string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, line)
}

func (j *journal) part(name string, finish time.Duration) service.Part {
	return service.Part{Name: name, Run: func(take, work context.Context) error {
		<-take.Done()
		j.note(name + " told")
		select {
		case <-time.After(finish):
			j.note(name + " finished")
			return nil
		case <-work.Done():
			j.note(name + " cut")
			return context.Cause(work)
		}
	}}
}

func TestPartsStopFromTheLastToTheFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var j journal

		err := service.Run(ctx, quiet(), 30*time.Second, j.part("first", time.Second), j.part("last", time.Second))

		want := []string{"last told", "last finished", "first told", "first finished"}
		if err != nil || !slices.Equal(j.lines, want) {
			t.Errorf("Run = %v, order %q; want %q", err, j.lines, want)
		}
	})
}

func TestWorkIsCutWhenTheGraceIsOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var j journal
		start := time.Now()

		err := service.Run(ctx, quiet(), 30*time.Second, j.part("first", time.Hour), j.part("last", time.Hour))

		if !errors.Is(err, service.ErrGraceOver) {
			t.Errorf("Run = %v, want ErrGraceOver", err)
		}
		if took := time.Since(start); took != 90*time.Second {
			t.Errorf("Run took %v, want a minute and one grace period for all", took)
		}
		if !slices.Contains(j.lines, "last cut") || !slices.Contains(j.lines, "first told") {
			t.Errorf("order = %q, want both parts told and the last cut", j.lines)
		}
	})
}

func TestAPartThatIgnoresTheCutIsLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		release := make(chan struct{})
		defer close(release)
		stuck := service.Part{Name: "stuck", Run: func(context.Context, context.Context) error {
			<-release
			return nil
		}}
		start := time.Now()

		err := service.Run(ctx, quiet(), time.Second, stuck)

		if !errors.Is(err, service.ErrGraceOver) || time.Since(start) > 10*time.Second {
			t.Errorf("Run = %v after %v, want ErrGraceOver soon", err, time.Since(start))
		}
	})
}

func TestAPartThatFailsStopsTheOthers(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for name, tc := range map[string]struct{ returns, want error }{
		"with an error":    {broken, broken},
		"without an error": {nil, service.ErrEnded},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var j journal
			failing := service.Loop("failing", func(context.Context) error { return tc.returns })

			err := service.Run(t.Context(), quiet(), time.Minute, j.part("other", 0), failing)

			if !errors.Is(err, tc.want) || err.Error()[:8] != "failing:" {
				t.Errorf("Run = %v, want %v of the part", err, tc.want)
			}
			if !slices.Contains(j.lines, "other finished") {
				t.Errorf("order = %q, want the other part finished", j.lines)
			}
		})
	}
}

func TestALoopEndedByItsContextIsNoError(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	loop := service.Loop("loop", func(ctx context.Context) error {
		cancel()
		<-ctx.Done()
		return ctx.Err()
	})

	if err := service.Run(ctx, quiet(), time.Minute, loop); err != nil {
		t.Errorf("Run = %v, want nil", err)
	}
}

func TestSignalContextEndsAtSIGTERM(t *testing.T) {
	ctx, stop := service.SignalContext(context.Background())
	defer stop()
	if err := syscall.Kill(syscall.Getpid(), syscall.SIGTERM); err != nil {
		t.Fatalf("kill: %v", err)
	}
	select {
	case <-ctx.Done():
	case <-time.After(10 * time.Second):
		t.Fatal("the signal did not end the context")
	}
}

func TestALateCutIsNotTakenForAnEndOfItsOwn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var j journal
		loop := service.Loop("loop", func(ctx context.Context) error { <-ctx.Done(); return nil })

		err := service.Run(ctx, quiet(), time.Second, loop, j.part("slow", time.Hour))

		if errors.Is(err, service.ErrEnded) || !errors.Is(err, service.ErrGraceOver) {
			t.Errorf("error %v, want only that the slow part was cut", err)
		}
	})
}
