package cozytest

import (
	"sync"
	"sync/atomic"
)

// Names of what is counted besides the routes.
const (
	routeUnknown         = "unknown route"
	routeUnknownInstance = "unknown instance"
	routeBlocked         = "blocked instance"
	routeAdminToken      = "POST /instances/token"
	routeClouderyToken   = "POST /api/public/instances/:fqdn/token"
)

// counters counts answers by route and status.
type counters struct{ byKey sync.Map } // counterKey -> *atomic.Int64

type counterKey struct {
	route  string
	status int
}

func (c *counters) add(route string, status int) {
	key := counterKey{route, status}
	known, ok := c.byKey.Load(key)
	if !ok {
		known, _ = c.byKey.LoadOrStore(key, new(atomic.Int64))
	}
	if n, ok := known.(*atomic.Int64); ok {
		n.Add(1)
	}
}

func (c *counters) each(visit func(counterKey, int64)) {
	c.byKey.Range(func(key, value any) bool {
		k, _ := key.(counterKey)
		if n, ok := value.(*atomic.Int64); ok {
			visit(k, n.Load())
		}
		return true
	})
}

// Stats returns how often each route answered with each status. Routes are
// named as in "POST /files/:id". Requests that a fault answered are not in it.
func (s *Stack) Stats() map[string]map[int]int64 {
	all := make(map[string]map[int]int64)
	s.stats.each(func(key counterKey, n int64) {
		if all[key.route] == nil {
			all[key.route] = make(map[int]int64)
		}
		all[key.route][key.status] += n
	})
	return all
}

// Count returns how many requests of a route were answered, whatever the
// status.
func (s *Stack) Count(route string) int64 {
	var total int64
	s.stats.each(func(key counterKey, n int64) {
		if key.route == route {
			total += n
		}
	})
	return total
}

// ResetStats starts counting anew.
func (s *Stack) ResetStats() { s.stats.byKey.Clear() }
