package egress

import (
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

func TestALargeWriteLastsWhileThePeerTakesEnough(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		takes   int // each 50 s
		stalled bool
	}{
		"enough":     {takes: smallCopy + 1},
		"too little": {takes: smallCopy / 2, stalled: true},
		"nothing":    {stalled: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ours, peer := net.Pipe()
				defer func() { _ = ours.Close() }()
				go func() {
					defer func() { _ = peer.Close() }()
					for err := error(nil); err == nil; {
						select {
						case <-time.After(50 * time.Second):
							_, err = io.ReadFull(peer, make([]byte, tc.takes))
						case <-t.Context().Done():
							return
						}
					}
				}()
				start := time.Now()

				n, err := (&watchedConn{Conn: ours, idle: time.Minute}).Write(make([]byte, 4*tc.takes+smallCopy))

				if tc.stalled {
					if n != tc.takes || !errors.Is(err, ErrStalled) || time.Since(start) != time.Minute {
						t.Errorf("wrote %d, %v after %v; want %d and ErrStalled after a minute", n, err, time.Since(start), tc.takes)
					}
				} else if n != 4*tc.takes+smallCopy || err != nil {
					t.Errorf("wrote %d, %v; want all", n, err)
				}
			})
		})
	}
}

// asked notes how much it was asked for at once.
type asked struct{ most int }

func (a *asked) Read(p []byte) (int, error) {
	a.most = max(a.most, len(p))
	return 0, io.EOF
}

func TestFewLargeBodiesHaveALargeBuffer(t *testing.T) { //nolint:paralleltest // it takes all of the process
	send := func(size int64) int {
		var body asked
		if _, err := (&watchedConn{}).ReadFrom(io.LimitReader(&body, size)); err != nil {
			t.Fatalf("send %d bytes: %v", size, err)
		}
		return body.most
	}
	if got := send(largeBody - 1); got != smallCopy {
		t.Errorf("a small body is read by %d bytes, want %d", got, smallCopy)
	}
	if got := send(largeBody); got != largeCopy {
		t.Errorf("a large body is read by %d bytes, want %d", got, largeCopy)
	}
	for range mostLarge {
		largeOnes <- struct{}{}
	}
	defer func() {
		for range mostLarge {
			<-largeOnes
		}
	}()
	if got := send(largeBody); got != smallCopy {
		t.Errorf("one large body too many is read by %d bytes, want %d", got, smallCopy)
	}
}
