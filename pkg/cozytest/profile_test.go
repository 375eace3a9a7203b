package cozytest_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"example.org/ncm/pkg/cozytest"
)

// withCosts is an instance with the costs of the recorded stack.
func withCosts(t *testing.T) *testBundle {
	t.Helper()
	p, err := cozytest.ProfileNamed("cozy-stack")
	if err != nil {
		t.Fatal(err)
	}
	return setup(t, cozytest.Config{Profile: p}, cozytest.InstanceOptions{})
}

// create makes entries, so many at once, and gives how many it made a second.
func (b *testBundle) create(kind string, count, atOnce int, body string) float64 {
	b.t.Helper()
	places := make(chan struct{}, atOnce)
	start := time.Now()
	var all sync.WaitGroup
	for i := range count {
		all.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			target := fmt.Sprintf("%s?Type=%s&Name=%s-%d-%d", inRoot, kind, kind, atOnce, i)
			got, err := b.send(b.request(b.t.Context(), http.MethodPost, target, strings.NewReader(body)))
			if err != nil || got.StatusCode != http.StatusCreated {
				b.t.Errorf("%s: %v %s", target, err, got.body)
			}
		})
	}
	all.Wait()
	return float64(count) / time.Since(start).Seconds()
}

// Rates are held to what the recorded stack takes at most, with room for what it takes
// at once. How much slower they are is this machine's business.
func TestRecordedCosts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		kind          string
		count, atOnce int
		size          int
		most          float64 // a second
	}{
		"uploads one by one": {"file", 10, 1, 10, 1 / 0.022},
		"uploads at once":    {"file", 40, 16, 10, 60},
		"directories":        {"directory", 40, 16, 0, 80},
		"bytes":              {"file", 1, 1, 64_000_000, 1 / 0.13},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rate := withCosts(t).create(c.kind, c.count, c.atOnce, strings.Repeat("x", c.size))
			t.Logf("%.1f a second, at most %.1f", rate, c.most)
			if rate > 1.05*c.most {
				t.Errorf("%.1f a second, at most %.1f", rate, c.most)
			}
		})
	}
}

func TestProfilesAreNamed(t *testing.T) {
	t.Parallel()
	if p, err := cozytest.ProfileNamed(""); err != nil || p != (cozytest.Profile{}) {
		t.Errorf("no name: %+v, %v", p, err)
	}
	if _, err := cozytest.ProfileNamed("twake"); err == nil {
		t.Error("an unknown profile was found")
	}
}
