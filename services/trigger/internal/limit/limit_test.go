package limit_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"example.org/ncm/services/trigger/internal/limit"
)

const cloud = "https://cloud.example/"

// pass lets time go by in a synctest bubble.
func pass(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // no real time
}

func TestAnInstanceMayAskOftenAndThenHasToWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := limit.New(limit.Rate{Burst: 3, Every: 10 * time.Second}, limit.Rate{Burst: 100, Every: time.Second})
		for n := range 3 {
			if wait := l.Take("alice", cloud, fmt.Sprint(n)); wait != 0 {
				t.Fatalf("check %d has to wait %s", n, wait)
			}
		}
		if wait := l.Take("alice", cloud, "x"); wait != 10*time.Second {
			t.Errorf("the fourth waits %s, want 10s", wait)
		}
		if wait := l.Take("bob", cloud, "x"); wait != 0 {
			t.Errorf("another instance waits %s", wait)
		}
		pass(10 * time.Second)
		if wait := l.Take("alice", cloud, "x"); wait != 0 {
			t.Errorf("after the wait it has to wait %s", wait)
		}
	})
}

func TestALoginIsLimitedOverAllInstancesAndSpellings(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := limit.New(limit.Rate{Burst: 100, Every: time.Second}, limit.Rate{Burst: 2, Every: time.Minute})
		l.Take("alice", cloud, "joe")
		l.Take("bob", "https://CLOUD.example.:443/sub/", "Joe")
		if wait := l.Take("carol", cloud, "joe"); wait != time.Minute {
			t.Errorf("the third waits %s, want 1m", wait)
		}
		if wait := l.Take("carol", cloud, "ann"); wait != 0 {
			t.Errorf("another login waits %s", wait)
		}
		if wait := l.Take("carol", "https://other.example/", "joe"); wait != 0 {
			t.Errorf("another server waits %s", wait)
		}
	})
}

func TestWhatOneLimitRefusesTheOtherDoesNotCount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := limit.New(limit.Rate{Burst: 2, Every: time.Hour}, limit.Rate{Burst: 1, Every: time.Hour})
		l.Take("alice", cloud, "joe")
		for range 5 {
			if l.Take("alice", cloud, "joe") == 0 {
				t.Fatal("the login was let through")
			}
		}
		if wait := l.Take("alice", cloud, "ann"); wait != 0 {
			t.Errorf("the instance waits %s for what was refused", wait)
		}
	})
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	l := limit.New(limit.Rate{Burst: 1, Every: time.Hour}, limit.Rate{Burst: 1, Every: time.Hour})
	l.Take("first", cloud, "first")
	for n := range 25_000 {
		l.Take(fmt.Sprint("i", n), cloud, fmt.Sprint("l", n))
	}
	if kept := l.Keys(); kept > 40_000 {
		t.Errorf("%d buckets are kept", kept)
	}
	if wait := l.Take("first", cloud, "first"); wait != 0 {
		t.Errorf("the oldest is still known and waits %s", wait)
	}
	if l.Take("i24999", cloud, "other") == 0 {
		t.Error("the latest is forgotten")
	}
}
