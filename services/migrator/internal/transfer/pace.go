package transfer

import (
	"context"
	"errors"
	"io"
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

// Parallel is how much the two servers of a migration are asked for at once, by all
// migrations of a process together.
type Parallel struct {
	Source Places `json:"source"`
	Target Places `json:"target"`
}

// Places are files at once. Most is 0 where there is no bound.
type Places struct {
	Limit int `json:"limit"` // found to be worth it
	Used  int `json:"used"`
	Most  int `json:"most"` // that the limit may grow to
}

// Parallel is what is asked for at this moment.
func (c Config) Parallel() Parallel {
	return Parallel{Source: placesOf(c.Source), Target: placesOf(c.Target)}
}

func placesOf(side any) Places {
	pace := paceOf(side)
	limit, used := pace.Now()
	return Places{Limit: limit, Used: used, Most: pace.Most()}
}

// held is a place with a server. Safe for concurrent use.
type held struct {
	pace  Pace
	once  sync.Once
	timer *time.Timer
}

// place waits for a place for a file of that size, but not when nothing new may be
// begun. It is given back after a while at the latest.
func (r *run) place(ctx context.Context, p Pace, size int64) (*held, error) {
	if size > largestPaced {
		p = unpaced{}
	}
	if err := p.Acquire(ctx); err != nil {
		return nil, err
	}
	h := &held{pace: p}
	if err := r.mayBegin(); err != nil {
		h.release(0)
		return nil, err
	}
	h.timer = time.AfterFunc(longestPaced, func() { h.give(0) })
	return h, nil
}

// release gives the place back, once. took is how long the server needed, 0 where
// that says nothing.
func (h *held) release(took time.Duration) {
	if h.timer != nil {
		h.timer.Stop()
	}
	h.give(took)
}

func (h *held) give(took time.Duration) {
	h.once.Do(func() { h.pace.Release(took) })
}

// open opens a file with a place at the source, which is kept until the body was
// read: how long the target then takes over it is not the source's.
func (r *run) open(ctx context.Context, f File) (*Body, error) {
	place, err := r.place(ctx, r.sourcePace, f.Size)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	body, err := r.cfg.Source.Open(ctx, f.Path())
	if err != nil {
		place.release(answered(err, time.Since(began)))
		return nil, err
	}
	body.ReadCloser = &pacedBody{ReadCloser: body.ReadCloser, place: place, took: time.Since(began), left: body.Size}
	return body, nil
}

// answered is how long a server took, 0 where it did not answer.
func answered(err error, took time.Duration) time.Duration {
	switch reasonOf(err) {
	case ReasonUnreachable, ReasonIncomplete, ReasonBusy:
		return 0
	}
	return took
}

// pacedBody gives its place back when it was read.
type pacedBody struct {
	io.ReadCloser
	place *held
	took  time.Duration // that the source was waited for
	left  int64         // bytes; negative when the size is not known
}

func (b *pacedBody) Read(p []byte) (int, error) {
	began := time.Now()
	n, err := b.ReadCloser.Read(p)
	b.took += time.Since(began)
	b.left -= int64(n)
	switch {
	case err == nil && b.left != 0:
	case err == nil || errors.Is(err, io.EOF):
		b.place.release(b.took)
	default:
		b.place.release(0)
	}
	return n, err
}

func (b *pacedBody) Close() error {
	b.place.release(0)
	return b.ReadCloser.Close()
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
func (unpaced) Now() (limit, used int)        { return 0, 0 }
func (unpaced) Most() int                     { return 0 }
