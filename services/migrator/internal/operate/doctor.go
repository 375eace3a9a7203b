package operate

import (
	"context"
	"time"
)

// Verdict of a check.
type Verdict string

// The verdicts. A warning is nothing that stops migrations.
const (
	OK      Verdict = "ok"
	Warning Verdict = "warning"
	Wrong   Verdict = "wrong"
	Skipped Verdict = "skipped"
)

// Finding is what a check found and what an operator can do about it. It holds no
// secret.
type Finding struct {
	Check   string  `json:"check"`
	Verdict Verdict `json:"verdict"`
	Detail  string  `json:"detail"`
	Advice  string  `json:"advice,omitempty"`
}

// Check looks at one thing that the service depends on.
type Check struct {
	Name string
	// Needs names a check before this one; unless that is ok, this one is skipped.
	Needs string
	Run   func(ctx context.Context) Finding
}

// checkTime bounds one check.
const checkTime = 20 * time.Second

// Examine runs the checks one after the other and tells each finding as it comes.
// It gives false when something is wrong.
func Examine(ctx context.Context, checks []Check, tell func(Finding) error) (healthy bool, err error) {
	healthy = true
	good := map[string]bool{"": true}
	for _, c := range checks {
		f := Finding{Verdict: Skipped, Detail: "needs " + c.Needs}
		if good[c.Needs] {
			f = run(ctx, c)
		}
		f.Check = c.Name
		good[c.Name] = f.Verdict == OK || f.Verdict == Warning
		healthy = healthy && f.Verdict != Wrong
		if err := tell(f); err != nil {
			return false, err
		}
	}
	return healthy, nil
}

func run(ctx context.Context, c Check) Finding {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	return c.Run(ctx)
}

// Clocks that differ by more make times in the tracking document misleading: its
// reader takes a running migration for abandoned, or the other way round.
const (
	skewWarning = 5 * time.Second
	skewWrong   = time.Minute
)

// JudgeClock compares this machine's clock with another's. took is how long the
// question was on its way.
func JudgeClock(here, there time.Time, took time.Duration) Finding {
	skew := here.Sub(there).Abs()
	f := Finding{Verdict: OK, Detail: "differs from the database's by " + skew.Round(time.Millisecond).String()}
	switch skew -= took; {
	case skew > skewWrong:
		f.Verdict = Wrong
	case skew > skewWarning:
		f.Verdict = Warning
	default:
		return f
	}
	f.Advice = "set both clocks by NTP; leases go by the database's, times in tracking documents and tokens by this one"
	return f
}
