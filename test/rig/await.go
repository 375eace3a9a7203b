package rig

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// pollEvery is how often a condition is looked at.
const pollEvery = 20 * time.Millisecond

// Patience is how long a test waits for what has to come and whose time is not what
// is promised: long enough for a machine with ten times the work it can do.
const Patience = 2 * time.Minute

// Await returns as soon as a condition holds and ends the test when it does not
// within a time.
func Await(t testing.TB, within time.Duration, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	if err := poll(ctx, func() error {
		if !holds() {
			return fmt.Errorf("not %s", what)
		}
		return nil
	}); err != nil {
		t.Fatalf("after %v: %v", within, err)
	}
}

// poll asks until there is no error any more and returns the last one when ctx
// ends.
func poll(ctx context.Context, ask func() error) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		err := ask()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case <-tick.C:
		}
	}
}
