package nextcloudtest

import (
	"strings"
	"sync"
	"time"
)

// throttle counts wrong passwords by address, as the brute-force protection
// does: a right one only makes up for those of the same login.
type throttle struct {
	mu      sync.Mutex
	limit   int
	pause   time.Duration
	tries   map[string]map[string]int // by address and login
	blocked map[string]time.Time      // until when, by address
}

func (t *throttle) reset(limit int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.limit, t.tries, t.blocked = limit, nil, nil
}

func (t *throttle) holds(addr string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.limit > 0 && time.Now().Before(t.blocked[addr])
}

func (t *throttle) count(addr, login string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.tries == nil {
		t.tries, t.blocked = make(map[string]map[string]int), make(map[string]time.Time)
	}
	if t.tries[addr] == nil {
		t.tries[addr] = make(map[string]int)
	}
	t.tries[addr][strings.ToLower(login)]++
	if t.limit > 0 && t.total(addr) >= t.limit {
		t.blocked[addr] = time.Now().Add(t.pause)
	}
}

func (t *throttle) forgive(addr, login string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if tries := t.tries[addr]; len(tries) > 0 {
		delete(tries, strings.ToLower(login))
	}
}

// total expects the lock to be held.
func (t *throttle) total(addr string) int {
	n := 0
	for _, k := range t.tries[addr] {
		n += k
	}
	return n
}

// delay is what the server says of an address in its capabilities, in ms.
func (t *throttle) delay(addr string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.total(addr)
	if n == 0 {
		return 0
	}
	return min(25_000, 200<<min(n-1, 16))
}
