package cozytest

import (
	"cmp"
	"context"
	"io"
	"net/http"
	"time"

	"golang.org/x/time/rate"
)

// gate holds an instance's requests to its ceilings.
type gate struct {
	slots    chan struct{} // nil: no limit
	requests *rate.Limiter // nil: no limit
	bytes    *rate.Limiter // nil: no limit
	work     *rate.Limiter // in microseconds; nil: no limit
	profile  Profile
}

func newGate(o InstanceOptions, p Profile) *gate {
	if o.Free {
		p = Profile{}
	}
	g := &gate{profile: p, work: p.servers()}
	if o.MaxInFlight > 0 {
		g.slots = make(chan struct{}, o.MaxInFlight)
	}
	if o.RequestsPerSecond > 0 {
		g.requests = rate.NewLimiter(rate.Limit(o.RequestsPerSecond), 1)
	}
	g.bytes = newBandwidth(cmp.Or(o.BytesPerSecond, p.BytesPerSecond))
	return g
}

// burstsPerSecond leaves room for the delays of a busy machine.
const burstsPerSecond = 50

func newBandwidth(bytesPerSecond int64) *rate.Limiter {
	if bytesPerSecond <= 0 {
		return nil
	}
	return rate.NewLimiter(rate.Limit(bytesPerSecond), max(bufferSize, int(bytesPerSecond/burstsPerSecond)))
}

// enter waits for a place; it fails when the client goes away.
func (g *gate) enter(r *http.Request) (leave func(), err error) {
	if g.requests != nil {
		if err := g.requests.Wait(r.Context()); err != nil {
			return nil, err
		}
	}
	if g.slots == nil {
		return func() {}, nil
	}
	select {
	case g.slots <- struct{}{}:
		return func() { <-g.slots }, nil
	case <-r.Context().Done():
		return nil, context.Cause(r.Context())
	}
}

// slow is the request's body at the instance's bandwidth.
func (g *gate) slow(r *http.Request) io.Reader { return g.slowReader(r.Context(), r.Body) }

// slowReader is any body at the instance's bandwidth.
func (g *gate) slowReader(ctx context.Context, src io.Reader) io.Reader {
	if g.bytes == nil {
		return src
	}
	return &slowReader{ctx: ctx, src: src, limit: g.bytes}
}

func (g *gate) slowContent(ctx context.Context, content io.ReadSeeker) io.ReadSeeker {
	if g.bytes == nil {
		return content
	}
	return struct {
		io.Reader
		io.Seeker
	}{&slowReader{ctx: ctx, src: content, limit: g.bytes}, content}
}

type slowReader struct {
	ctx   context.Context
	src   io.Reader
	limit *rate.Limiter
}

func (s *slowReader) Read(p []byte) (int, error) {
	n, err := s.src.Read(p[:min(len(p), bufferSize)])
	if n > 0 {
		if waitErr := s.limit.WaitN(s.ctx, n); waitErr != nil {
			return n, waitErr
		}
	}
	return n, err
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
