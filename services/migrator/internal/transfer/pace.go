package transfer

import (
	"context"
	"sync"
	"time"
)

const (
	// largestPaced is up to which size, in bytes, a file needs a place: a larger one
	// is about bytes, and would keep small ones waiting for as long as it takes.
	largestPaced = 4 << 20
	// longestPaced is when any file gives its places back, for the same reason. It
	// is much longer than what a server takes over a small one.
	longestPaced = 5 * time.Second
)

func paceOf(side any) Pace {
	if p, ok := side.(Paced); ok {
		if pace := p.Pace(); pace != nil {
			return pace
		}
	}
	return unpaced{}
}

// hold is what a transfer has of the two servers. Safe for concurrent use.
type hold struct {
	once    sync.Once
	patient *time.Timer
	places  []Pace // the target's, and where it is needed the source's
}

// begin takes the places that a file needs. The source's comes last: a body must
// not be open and wait, since its owner can't change the file meanwhile.
func (r *run) begin(ctx context.Context, j job) (*hold, error) {
	h := &hold{}
	if j.Size > largestPaced {
		return h, r.mayBegin()
	}
	for _, side := range []Side{SideTarget, SideSource} {
		if side == SideSource && j.content != nil {
			break
		}
		if err := r.place(ctx, r.pace(side)); err != nil {
			h.release(Took{})
			return nil, err
		}
		h.places = append(h.places, r.pace(side))
	}
	h.patient = time.AfterFunc(longestPaced, func() { h.release(Took{}) })
	return h, nil
}

// finish gives the places back, if they were not before. What a server took says
// nothing where it did not answer.
func (h *hold) finish(answered bool, took Took) {
	if h.patient != nil {
		h.patient.Stop()
	}
	if !answered {
		took = Took{}
	}
	h.release(took)
}

func (h *hold) release(took Took) {
	h.once.Do(func() {
		for i, p := range h.places {
			p.Release([]time.Duration{took.Target, took.Source}[i])
		}
	})
}

// mayBegin gives errDrained when nothing new may be begun.
func (r *run) mayBegin() error {
	select {
	case <-r.cfg.Drain:
		return errDrained
	default:
		return nil
	}
}

// place waits for a place with a server, but not when nothing new may be begun.
func (r *run) place(ctx context.Context, p Pace) error {
	if err := p.Acquire(ctx); err != nil {
		return err
	}
	err := r.mayBegin()
	if err != nil {
		p.Release(0)
	}
	return err
}

func (r *run) pace(s Side) Pace {
	if s == SideTarget {
		return r.targetPace
	}
	return r.sourcePace
}

// unpaced takes everything at once.
type unpaced struct{}

func (unpaced) Acquire(context.Context) error { return nil }
func (unpaced) Release(time.Duration)         {}
func (unpaced) Busy()                         {}
