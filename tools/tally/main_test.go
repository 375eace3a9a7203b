package main

import (
	"path/filepath"
	"strings"
	"testing"
)

func tally(t *testing.T, events string, args ...string) (string, bool) {
	t.Helper()
	var out strings.Builder
	ok, err := run(args, strings.NewReader(events), &out)
	if err != nil {
		t.Fatalf("run %v: %v", args, err)
	}
	return out.String(), ok
}

func lastLine(out string) string {
	lines := strings.Split(strings.TrimSpace(out), "\n")
	return lines[len(lines)-1]
}

func TestEndsWithTheCounts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		events, last string
		ok           bool
	}{
		"all passed": {
			`{"Action":"pass","Package":"p","Test":"A"}
			{"Action":"pass","Package":"p","Test":"A/b"}
			{"Action":"pass","Package":"p","Elapsed":0.1}`, "2 passed, 0 failed", true,
		},
		"a failed test fails its package without counting twice": {
			`{"Action":"fail","Package":"p","Test":"A"}
			{"Action":"fail","Package":"p"}`, "0 passed, 1 failed", false,
		},
		"a package that dies outside of a test counts": {
			`{"Action":"pass","Package":"p","Test":"A"}
			{"Action":"fail","Package":"p"}`, "1 passed, 1 failed", false,
		},
		"a package that does not compile counts": {
			`{"Action":"build-output","ImportPath":"p","Output":"undefined: x\n"}
			{"Action":"build-fail","ImportPath":"p"}
			{"Action":"fail","Package":"p","FailedBuild":"p"}`, "0 passed, 1 failed", false,
		},
		"a run that failed without a test": {
			`{"Action":"fail","Package":"p","Test":"A"}
			{"Action":"broken"}
			{"Action":"pass","Package":"q","Test":"B"}
			{"Action":"broken"}`, "1 passed, 2 failed", false,
		},
		"nothing ran": {``, "0 passed, 0 failed", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, ok := tally(t, c.events)
			if got := lastLine(out); got != c.last || ok != c.ok {
				t.Errorf("ends with %q, ok %v; want %q, %v", got, ok, c.last, c.ok)
			}
		})
	}
}

func TestShowsOutputOfFailuresOnly(t *testing.T) {
	t.Parallel()
	out, _ := tally(t, `{"Action":"output","Package":"p","Test":"A","Output":"chatter\n"}
{"Action":"pass","Package":"p","Test":"A"}
{"Action":"output","Package":"p","Test":"B","Output":"b_test.go:1: got 1, want 2\n"}
{"Action":"fail","Package":"p","Test":"B"}
{"Action":"output","Package":"p","Test":"C","Output":"panic: test timed out\n"}
{"Action":"fail","Package":"p"}
{"Action":"output","Package":"q","Test":"D","Output":"panic: in a goroutine\n"}
{"Action":"fail","Package":"q"}
not an event`)
	for _, want := range []string{"got 1, want 2", "panic: in a goroutine", "not an event"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in:\n%s", want, out)
		}
	}
	if strings.Contains(out, "chatter") {
		t.Errorf("output of a passed test is shown:\n%s", out)
	}
}

func TestSaysOnceWhyTestsWereSkipped(t *testing.T) {
	t.Parallel()
	out, _ := tally(t, `{"Action":"output","Package":"p","Test":"A","Output":"=== RUN   A\n"}
{"Action":"output","Package":"p","Test":"A","Output":"    a_test.go:3: no broker\n"}
{"Action":"output","Package":"p","Test":"A","Output":"--- SKIP: A (0.00s)\n"}
{"Action":"skip","Package":"p","Test":"A"}
{"Action":"output","Package":"p","Test":"B","Output":"    b_test.go:7: no broker\n"}
{"Action":"skip","Package":"p","Test":"B"}
{"Action":"output","Package":"p","Test":"C","Output":"    b_test.go:9: no database\n"}
{"Action":"skip","Package":"p","Test":"C"}`)
	want := "skip  p: no broker (A and 1 more)\nskip  p: no database (C)\n0 passed, 0 failed\n"
	if out != want {
		t.Errorf("got:\n%swant:\n%s", out, want)
	}
}

func TestSumsRuns(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "totals")
	tally(t, `{"Action":"pass","Package":"p","Test":"A"}`, "-totals", file)
	tally(t, `{"Action":"fail","Package":"p","Test":"B"}`, "-totals", file)
	out, ok := tally(t, "", "-sum", file)
	if out != "FAILED p B\n1 passed, 1 failed\n" || ok {
		t.Errorf("sum %q, ok %v", out, ok)
	}
}
