package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// event is a line of `go test -json`, as `go doc test2json` describes it.
type event struct {
	Action     string
	Package    string
	ImportPath string
	Test       string
	Elapsed    float64
	Output     string
}

// report gathers events. Output is kept until the fate of its test is known and
// dropped when it passed.
type report struct {
	out    io.Writer
	tests  map[test]counts // with their subtests; a package's own failure has no name
	output map[string][]string
	bad    bool                // something failed since the last run of go test ended
	skips  map[string][]string // tests by package and reason
	flaky  []test              // failed, and passed when they were run again
}

// test is a top-level test of a package.
type test struct{ pkg, name string }

func (t test) String() string { return strings.TrimSpace(t.pkg + " " + t.name) }

func newReport(out io.Writer) *report {
	return &report{out: out, tests: map[test]counts{}, output: map[string][]string{}, skips: map[string][]string{}}
}

// failed gives the tests that failed, in order.
func (r *report) failed() []test {
	var failed []test
	for t, c := range r.tests {
		if c.failed > 0 {
			failed = append(failed, t)
		}
	}
	slices.SortFunc(failed, func(a, b test) int { return strings.Compare(a.String(), b.String()) })
	return failed
}

func (r *report) sum() counts {
	var sum counts
	for _, c := range r.tests {
		sum.add(c)
	}
	return sum
}

// read prints each package's line as it ends. Lines that are no events, as a
// compiler's message may be, are passed on.
func (r *report) read(in io.Reader) error {
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		if len(bytes.TrimSpace(line)) > 0 {
			r.line(line)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read events: %w", err)
		}
	}
}

func (r *report) line(line []byte) {
	var e event
	if json.Unmarshal(line, &e) != nil || e.Action == "" {
		fmt.Fprint(r.out, string(line))
		return
	}
	switch e.Action {
	case "output", "build-output":
		r.output[e.key()] = append(r.output[e.key()], e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			r.packageEnded(e)
		} else {
			r.testEnded(e)
		}
	case "build-fail":
		r.show(e)
	case "broken":
		r.broken()
	}
}

// broken is told at the end of a run of go test that failed. Without a failure in it
// the run itself is what failed.
func (r *report) broken() {
	if !r.bad {
		r.tests[test{pkg: "a run of go test ended early"}] = counts{failed: 1}
	}
	r.bad = false
}

func (e event) key() string {
	if e.Package == "" {
		return e.ImportPath
	}
	return e.Package + " " + e.Test
}

func (r *report) testEnded(e event) {
	name, _, _ := strings.Cut(e.Test, "/")
	t := test{e.Package, name}
	c := r.tests[t]
	switch e.Action {
	case "pass":
		c.passed++
	case "fail":
		c.failed++
		r.bad = true
		r.show(e)
	case "skip":
		c.skipped++
		why := e.Package + ": " + reason(r.output[e.key()])
		r.skips[why] = append(r.skips[why], e.Test)
	}
	r.tests[t] = c
	delete(r.output, e.key())
}

// packageEnded counts a failure that no test has owned up to. What is left of the
// output then belongs to a crash or a time limit.
func (r *report) packageEnded(e event) {
	r.bad = r.bad || e.Action == "fail"
	blamed := slices.ContainsFunc(r.failed(), func(t test) bool { return t.pkg == e.Package })
	if e.Action == "fail" && !blamed {
		r.tests[test{pkg: e.Package}] = counts{failed: 1}
	}
	for _, key := range r.unfinished(e.Package) {
		if e.Action == "fail" {
			fmt.Fprint(r.out, strings.Join(r.output[key], ""))
		}
		delete(r.output, key)
	}
	if e.Action != "skip" {
		fmt.Fprintf(r.out, "%-4s  %7.2fs  %s\n", e.Action, e.Elapsed, e.Package)
	}
}

func (r *report) unfinished(pkg string) []string {
	var keys []string
	for key := range r.output {
		if strings.HasPrefix(key, pkg+" ") {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

func (r *report) show(e event) {
	fmt.Fprint(r.out, strings.Join(r.output[e.key()], ""))
}

// finish prints what was skipped, a line a reason, what was flaky or failed, and
// last the counts.
func (r *report) finish() bool {
	for _, why := range slices.Sorted(maps.Keys(r.skips)) {
		tests := r.skips[why]
		first := tests[0]
		if len(tests) > 1 {
			first = fmt.Sprintf("%s and %d more", first, len(tests)-1)
		}
		fmt.Fprintf(r.out, "skip  %s (%s)\n", why, first)
	}
	for _, line := range r.remarks() {
		fmt.Fprintln(r.out, line)
	}
	sum := r.sum()
	fmt.Fprintln(r.out, sum)
	return sum.good()
}

// remarks has a line for each test that did not just pass.
func (r *report) remarks() []string {
	var lines []string
	for _, t := range r.flaky {
		lines = append(lines, "flaky "+t.String()+" (failed, then passed when run again)")
	}
	for _, t := range r.failed() {
		lines = append(lines, "FAILED "+t.String())
	}
	return lines
}

// reason is the test's own message: what is left without the frame of `go test` and
// without the line of the source, so that tests with the same reason are seen.
func reason(output []string) string {
	var words []string
	for _, line := range output {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "===") || strings.HasPrefix(line, "---") {
			continue
		}
		if place, message, ok := strings.Cut(line, ": "); ok && strings.Contains(place, ".go:") {
			line = message
		}
		words = append(words, line)
	}
	return strings.Join(words, " ")
}
