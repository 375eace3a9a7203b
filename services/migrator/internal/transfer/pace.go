package transfer

import (
	"context"
	"time"
)

// largestPaced is up to which size, in bytes, a file says how quick a server is with
// each file; a larger one says how quick it is with bytes.
const largestPaced = 4 << 20

func paceOf(side any) Pace {
	if p, ok := side.(Paced); ok {
		if pace := p.Pace(); pace != nil {
			return pace
		}
	}
	return unpaced{}
}

// begin takes the places that a file needs. The source's comes last: a body must
// not be open and wait, since its owner can't change the file meanwhile.
func (r *run) begin(ctx context.Context, j job) error {
	if err := r.place(ctx, r.targetPace); err != nil || j.content != nil {
		return err
	}
	if err := r.place(ctx, r.sourcePace); err != nil {
		r.targetPace.Release(0)
		return err
	}
	return nil
}

// place waits for a place with a server, but not when nothing new may be begun.
func (r *run) place(ctx context.Context, p Pace) error {
	if err := p.Acquire(ctx); err != nil {
		return err
	}
	select {
	case <-r.cfg.Drain:
		p.Release(0)
		return errDrained
	default:
		return nil
	}
}

// finish gives the places back.
func (r *run) finish(j job, done bool, took Took) {
	if !done || j.Size > largestPaced {
		took = Took{}
	}
	r.targetPace.Release(took.Target)
	if j.content == nil {
		r.sourcePace.Release(took.Source)
	}
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
