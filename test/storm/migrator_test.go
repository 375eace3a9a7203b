package storm_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.org/ncm/test/rig"
)

// stopWithin is how long a migrator may take to end after SIGTERM.
const stopWithin = time.Minute

// migrator is a process under test. Unlike the rig's services it need not become
// ready: the storm may have taken its servers away.
type migrator struct {
	name   string
	log    *rig.Log
	paused bool

	cmd    *exec.Cmd
	ready  string // URL
	exited chan struct{}
	err    error // of Wait, readable when exited is closed
}

// buildMigrator compiles the program as its image does, with the race detector
// where the storm has it.
func buildMigrator(t *testing.T, root string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "migrator")
	args := []string{"build", "-buildvcs=false", "-o", file}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "-race" && s.Value == "true" {
				args = append(args, "-race")
			}
		}
	}
	cmd := exec.CommandContext(t.Context(), "go", append(args, ".")...)
	cmd.Dir = filepath.Join(root, "services/migrator/cmd/migrator")
	cmd.Env = append(os.Environ(), "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the migrator: %v\n%s", err, out)
	}
	return file
}

// startMigrator starts a process and does not wait.
func startMigrator(t *testing.T, name, file, opsAddr string, env []string) *migrator {
	t.Helper()
	m := &migrator{name: name, log: &rig.Log{}, ready: "http://" + opsAddr + "/readyz", exited: make(chan struct{})}
	// The storm ends its processes itself: no context does.
	m.cmd = exec.Command(file, "run")
	m.cmd.Env = env
	m.cmd.Stdout, m.cmd.Stderr = m.log, m.log
	m.cmd.SysProcAttr = mortal()
	if err := m.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	go func() {
		m.err = m.cmd.Wait()
		close(m.exited)
	}()
	t.Cleanup(m.kill)
	return m
}

func (m *migrator) running() bool {
	select {
	case <-m.exited:
		return false
	default:
		return true
	}
}

func (m *migrator) kill() {
	_ = m.cmd.Process.Kill()
	<-m.exited
}

// signal is for a process that may have ended meanwhile.
func (m *migrator) signal(s syscall.Signal) { _ = m.cmd.Process.Signal(s) }

func (m *migrator) isReady(ctx context.Context) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, m.ready, http.NoBody)
	if err != nil {
		return false
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	_ = answer.Body.Close()
	return answer.StatusCode == http.StatusOK
}

// end asks the process to stop where it still runs, and says what was wrong with
// how it ended or with what it wrote. To be killed by the storm is no fault.
func (m *migrator) end() error {
	m.signal(syscall.SIGTERM)
	deadline := time.NewTimer(stopWithin)
	defer deadline.Stop()
	select {
	case <-m.exited:
	case <-deadline.C:
		m.signal(syscall.SIGQUIT) // its goroutines go to the log
		select {
		case <-m.exited:
		case <-time.After(stopWithin):
			m.kill()
		}
		return fmt.Errorf("%s: still there %v after SIGTERM", m.name, stopWithin)
	}
	if line := alarm(m.log.String()); line != "" {
		return fmt.Errorf("%s: %s", m.name, line)
	}
	var exit *exec.ExitError
	if errors.As(m.err, &exit) {
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signal() == syscall.SIGKILL {
			return nil
		}
	}
	if m.err != nil {
		return fmt.Errorf("%s: %w", m.name, m.err)
	}
	return nil
}

// alarm finds what no program may ever write.
func alarm(log string) string {
	for line := range strings.Lines(log) {
		if strings.HasPrefix(line, "panic:") || strings.HasPrefix(line, "fatal error:") || strings.Contains(line, "WARNING: DATA RACE") {
			return strings.TrimSpace(line)
		}
	}
	return ""
}
