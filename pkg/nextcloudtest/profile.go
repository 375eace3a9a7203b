package nextcloudtest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/time/rate"
)

// Profile is what requests cost on the simulated machine.
type Profile struct {
	// Workers is how many requests are served at once, like PHP's workers; the
	// others wait. 0 means no limit.
	Workers int
	// Service is the time that each request holds its worker before it answers.
	Service time.Duration
	// PasswordCheck comes on top for a login with the login password.
	PasswordCheck time.Duration
	// Member comes on top for each file in an archive, before it is sent.
	Member time.Duration
	// Entry comes on top for each entry of a listing. The listing is prepared whole
	// before its first byte is sent.
	Entry time.Duration
	// BytesPerSecond is shared by the contents of all files that are sent by
	// themselves. 0 means no limit.
	BytesPerSecond int64
}

// profiles are measured on real servers that had two cores.
var profiles = map[string]Profile{
	// Nextcloud 32 with php-fpm, opcache and Redis: 16 small files a second one by
	// one and 32 at most, 270 in an archive, 14,000 entries listed a second.
	"nextcloud32": {
		Workers:        2,
		Service:        60 * time.Millisecond,
		PasswordCheck:  395 * time.Millisecond,
		Member:         3700 * time.Microsecond,
		Entry:          65 * time.Microsecond,
		BytesPerSecond: 278_000_000,
	},
}

// ProfileNamed gives a recorded profile; the empty name is that of no costs.
func ProfileNamed(name string) (Profile, error) {
	p, ok := profiles[name]
	if !ok && name != "" {
		return p, fmt.Errorf("unknown profile %q of a Nextcloud; there are %s", name, strings.Join(slices.Sorted(maps.Keys(profiles)), ", "))
	}
	return p, nil
}

// acquire takes a worker and spends the service time. It is false when the
// client left meanwhile; release frees the worker.
func (s *Server) acquire(r *http.Request) (release func(), ok bool) {
	release = func() {}
	if s.gate != nil {
		select {
		case s.gate <- struct{}{}:
			release = func() { <-s.gate }
		case <-r.Context().Done():
			return release, false
		}
	}
	cost := s.cfg.Profile.Service
	if s.cfg.Profile.PasswordCheck > 0 && !s.accounts.isToken(r) {
		cost += s.cfg.Profile.PasswordCheck
	}
	if !pause(r, cost) {
		release()
		return func() {}, false
	}
	return release, true
}

// isToken says whether a request logs in with an app password.
func (as *accounts) isToken(r *http.Request) bool {
	_, password, _ := credentials(r)
	as.mu.RLock()
	defer as.mu.RUnlock()
	_, ok := as.tokens[password]
	return ok
}

// pause waits; it is false when the client left first.
func pause(r *http.Request, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-r.Context().Done():
		return false
	}
}

// clock spends costs one after the other. A pause that took too long is made up
// for, so that many short ones keep their rate.
type clock struct {
	request *http.Request
	until   time.Time
}

func startClock(r *http.Request) clock { return clock{r, time.Now()} }

func (c *clock) spend(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	c.until = c.until.Add(d)
	return pause(c.request, time.Until(c.until))
}

// prepared writes a listing to memory, and spends the time that its entries cost.
// The function that it gives sends it, or as much of it as there was before an error.
func (s *Server) prepared(r *http.Request, write func(io.Writer) error) func(io.Writer) error {
	spending := startClock(r)
	var text bytes.Buffer
	err := write(&text)
	entries := bytes.Count(text.Bytes(), []byte("<d:response>"))
	spending.spend(time.Duration(entries) * s.cfg.Profile.Entry)
	return func(out io.Writer) error {
		_, sendErr := text.WriteTo(out)
		return errors.Join(err, sendErr)
	}
}

// newBandwidth gives nil where there is no limit.
func newBandwidth(bytesPerSecond int64) *rate.Limiter {
	if bytesPerSecond <= 0 {
		return nil
	}
	return rate.NewLimiter(rate.Limit(bytesPerSecond), max(copySize, int(bytesPerSecond/burstsPerSecond)))
}

const (
	copySize = 32 << 10
	// burstsPerSecond leaves room for the delays of a busy machine.
	burstsPerSecond = 50
)

// paced is content at the server's bandwidth.
func (s *Server) paced(r *http.Request, content io.Reader) io.Reader {
	if s.bandwidth == nil {
		return content
	}
	return &pacedReader{r, content, s.bandwidth}
}

type pacedReader struct {
	request *http.Request
	content io.Reader
	limit   *rate.Limiter
}

func (p *pacedReader) Read(b []byte) (int, error) {
	n, err := p.content.Read(b[:min(len(b), copySize)])
	if n > 0 {
		if waitErr := p.limit.WaitN(p.request.Context(), n); waitErr != nil {
			return n, waitErr
		}
	}
	return n, err
}
