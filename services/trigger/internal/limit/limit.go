// Package limit bounds how often logins are checked, for each instance and for
// each login at each Nextcloud.
//
// The counts are those of one process: several triggers together let through as
// many times more. They are for slowing down who tries out passwords and for
// keeping our address in the good books of Nextclouds, where a factor does not
// matter, and sharing them would give the trigger a state.
package limit

import (
	"container/list"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// maxKeys is how many buckets of each kind are kept. The ones not used for
// longest are forgotten first, which is to say filled up: to get there by asking
// takes more instances than one user has.
const maxKeys = 20_000

// Rate is how often something may happen.
type Rate struct {
	Burst int           // at once
	Every time.Duration // one more after this time
}

// Logins limits checks of logins. It is safe for concurrent use.
type Logins struct {
	mu        sync.Mutex
	instances buckets
	logins    buckets
}

// New returns limits; both rates have to be positive.
func New(instance, login Rate) *Logins {
	return &Logins{instances: newBuckets(instance), logins: newBuckets(login)}
}

// Take implements request.Limits. What is refused by one limit is not counted by
// the other.
func (l *Logins) Take(instance, address, login string) time.Duration {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	first := l.instances.of(instance).ReserveN(now, 1)
	second := l.logins.of(keyOf(address, login)).ReserveN(now, 1)
	wait := max(first.DelayFrom(now), second.DelayFrom(now))
	if wait > 0 {
		first.CancelAt(now)
		second.CancelAt(now)
	}
	return wait
}

// keyOf is the same for all spellings of an address and a login that a
// Nextcloud takes for the same.
func keyOf(address, login string) string {
	host := address
	if u, err := url.Parse(address); err == nil && u.Host != "" {
		host = u.Hostname()
	}
	return strings.TrimSuffix(strings.ToLower(host), ".") + "\x00" + strings.ToLower(login)
}

// buckets holds the token buckets of keys, as many as fit.
type buckets struct {
	rate  Rate
	byKey map[string]*list.Element
	used  *list.List // of *bucket, the latest in front
}

type bucket struct {
	key     string
	limiter *rate.Limiter
}

func newBuckets(r Rate) buckets {
	return buckets{rate: r, byKey: map[string]*list.Element{}, used: list.New()}
}

func (b *buckets) of(key string) *rate.Limiter {
	if known, ok := b.byKey[key]; ok {
		b.used.MoveToFront(known)
		return known.Value.(*bucket).limiter
	}
	if b.used.Len() >= maxKeys {
		oldest := b.used.Back()
		delete(b.byKey, b.used.Remove(oldest).(*bucket).key)
	}
	added := &bucket{key: key, limiter: rate.NewLimiter(rate.Every(b.rate.Every), b.rate.Burst)}
	b.byKey[key] = b.used.PushFront(added)
	return added.limiter
}
