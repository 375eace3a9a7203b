package egress

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// ErrStalled means that the peer neither sent nor took a byte of a body for
// longer than the body idle ceiling. It is a network timeout.
var ErrStalled error = stalledError{}

type stalledError struct{}

func (stalledError) Error() string   { return "body stalled" }
func (stalledError) Timeout() bool   { return true }
func (stalledError) Temporary() bool { return true }

// RoundTrip implements http.RoundTripper. The answer's body fails with
// ErrStalled when no byte comes for too long while it is read.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cut := context.WithCancelCause(req.Context())
	resp, err := t.base.RoundTrip(req.WithContext(ctx))
	if err != nil {
		cut(nil)
		return nil, err
	}
	resp.Request = req
	if resp.StatusCode == http.StatusSwitchingProtocols {
		cut(nil) // the body is a connection now: it outlives its request and may idle
		return resp, nil
	}
	resp.Body = newWatchedBody(resp.Body, cut, t.bodyIdle)
	return resp, nil
}

// watchedBody runs a timer while a Read waits, and only then: a reader that is
// slow itself is not the peer's fault.
type watchedBody struct {
	io.ReadCloser
	idle  time.Duration
	timer *time.Timer
	end   func()
}

func newWatchedBody(body io.ReadCloser, cut context.CancelCauseFunc, idle time.Duration) *watchedBody {
	timer := time.AfterFunc(idle, func() { cut(ErrStalled) })
	timer.Stop()
	end := sync.OnceFunc(func() {
		timer.Stop()
		cut(nil)
	})
	return &watchedBody{ReadCloser: body, idle: idle, timer: timer, end: end}
}

func (b *watchedBody) Read(p []byte) (int, error) {
	b.timer.Reset(b.idle)
	n, err := b.ReadCloser.Read(p)
	b.timer.Stop()
	if err != nil {
		b.end()
	}
	return n, err
}

func (b *watchedBody) Close() error {
	err := b.ReadCloser.Close()
	b.end()
	return err
}

// watchedConn bounds each write, so that a peer that no longer takes the body
// of a request is noticed. Reads have their ceilings above: the header timeout
// and the watched body.
type watchedConn struct {
	net.Conn
	idle time.Duration
}

const (
	smallCopy = 32 << 10
	// largeCopy saves a body of at least largeBody most of its system calls: a tenth of
	// what it costs. No more than mostLarge have one at once, which bounds the memory.
	largeCopy = 256 << 10
	largeBody = 4 << 20
	mostLarge = 16
)

// Buffers for bodies on their way out: net/http would make one for each.
var (
	smallCopies = sync.Pool{New: func() any { return new(make([]byte, smallCopy)) }}
	largeCopies = sync.Pool{New: func() any { return new(make([]byte, largeCopy)) }}
	largeOnes   = make(chan struct{}, mostLarge)
)

// ReadFrom implements io.ReaderFrom, which net/http sends bodies by: those of a
// known length as an io.LimitedReader.
func (c *watchedConn) ReadFrom(r io.Reader) (n int64, err error) {
	copies := &smallCopies
	if body, ok := r.(*io.LimitedReader); ok && body.N >= largeBody {
		select {
		case largeOnes <- struct{}{}:
			defer func() { <-largeOnes }()
			copies = &largeCopies
		default:
		}
	}
	buf, _ := copies.Get().(*[]byte)
	defer copies.Put(buf)
	return io.CopyBuffer(writerOnly{c}, r, *buf)
}

// writerOnly hides ReadFrom, which the copy would come back to.
type writerOnly struct{ io.Writer }

// Write implements net.Conn. It fails with ErrStalled when the peer takes less than
// smallCopy, or than what is left, for too long: a large write may take many times that.
func (c *watchedConn) Write(p []byte) (n int, err error) {
	for {
		if err := c.SetWriteDeadline(time.Now().Add(c.idle)); err != nil {
			return n, fmt.Errorf("set write deadline: %w", err)
		}
		taken, err := c.Conn.Write(p[n:])
		n += taken
		switch {
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return n, err
		case taken < smallCopy:
			return n, fmt.Errorf("write to %s: %w", c.RemoteAddr(), ErrStalled)
		}
	}
}
