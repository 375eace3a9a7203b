package rig

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// stopWithin is how long a program may take to end after SIGTERM.
const stopWithin = time.Minute

// Process is a program under test. Its methods are safe for concurrent use.
type Process struct {
	Name string
	// Log is what the program wrote so far, to both outputs.
	Log *Log

	spec   spec
	cmd    *exec.Cmd
	exited chan struct{}
	err    error // of Wait, readable when exited is closed
}

// spec is what a program is started with: nothing of the environment of the tests
// gets into it.
type spec struct {
	path string
	args []string
	env  map[string]string
}

func (s spec) environ() []string {
	var env []string
	for name, value := range s.env {
		env = append(env, name+"="+value)
	}
	return env
}

// launch starts a program. When the test ends it is asked to stop; one that was not
// killed by the test has to end well.
func launch(t testing.TB, name string, s spec) *Process {
	t.Helper()
	p := &Process{Name: name, Log: &Log{}, spec: s, exited: make(chan struct{})}
	// The rig ends its programs itself, in order.
	p.cmd = exec.Command(s.path, s.args...) //nolint:noctx // see above
	p.cmd.Env = s.environ()
	p.cmd.Stdout, p.cmd.Stderr = p.Log, p.Log
	p.cmd.SysProcAttr = mortal()
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.exited)
	}()
	t.Cleanup(func() {
		if err := p.stop(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if line := p.Log.alarm(); line != "" {
			t.Errorf("%s: %s", name, line)
		}
	})
	return p
}

// PID is the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Running says whether the program has not ended yet.
func (p *Process) Running() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// Kill ends the program as a crash would, and returns when it is gone.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.exited
}

// AwaitEnd returns when the program ended by itself, with code 0.
func (p *Process) AwaitEnd(t testing.TB, within time.Duration) {
	t.Helper()
	Await(t, within, p.Name+" at its end", func() bool { return !p.Running() })
	if p.err != nil {
		t.Fatalf("%s: %v\n%s", p.Name, p.err, p.Log.Tail(tailLines))
	}
}

// Signal sends a signal and does not wait.
func (p *Process) Signal(t testing.TB, s os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatalf("signal %s: %v", p.Name, err)
	}
}

// Stop asks the program to end and returns when it did, with code 0.
func (p *Process) Stop(t testing.TB) {
	t.Helper()
	if err := p.stop(); err != nil {
		t.Fatalf("%s: %v", p.Name, err)
	}
}

// Dump makes the program write the stacks of all its goroutines to its log, as it
// does when it crashes, and returns when it is gone.
func (p *Process) Dump(t testing.TB) {
	t.Helper()
	p.Signal(t, syscall.SIGQUIT)
	deadline := time.NewTimer(stopWithin)
	defer deadline.Stop()
	select {
	case <-p.exited:
		p.err = nil // its exit code is that of a crash
	case <-deadline.C:
		t.Fatalf("%s: still there %v after SIGQUIT", p.Name, stopWithin)
	}
}

// stop is no error for a program that was killed before.
func (p *Process) stop() error {
	if p.Running() {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
	}
	deadline := time.NewTimer(stopWithin)
	defer deadline.Stop()
	select {
	case <-p.exited:
	case <-deadline.C:
		p.Kill()
		return fmt.Errorf("still there %v after SIGTERM", stopWithin)
	}
	var exit *exec.ExitError
	if errors.As(p.err, &exit) {
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signal() == syscall.SIGKILL {
			return nil
		}
	}
	return p.err
}

// Arguments is the command line as everybody on the machine can read it.
func (p *Process) Arguments() string {
	return strings.Join(append([]string{p.spec.path}, p.spec.args...), " ")
}
