package request

import (
	"context"
	"sync"
)

// StopErasing ends the deletions under way, after the request to the source that
// each has in hand is cut. Their callers are told to ask again.
func (d *Desk) StopErasing() { d.erasures.stop() }

// erasures are the deletions of this process.
type erasures struct {
	life context.Context // ends all of them at once
	stop context.CancelFunc

	mu      sync.Mutex
	running map[string]struct{}
}

func newErasures() *erasures {
	life, stop := context.WithCancel(context.Background())
	return &erasures{life: life, stop: stop, running: map[string]struct{}{}}
}

// begin lets one deletion of a source run at a time. Those of other pods are not
// known here: two at once delete the same and do no harm.
func (e *erasures) begin(key string) (done func(), err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, taken := e.running[key]; taken {
		return nil, refused("nextcloud migration source is being deleted")
	}
	e.running[key] = struct{}{}
	return func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(e.running, key)
	}, nil
}

// outlive gives a context that ends with the service and not with the caller.
func (e *erasures) outlive(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), eraseTimeout)
	release := context.AfterFunc(e.life, cancel)
	return ctx, func() { release(); cancel() }
}
