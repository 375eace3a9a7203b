package storm_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// draw is one fault of a plan. Every field is drawn for every fault, so that what
// follows does not depend on what a fault makes of them.
type draw struct {
	after  time.Duration // since the fault before
	fault  int           // in the menu
	victim int           // which process, instance and so on, modulo how many there are
	part   float64       // from 0 to 1: how long or how many, between the fault's bounds
}

// between gives the draw's duration within a fault's bounds.
func (d draw) between(least, most time.Duration) time.Duration {
	return least + time.Duration(d.part*float64(most-least)).Round(100*time.Millisecond)
}

// count gives the draw's number within a fault's bounds.
func (d draw) count(least, most int) int { return least + int(d.part*float64(most-least)) }

// plan is an endless list of faults that follows from a seed.
type plan struct {
	random *rand.Rand
	faults int
}

func newPlan(seed uint64, faults int) *plan {
	return &plan{random: rand.New(rand.NewPCG(seed, 0)), faults: faults}
}

func (p *plan) next() draw {
	return draw{
		after:  time.Second + time.Duration(p.random.Int64N(2000))*time.Millisecond,
		fault:  p.random.IntN(p.faults),
		victim: p.random.IntN(1 << 16),
		part:   p.random.Float64(),
	}
}

func TestAPlanFollowsFromItsSeed(t *testing.T) {
	t.Parallel()
	const draws = 200
	list := func(seed uint64) string {
		text, p := "", newPlan(seed, len(menu()))
		for range draws {
			text += fmt.Sprintln(p.next())
		}
		return text
	}
	first := list(7)
	if again := list(7); again != first {
		t.Error("two plans of one seed differ")
	}
	if list(8) == first {
		t.Error("plans of two seeds are equal")
	}
}

func TestAPlanMeetsEveryFaultAndBound(t *testing.T) {
	t.Parallel()
	p, met := newPlan(1, len(menu())), map[int]bool{}
	for range 1000 {
		d := p.next()
		met[d.fault] = true
		if d.after < time.Second || d.after > 3*time.Second {
			t.Fatalf("a fault comes %v after the one before", d.after)
		}
		if pause := d.between(5*time.Second, 25*time.Second); pause < 5*time.Second || pause > 25*time.Second {
			t.Fatalf("a pause of %v was drawn", pause)
		}
	}
	if len(met) != len(menu()) {
		t.Errorf("%d of %d faults were drawn", len(met), len(menu()))
	}
}
