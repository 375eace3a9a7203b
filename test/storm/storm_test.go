package storm_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The sizes of a round. The short one is part of every run of the tests.
func short() size {
	return size{name: "short", files: 500, latency: 120, storm: time.Minute, calm: 4 * time.Minute}
}

func full() size {
	return size{name: "full", files: 2000, latency: 30, storm: 3 * time.Minute, calm: 10 * time.Minute}
}

func TestNothingIsLostOrTwiceInAStorm(t *testing.T) {
	rounds, size := 1, short()
	if n := number(t, "STORM_ROUNDS"); n > 0 {
		rounds, size = int(n), full()
	}
	seed := number(t, "STORM_SEED")
	if seed == 0 {
		seed = 1 + rand.Uint64N(1_000_000)
	}
	t.Logf("seed %d: %d %s rounds, the next round's seed is one more", seed, rounds, size.name)
	s := newSystem(t)
	for n := range rounds {
		oneRound(t, s, seed+uint64(n), size)
		if t.Failed() {
			return
		}
	}
}

func oneRound(t *testing.T, s *system, seed uint64, size size) {
	t.Helper()
	r := newRound(s, seed, size)
	over := false
	defer func() {
		if t.Failed() || !over {
			t.Errorf("again: make storm SEED=%d%s\ntimeline:\n%s\nlogs:\n%s", seed, repeat(size), r.timeline, relevant(r.started))
		}
	}()
	r.run()
	stormed := time.Since(r.timeline.began)
	for _, fault := range r.check() {
		t.Error(fault)
	}
	over = true
	summary := fmt.Sprintf("round of seed %d: %.0f s of storm with %s, %d processes, %d takeovers; %d files compared; %.0f s in all",
		seed, stormed.Seconds(), r.timeline.faults(), len(r.started), takeovers(r.started),
		instances*size.files, time.Since(r.timeline.began).Seconds())
	t.Log(summary)
}

// repeat is what makes the round's size besides its seed.
func repeat(s size) string {
	if s.name == full().name {
		return " ROUNDS=1"
	}
	return ""
}

// number reads a setting; 0 when there is none.
func number(t *testing.T, name string) uint64 {
	t.Helper()
	text := strings.TrimSpace(os.Getenv(name))
	if text == "" {
		return 0
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}
