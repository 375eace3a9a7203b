package storm_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// timeline is what the storm did, and when.
type timeline struct {
	began time.Time

	mu    sync.Mutex
	lines []string
	kinds map[string]int
}

func newTimeline() *timeline { return &timeline{began: time.Now(), kinds: make(map[string]int)} }

func (l *timeline) note(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	line := fmt.Sprintf("%s %6.1fs  %s", now.UTC().Format("15:04:05.000"), now.Sub(l.began).Seconds(), fmt.Sprintf(format, args...))
	l.lines = append(l.lines, line)
}

func (l *timeline) count(kind string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kinds[kind]++
}

// String lists everything, one line each.
func (l *timeline) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "\n")
}

// faults says how many there were, and how many of each kind.
func (l *timeline) faults() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	sum, kinds := 0, []string{}
	for kind, n := range l.kinds {
		sum += n
		kinds = append(kinds, fmt.Sprintf("%s %d", kind, n))
	}
	slices.Sort(kinds)
	return fmt.Sprintf("%d faults (%s)", sum, strings.Join(kinds, ", "))
}

// maxLines of the merged logs are printed.
const maxLines = 400

// relevant merges what the processes wrote about slices and what went wrong, in
// the order of time.
func relevant(migrators []*migrator) string {
	type line struct{ at, text string }
	var all []line
	for _, m := range migrators {
		at := ""
		for text := range strings.Lines(m.log.String()) {
			var record struct {
				Time  string `json:"time"`
				Level string `json:"level"`
				Msg   string `json:"msg"`
			}
			if json.Unmarshal([]byte(text), &record) != nil {
				all = append(all, line{at, m.name + "  " + text}) // a panic: it belongs to the line before
				continue
			}
			at = record.Time
			if record.Level == "WARN" || record.Level == "ERROR" || strings.HasPrefix(record.Msg, "slice ") {
				all = append(all, line{at, m.name + "  " + text})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b line) int { return cmp.Compare(a.at, b.at) })
	var out strings.Builder
	for _, l := range all[max(0, len(all)-maxLines):] {
		out.WriteString(l.text)
	}
	return out.String()
}

// takeovers counts the slices that a process began because a holder had vanished.
func takeovers(migrators []*migrator) int {
	n := 0
	for _, m := range migrators {
		for _, line := range m.log.All("slice started") {
			if line["taken_over"] == true {
				n++
			}
		}
	}
	return n
}
