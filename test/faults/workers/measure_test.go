package workers_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.org/ncm/test/rig"
)

// inFull chooses between what a run in CI takes and what a full one does.
func inFull[T any](ci, whole T) T {
	if rig.Full() {
		return whole
	}
	return ci
}

// seeded gives random numbers that FAULTS_SEED repeats.
func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if given := os.Getenv("FAULTS_SEED"); given != "" {
		parsed, err := strconv.ParseUint(given, 10, 64)
		if err != nil {
			t.Fatalf("read FAULTS_SEED: %v", err)
		}
		seed = parsed
	}
	t.Logf("FAULTS_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// between waits for a random time; the moment of a fault is what is random here,
// not a condition that could be waited for.
func between(random *rand.Rand, least, most time.Duration) {
	<-time.After(least + time.Duration(random.Int64N(int64(most-least))))
}

// measured tells a number for the documentation.
func measured(t *testing.T, format string, args ...any) {
	t.Helper()
	t.Logf("measured: "+format, args...)
}

// median is what promises about time are held against: the worst of few is the
// machine's.
func median[T cmp.Ordered](all []T) T { return slices.Sorted(slices.Values(all))[len(all)/2] }

// spread tells the median and the worst of what was measured.
func spread(all []time.Duration) string {
	return fmt.Sprintf("median %v, worst %v of %d",
		median(all).Round(time.Millisecond), slices.Max(all).Round(time.Millisecond), len(all))
}

// listed joins numbers, with their sum last.
func listed(numbers []int64) string {
	var out []string
	sum := int64(0)
	for _, n := range numbers {
		out = append(out, strconv.FormatInt(n, 10))
		sum += n
	}
	return strings.Join(out, " ") + ", together " + strconv.FormatInt(sum, 10)
}
