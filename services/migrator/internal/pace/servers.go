package pace

import "sync"

// mostServers is how many limits are kept when nobody uses them: what was learned
// about a server saves trying it out again.
const mostServers = 1000

// Servers are the limits of all servers of one kind. Safe for concurrent use.
type Servers struct {
	most int

	mu     sync.Mutex
	limits map[string]*Limit
}

// NewServers makes limits that grow up to most each.
func NewServers(most int) *Servers { return &Servers{most: most, limits: map[string]*Limit{}} }

// Limit gives that of one server.
func (s *Servers) Limit(name string) *Limit {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.limits[name]
	if l == nil {
		s.forget()
		l = New(s.most)
		s.limits[name] = l
	}
	return l
}

// forget makes room where there are too many.
func (s *Servers) forget() {
	if len(s.limits) < mostServers {
		return
	}
	for name, l := range s.limits {
		if l.idle() {
			delete(s.limits, name)
		}
	}
}

// Now sums over the servers that have work: their limits, and what they have.
func (s *Servers) Now() (limit, used int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.limits {
		if n, u := l.Now(); u > 0 {
			limit, used = limit+n, used+u
		}
	}
	return limit, used
}
