package worker

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"example.org/ncm/services/migrator/internal/transfer"
)

// Causes with which a slice is cut short, besides transfer.ErrLeaseLost.
var (
	errCanceled  = errors.New("canceled by the user")
	errStopped   = errors.New("the worker stops")
	errWithdrawn = errors.New("the tracking document is gone")
)

// holder keeps one lease while its slice runs.
type holder struct {
	lease  transfer.Lease
	ledger Leases
	ttl    time.Duration
	cancel context.CancelCauseFunc
	// parallel tells what both servers are asked for at once; nil before they are known.
	parallel atomic.Pointer[func() transfer.Parallel]

	drain     chan struct{} // closed when nothing new may be begun
	drainOnce sync.Once

	mirrored time.Time // last try to write the document; for one goroutine at a time
}

// stopEarly is how long before its end a holder stops trusting its lease: what is
// under way then has this long to be seen as cut.
func (h *holder) stopEarly() time.Duration { return h.ttl / 5 }

func (h *holder) startDrain() { h.drainOnce.Do(func() { close(h.drain) }) }

// shown is the lease with what others may see of its slice.
func (h *holder) shown() transfer.Lease {
	lease := h.lease
	if measure := h.parallel.Load(); measure != nil {
		now := (*measure)()
		lease.Parallel = &now
	}
	return lease
}

// renew prolongs the lease until ctx ends. yieldAt is when the slice ends if
// others wait.
func (h *holder) renew(ctx context.Context, yieldAt time.Time) {
	// The slice ends by this clock even while a renewal hangs.
	expiry := time.AfterFunc(h.ttl-h.stopEarly(), func() { h.cancel(transfer.ErrLeaseLost) })
	defer expiry.Stop()
	tick := time.NewTicker(h.ttl / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		asked := time.Now()
		r, err := h.ledger.Renew(ctx, h.shown(), h.ttl)
		switch {
		case errors.Is(err, transfer.ErrLeaseLost):
			h.cancel(transfer.ErrLeaseLost)
			return
		case err != nil:
			continue // the next tick tries again; expiry bounds it
		case r.Canceled:
			h.cancel(errCanceled)
		case r.Waiting && asked.After(yieldAt):
			h.startDrain()
		}
		expiry.Reset(time.Until(asked.Add(h.ttl - h.stopEarly())))
	}
}
