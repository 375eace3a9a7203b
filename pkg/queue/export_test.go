package queue

import (
	"context"
	"time"
)

// Pauses gives the waits after a number of failures in a row.
func Pauses(n int) []time.Duration {
	var p pause
	pauses := make([]time.Duration, n)
	for i := range pauses {
		pauses[i] = p.next()
	}
	return pauses
}

// Declare makes all of a topology on a connection of its own.
func Declare(ctx context.Context, url string, t Topology) error {
	l, err := connect(ctx, endpoint{url: url, name: "declare"})
	if err != nil {
		return err
	}
	defer l.close()
	return l.with(t.declare)
}
