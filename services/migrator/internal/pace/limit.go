package pace

import (
	"context"
	"sync"
	"time"
)

const (
	// first is the limit that a server starts with, and has at least unless it says that
	// it is busy: a Cozy needs 4 to 8 to be at its best, and a Nextcloud on two cores is
	// as quick with 16 as with 2. Doubled at first, it reaches a hundred within a few
	// stretches.
	first = 8
	least = 1
	// stretch is the shortest time that a limit is kept, and roundsPerStretch how
	// often each place is used in it at least, so that a rate means something.
	stretch          = 250 * time.Millisecond
	roundsPerStretch = 2
	// worth is how much of the growth of the limit has to be found again in the
	// rate: with nothing but waiting it would be all of it.
	worth = 0.5
	// patience is after how many stretches a higher limit is tried again. It doubles
	// with each try that brought nothing.
	patience     = 4
	mostPatience = 256
	// slower is how many times its best the time of one request may grow while the
	// limit does not.
	slower = 3
	// relief is what a server gets after it said that it was busy, before it is
	// heard again.
	relief = time.Second
)

// Limit is how many pieces of work one server may have at once. Safe for concurrent
// use.
type Limit struct {
	most int

	mu      sync.Mutex
	limit   int
	used    int
	waiting []chan struct{} // in order; closed when a place is theirs

	now stretchOfWork

	tried    tried         // the limit before, while a higher one is tried
	doubling bool          // nothing was ever taken back
	rest     int           // stretches until a higher limit is tried again
	patience int           // what rest begins with
	best     time.Duration // the shortest mean time of a stretch since the limit was raised or halved
	busy     int           // how many more answers said that it was busy than served, lately
	halved   time.Time     // when that was heard last
}

// stretchOfWork is what happened under one limit.
type stretchOfWork struct {
	began time.Time
	warm  int // pieces of work that are still of the limit before
	done  int
	took  time.Duration // of all that is done together
	full  bool          // all places were taken
}

// tried is what was before a higher limit.
type tried struct {
	limit int
	rate  float64 // pieces of work a second, by Little's law
	best  time.Duration
}

// New makes a limit that grows up to most, at least 1.
func New(most int) *Limit {
	return &Limit{most: max(most, least), limit: min(first, max(most, least)), doubling: true, patience: patience}
}

// Acquire waits for a place. It fails only with the cause of ctx.
func (l *Limit) Acquire(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	l.mu.Lock()
	if l.used < l.limit && len(l.waiting) == 0 {
		l.used++
		l.now.full = l.now.full || l.used == l.limit
		l.mu.Unlock()
		return nil
	}
	l.now.full = true
	mine := make(chan struct{})
	l.waiting = append(l.waiting, mine)
	l.mu.Unlock()
	select {
	case <-mine:
		return nil
	case <-ctx.Done():
		l.leave(mine)
		return context.Cause(ctx)
	}
}

// leave gives up waiting, or the place that was given meanwhile.
func (l *Limit) leave(mine chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, w := range l.waiting {
		if w == mine {
			l.waiting = append(l.waiting[:i], l.waiting[i+1:]...)
			return
		}
	}
	l.used--
	l.admit()
}

// Release gives a place back. took is how long the server needed for work that can
// be compared with other work, 0 where that can't be said.
func (l *Limit) Release(took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.used--
	if took > 0 {
		l.busy = max(0, l.busy-1)
	}
	switch {
	case took <= 0:
	case l.now.warm > 0:
		if l.now.warm--; l.now.warm == 0 {
			l.now.began = time.Now()
		}
	default:
		l.now.done++
		l.now.took += took
		l.judge(time.Now())
	}
	l.admit()
}

// Busy notes that the server said it has too much to do. Said once, it may be about
// a single file; said more often than files are served, it is about the server.
func (l *Limit) Busy() {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	l.busy++
	if l.busy < 2 || now.Sub(l.halved) < relief {
		return
	}
	l.halved = now
	l.busy = 0
	l.set(l.limit / 2)
	l.best = 0
	l.tried, l.doubling, l.rest = tried{}, false, l.patience
}

// admit gives free places to those who wait.
func (l *Limit) admit() {
	for l.used < l.limit && len(l.waiting) > 0 {
		close(l.waiting[0])
		l.waiting = l.waiting[1:]
		l.used++
	}
}

// judge ends a stretch that is long enough, and draws its lesson.
func (l *Limit) judge(now time.Time) {
	if l.now.began.IsZero() { // the first piece of work is where the stretch begins
		l.now = stretchOfWork{began: now, full: l.now.full}
		return
	}
	if now.Sub(l.now.began) < stretch || l.now.done < roundsPerStretch*l.limit {
		return
	}
	mean := l.now.took / time.Duration(l.now.done)
	// What the server would do with all places taken. What was done in the stretch
	// says less: another server may have been the slower one.
	rate := float64(l.limit) / mean.Seconds()
	if l.best == 0 || mean < l.best {
		l.best = mean
	}
	full := l.now.full
	l.now = stretchOfWork{began: now}
	if full {
		l.learn(rate, mean)
	}
}

// learn compares a stretch in which all places were wanted with the one before.
func (l *Limit) learn(rate float64, mean time.Duration) {
	switch before := l.tried; {
	case before.limit > 0 && rate < before.rate*(1+worth*l.growth()):
		// More at once did not bring more a second.
		l.set(before.limit)
		l.best = before.best
		l.settle()
	case before.limit > 0:
		l.patience = patience
		l.raise(rate)
	case mean > slower*l.best && l.limit > first:
		// It became slower under the same number: somebody else wants it too.
		l.set(max(first, l.limit*3/4))
		l.doubling, l.rest = false, max(l.rest, patience)
	case l.rest > 0:
		l.rest--
	default:
		l.raise(rate)
	}
}

// growth is by how much the limit was raised, as a part of what it was.
func (l *Limit) growth() float64 {
	return float64(l.limit-l.tried.limit) / float64(l.tried.limit)
}

// raise tries a higher limit.
func (l *Limit) raise(rate float64) {
	if l.limit == l.most {
		l.tried = tried{}
		return
	}
	l.tried = tried{l.limit, rate, l.best}
	l.best = 0
	if l.doubling {
		l.set(2 * l.limit)
	} else {
		l.set(l.limit + max(1, l.limit/4))
	}
}

// settle keeps the limit for a while.
func (l *Limit) settle() {
	l.tried, l.doubling = tried{}, false
	l.rest, l.patience = l.patience, min(2*l.patience, mostPatience)
}

// set begins a new stretch if the limit changes, once what was begun under the old
// one is over.
func (l *Limit) set(n int) {
	n = min(max(n, least), l.most)
	if n != l.limit {
		l.limit, l.now = n, stretchOfWork{warm: l.used}
	}
}

// Now is how many pieces of work the server may have, and has.
func (l *Limit) Now() (limit, used int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.limit, l.used
}

// Most is up to which limit it may grow.
func (l *Limit) Most() int { return l.most }

// idle says that nobody has or wants a place.
func (l *Limit) idle() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.used == 0 && len(l.waiting) == 0
}
