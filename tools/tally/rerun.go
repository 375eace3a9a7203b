package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// mostAgain is how many failed tests are run again. More of them are no chance.
const mostAgain = 4

// rerun runs failed tests of the module in dir once more, one after the other, and
// lets what comes of it replace the first result.
func (r *report) rerun(ctx context.Context, dir string) error {
	module, err := goCommand(ctx, dir, "list", "-m").Output()
	if err != nil {
		return fmt.Errorf("find the module in %s: %w", dir, err)
	}
	path := strings.TrimSpace(string(module))
	var again []test
	for _, t := range r.failed() {
		// Without a name it is the package that failed: there is nothing to choose.
		if t.name != "" && (t.pkg == path || strings.HasPrefix(t.pkg, path+"/")) {
			again = append(again, t)
		}
	}
	if len(again) > mostAgain {
		return nil
	}
	for _, t := range again {
		fmt.Fprintf(r.out, "again %s\n", t)
		// Its exit status says no more than its events.
		events, _ := goCommand(ctx, dir, "test", "-count=1", "-timeout=10m", "-json", "-run=^"+t.name+"$", t.pkg).Output()
		second := newReport(r.out)
		if err := second.read(bytes.NewReader(events)); err != nil {
			return err
		}
		if c := second.sum(); c.good() {
			r.flaky = append(r.flaky, t)
			r.tests[t] = c
		}
	}
	return nil
}

// goCommand leaves a workspace alone: the module may stand outside of it.
func goCommand(ctx context.Context, dir string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "env", append([]string{"GOWORK=off", "go"}, args...)...)
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	return cmd
}
