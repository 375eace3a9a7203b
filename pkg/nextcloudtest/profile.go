package nextcloudtest

import (
	"net/http"
	"time"
)

// Profile is what a request costs on the simulated machine.
type Profile struct {
	// Workers is how many requests are served at once, like PHP's workers; the
	// others wait. 0 means no limit.
	Workers int
	// Service is the time that each request holds its worker before it answers.
	Service time.Duration
	// PasswordCheck comes on top for a login with the login password.
	PasswordCheck time.Duration
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
