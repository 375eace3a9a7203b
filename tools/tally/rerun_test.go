package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// flakyModule is a module whose one test fails the first time that it runs and, if
// a file says so, ever after.
func flakyModule(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module flaky\n\ngo 1.26\n",
		"flaky_test.go": `package flaky

import (
	"os"
	"testing"
)

func TestSometimes(t *testing.T) {
	t.Run("first", func(t *testing.T) {})
	if _, err := os.Stat("broken"); err == nil {
		t.Error("still broken")
	}
}

func TestOther(t *testing.T) { t.Error("is not to be run again") }
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const sometimesFailed = `{"Action":"pass","Package":"flaky","Test":"TestSometimes/first"}
	{"Action":"fail","Package":"flaky","Test":"TestSometimes"}
	{"Action":"pass","Package":"flaky","Test":"TestOther"}
	{"Action":"fail","Package":"flaky"}`

func TestAFailedTestIsRunAgainAndNamed(t *testing.T) {
	t.Parallel()
	totals := filepath.Join(t.TempDir(), "totals")
	out, ok := tally(t, sometimesFailed, "-again", flakyModule(t), "-totals", totals)
	if got := lastLine(out); got != "3 passed, 0 failed" || !ok {
		t.Errorf("ends with %q, ok %v", got, ok)
	}
	sum, _ := tally(t, "", "-sum", totals)
	if want := "flaky flaky TestSometimes (failed, then passed when run again)\n3 passed, 0 failed\n"; sum != want {
		t.Errorf("sum %q, want %q", sum, want)
	}
}

func TestATestThatFailsAgainHasFailed(t *testing.T) {
	t.Parallel()
	dir := flakyModule(t)
	if err := os.WriteFile(filepath.Join(dir, "broken"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	out, ok := tally(t, sometimesFailed, "-again", dir)
	if ok || !strings.HasSuffix(out, "FAILED flaky TestSometimes\n2 passed, 1 failed\n") {
		t.Errorf("ok %v, output:\n%s", ok, out)
	}
}

func TestFailuresOfOtherModulesAreNotRunAgain(t *testing.T) {
	t.Parallel()
	out, ok := tally(t, `{"Action":"fail","Package":"other","Test":"A"}`, "-again", flakyModule(t))
	if ok || out != "FAILED other A\n0 passed, 1 failed\n" {
		t.Errorf("ok %v, output:\n%s", ok, out)
	}
}
