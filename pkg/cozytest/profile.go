package cozytest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/time/rate"
)

// Profile is what requests cost on each instance of a stack.
type Profile struct {
	// Upload is the work of storing a file, Directory that of making one, besides
	// their bytes.
	Upload    time.Duration
	Directory time.Duration
	// Servers is how much of that work is done at once. 0 means no limit.
	Servers float64
	// BytesPerSecond is InstanceOptions.BytesPerSecond where those name none.
	BytesPerSecond int64
}

// profiles are measured on real servers that had two cores.
var profiles = map[string]Profile{
	// 45 small files a second one by one and 55 at most, 50 to 80 directories.
	"cozy-stack": {
		Upload:         22 * time.Millisecond,
		Directory:      18 * time.Millisecond,
		Servers:        1.2,
		BytesPerSecond: 400_000_000,
	},
}

// ProfileNamed gives a recorded profile; the empty name is that of no costs.
func ProfileNamed(name string) (Profile, error) {
	p, ok := profiles[name]
	if !ok && name != "" {
		return p, fmt.Errorf("unknown profile %q of a Cozy stack; there are %s", name, strings.Join(slices.Sorted(maps.Keys(profiles)), ", "))
	}
	return p, nil
}

// servers limits work, counted in microseconds. Nil: no limit.
func (p Profile) servers() *rate.Limiter {
	if p.Servers <= 0 {
		return nil
	}
	most := max(p.Upload, p.Directory, time.Second/burstsPerSecond)
	return rate.NewLimiter(rate.Limit(p.Servers*float64(time.Second/time.Microsecond)), int(2*most.Microseconds()))
}

// spend does a piece of work, as soon as there is a server for it. It ends early when
// the client leaves: the stack goes on with what it has.
func (g *gate) spend(ctx context.Context, work time.Duration) {
	if work <= 0 {
		return
	}
	if g.work != nil {
		_ = g.work.WaitN(ctx, int(work.Microseconds()))
	}
	pause(ctx, work)
}
