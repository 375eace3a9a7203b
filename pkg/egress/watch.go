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

// copyBuffers are for bodies on their way out: net/http would make one for each.
var copyBuffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// ReadFrom implements io.ReaderFrom, which net/http sends bodies by.
func (c *watchedConn) ReadFrom(r io.Reader) (n int64, err error) {
	buf, _ := copyBuffers.Get().(*[32 << 10]byte)
	defer copyBuffers.Put(buf)
	return io.CopyBuffer(writerOnly{c}, r, buf[:])
}

// writerOnly hides ReadFrom, which the copy would come back to.
type writerOnly struct{ io.Writer }

func (c *watchedConn) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(c.idle)); err != nil {
		return 0, fmt.Errorf("set write deadline: %w", err)
	}
	n, err := c.Conn.Write(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = fmt.Errorf("write to %s: %w", c.RemoteAddr(), ErrStalled)
	}
	return n, err
}
