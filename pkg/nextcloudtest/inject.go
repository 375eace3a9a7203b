package nextcloudtest

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Injected is a fault at work.
type Injected struct {
	fault  Fault
	faults *faults
	skip   int
	left   int // -1: for ever
	hits   atomic.Int64
}

// Hits counts the requests that were spoiled.
func (i *Injected) Hits() int { return int(i.hits.Load()) }

// Remove ends the fault for requests that are still to come.
func (i *Injected) Remove() {
	i.faults.mu.Lock()
	defer i.faults.mu.Unlock()
	i.faults.active = slices.DeleteFunc(i.faults.active, func(x *Injected) bool { return x == i })
	i.faults.count.Store(int64(len(i.faults.active)))
}

type faults struct {
	count  atomic.Int64 // of active, to be read without the lock
	mu     sync.Mutex
	active []*Injected
}

// Inject orders a fault. It acts on requests that arrive from now on.
func (s *Server) Inject(f Fault) *Injected {
	i := &Injected{fault: f, faults: &s.faults, skip: f.Skip, left: f.Times}
	if i.left == 0 {
		i.left = 1
	}
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.active = append(s.faults.active, i)
	s.faults.count.Store(int64(len(s.faults.active)))
	return i
}

// ClearFaults ends all faults.
func (s *Server) ClearFaults() {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.active = nil
	s.faults.count.Store(0)
}

func (fs *faults) none() bool { return fs.count.Load() == 0 }

// take uses up what matches a request: all delays, and at most one fault that
// changes the answer.
func (fs *faults) take(r *http.Request, path string) (delay time.Duration, bandwidth int64, answer *Fault) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	kept := fs.active[:0]
	for _, i := range fs.active {
		f := &i.fault
		if !f.matches(r, path) || (answer != nil && f.answers()) || i.skipOne() {
			kept = append(kept, i)
			continue
		}
		i.hits.Add(1)
		delay += f.Delay
		bandwidth = max(bandwidth, f.Bandwidth)
		if f.answers() {
			answer = f
		}
		if i.left > 0 {
			i.left--
		}
		if i.left != 0 {
			kept = append(kept, i)
		}
	}
	clear(fs.active[len(kept):])
	fs.active = kept
	fs.count.Store(int64(len(kept)))
	return delay, bandwidth, answer
}

func (i *Injected) skipOne() bool {
	if i.skip == 0 {
		return false
	}
	i.skip--
	return true
}

// serveWithFaults is route with whatever was ordered for the request.
func (s *Server) serveWithFaults(w http.ResponseWriter, r *http.Request) {
	rel, _ := s.relative(r.URL.Path)
	if strings.HasSuffix(r.URL.Path, "/") && rel != "/" {
		rel += "/"
	}
	delay, bandwidth, f := s.faults.take(r, rel)
	if !pause(r, delay) {
		return
	}
	if bandwidth > 0 {
		w = &slowWriter{ResponseWriter: w, r: r, perSecond: bandwidth}
	}
	switch {
	case f == nil:
		s.route(w, r)
	case f.instead():
		if f.AfterEffect {
			s.route(&discardWriter{header: make(http.Header)}, r)
		}
		s.answerInstead(w, r, f)
	default:
		sw := &spoiledWriter{ResponseWriter: w, r: r, fault: f}
		s.route(sw, r)
		sw.finish()
	}
}
