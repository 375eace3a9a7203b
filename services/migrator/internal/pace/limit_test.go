package pace_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"example.org/ncm/services/migrator/internal/pace"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server serves so many at once, each in its service time after a latency in which
// nobody is in the way.
type server struct {
	at      int // how many it serves at once
	workers chan struct{}
	latency time.Duration
	service time.Duration
}

func (s *server) serve() {
	time.Sleep(s.latency) //nolint:forbidigo // the bubble's clock
	s.workers <- struct{}{}
	time.Sleep(s.service) //nolint:forbidigo // the bubble's clock
	<-s.workers
}

// load lets so many ask the server as often as the limit admits, for a while of the
// bubble's clock, and gives how often it served a second, at last.
func load(t *testing.T, l *pace.Limit, clients int, s *server, lasting time.Duration) (rate float64) {
	t.Helper()
	s.workers = make(chan struct{}, s.at) // of the bubble
	ctx, cancel := context.WithTimeout(t.Context(), lasting)
	defer cancel()
	var mu sync.Mutex
	served := 0
	began := time.Now()
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for l.Acquire(ctx) == nil {
				started := time.Now()
				s.serve()
				l.Release(time.Since(started))
				mu.Lock()
				if time.Since(began) > lasting/2 {
					served++
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return float64(served) / (lasting / 2).Seconds()
}

func TestALimitGrowsAsLongAsThatBringsMore(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		server      server
		most        int
		from, to    int
		rate        float64 // served a second, at least
		withClients int
	}{
		"waiting alone":              {server{at: 1000, latency: 40 * time.Millisecond, service: time.Millisecond}, 64, 60, 64, 1400, 64},
		"a Nextcloud on two cores":   {server{at: 2, latency: 0, service: 60 * time.Millisecond}, 64, 2, 8, 30, 64},
		"a Cozy on two cores":        {server{at: 1, latency: 2 * time.Millisecond, service: 20 * time.Millisecond}, 64, 1, 8, 45, 64},
		"waiting and twenty of them": {server{at: 20, latency: 80 * time.Millisecond, service: 20 * time.Millisecond}, 256, 50, 200, 500, 256},
		"few who want":               {server{at: 1000, latency: 40 * time.Millisecond, service: 0}, 64, 4, 8, 70, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := pace.New(c.most)
				rate := load(t, l, c.withClients, &c.server, 20*time.Second)
				limit, used := l.Now()
				t.Logf("limit %d, %.0f served a second", limit, rate)
				if limit < c.from || limit > c.to || rate < c.rate || used != 0 {
					t.Errorf("limit %d, want %d to %d; %.0f a second, want %.0f; %d places in use", limit, c.from, c.to, rate, c.rate, used)
				}
			})
		})
	}
}

func TestABusyServerIsAskedHalfAsMuch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := pace.New(64)
		load(t, l, 64, &server{at: 1000, latency: 40 * time.Millisecond, service: 0}, 10*time.Second)
		before, _ := l.Now()
		for range 10 { // those who hear it at once count once
			l.Busy()
		}
		if after, _ := l.Now(); after != before/2 {
			t.Errorf("limit %d after %d", after, before)
		}
		for range 10 {
			time.Sleep(2 * time.Second) //nolint:forbidigo // the bubble's clock
			l.Busy()
			l.Busy()
		}
		if least, _ := l.Now(); least != 1 {
			t.Errorf("limit %d of a server that is always busy", least)
		}
		load(t, l, 64, &server{at: 1000, latency: 40 * time.Millisecond, service: 0}, 30*time.Second)
		if again, _ := l.Now(); again < before/2 {
			t.Errorf("limit %d, never grown again", again)
		}
	})
}

// watch loads a server for so long and gives the least limit of that time, and the
// last one.
func watch(t *testing.T, l *pace.Limit, s *server, lasting time.Duration) (least, last int) {
	t.Helper()
	least, _ = l.Now()
	seconds := time.NewTicker(time.Second)
	defer seconds.Stop()
	over := make(chan struct{})
	var looking sync.WaitGroup
	looking.Go(func() {
		for {
			select {
			case <-seconds.C:
				now, _ := l.Now()
				least = min(least, now)
			case <-over:
				return
			}
		}
	})
	load(t, l, 64, s, lasting)
	close(over)
	looking.Wait()
	last, _ = l.Now()
	return least, last
}

func TestAServerThatBecomesSlowerIsAskedLess(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		server   *server
		from, to int // where the limit is found after a minute
	}{
		"because others use it":    {&server{at: 2, latency: 40 * time.Millisecond, service: 20 * time.Millisecond}, 8, 16},
		"but as quick for as many": {&server{at: 1000, latency: 400 * time.Millisecond}, 50, 64},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l, quick := pace.New(64), &server{at: 1000, latency: 40 * time.Millisecond}
				if _, limit := watch(t, l, quick, 10*time.Second); limit != 64 {
					t.Fatalf("limit %d of a quick server", limit)
				}
				least, limit := watch(t, l, c.server, time.Minute)
				t.Logf("limit %d, %d at least", limit, least)
				if least < 8 || least > 16 || limit < c.from || limit > c.to {
					t.Errorf("limit %d, want %d to %d; %d at least, want 8 to 16", limit, c.from, c.to, least)
				}
				if _, limit := watch(t, l, quick, 2*time.Minute); limit < 50 {
					t.Errorf("limit %d two minutes after it is quick again", limit)
				}
			})
		})
	}
}

func TestPlacesAreGivenInOrderAndBackWhenNobodyWaitsAnyMore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := pace.New(1)
		if err := l.Acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
		gone, leave := context.WithCancelCause(t.Context())
		left := errors.New("left")
		var order []int
		var all sync.WaitGroup
		all.Go(func() {
			if err := l.Acquire(gone); !errors.Is(err, left) {
				t.Errorf("got %v", err)
			}
		})
		synctest.Wait()
		for i := range 3 {
			all.Go(func() {
				if err := l.Acquire(t.Context()); err == nil {
					order = append(order, i)
					l.Release(0)
				}
			})
			synctest.Wait()
		}
		leave(left)
		synctest.Wait()
		l.Release(0)
		all.Wait()
		if len(order) != 3 || order[0] != 0 || order[1] != 1 || order[2] != 2 {
			t.Errorf("order %v", order)
		}
		if _, used := l.Now(); used != 0 {
			t.Errorf("%d places in use", used)
		}
	})
}

func TestAServerHasOneLimit(t *testing.T) {
	t.Parallel()
	s := pace.NewServers(8)
	if first, again := s.Limit("a"), s.Limit("a"); first != again || first == s.Limit("b") {
		t.Error("limits are not by server")
	}
	if err := s.Limit("a").Acquire(t.Context()); err != nil {
		t.Fatal(err)
	}
	a := s.Limit("a")
	for i := range 5000 {
		s.Limit(string(rune('c' + i)))
	}
	if s.Limit("a") != a {
		t.Error("a limit in use was forgotten")
	}
	if limit, used := s.Now(); limit != 8 || used != 1 {
		t.Errorf("limits of servers with work: %d, places in use %d", limit, used)
	}
	a.Release(0)
}
