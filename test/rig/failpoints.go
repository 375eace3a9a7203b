package rig

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Failpoints are the programs built so that they can kill themselves between two
// writes. The zero value is ready; the first use builds them. It is safe for
// concurrent use.
type Failpoints struct {
	once  sync.Once
	bin   binaries
	fault error
}

// StartMigrator starts a migrator that dies when it passes a place for the n-th
// time, both as in "file-created:20".
func (f *Failpoints) StartMigrator(r *Rig, at string, settings Env) *Service {
	r.t.Helper()
	return startFrom(r, f.programs(r), func(r *Rig) *Service { return r.StartMigrator(dying(at, settings)) })
}

// RunMigrator starts a command of the migrator that dies at a place.
func (f *Failpoints) RunMigrator(r *Rig, at string, settings Env, args ...string) *Process {
	r.t.Helper()
	return startFrom(r, f.programs(r), func(r *Rig) *Process { return r.RunMigrator(dying(at, settings), args...) })
}

// StartTrigger starts a trigger that dies at a place.
func (f *Failpoints) StartTrigger(r *Rig, at string) *Trigger {
	r.t.Helper()
	return startFrom(r, f.programs(r), func(r *Rig) *Trigger { return r.StartTrigger(dying(at, nil)) })
}

func dying(at string, settings Env) Env {
	with := Env{"FAILPOINT": at}
	maps.Copy(with, settings)
	return with
}

// startFrom starts a program out of other binaries than the rig's.
func startFrom[S any](r *Rig, bin *binaries, start func(*Rig) S) S {
	own := *r
	own.backends = &Backends{bin: bin}
	s := start(&own)
	r.processes = own.processes
	return s
}

func (f *Failpoints) programs(r *Rig) *binaries {
	r.t.Helper()
	f.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), startWithin)
		defer cancel()
		f.fault = f.build(ctx, r.backends)
	})
	if f.fault != nil {
		r.t.Fatal(f.fault)
	}
	return &f.bin
}

// build puts them beside the ordinary ones, with which they are removed.
func (f *Failpoints) build(ctx context.Context, b *Backends) error {
	f.bin = binaries{
		trigger:  filepath.Join(filepath.Dir(b.bin.migrator), "trigger-failpoints"),
		migrator: filepath.Join(filepath.Dir(b.bin.migrator), "migrator-failpoints"),
	}
	for file, source := range map[string]string{
		f.bin.trigger: "services/trigger/cmd/trigger", f.bin.migrator: "services/migrator/cmd/migrator",
	} {
		args := []string{"build", "-buildvcs=false", "-tags", "failpoints", "-o", file}
		if raceEnabled {
			args = append(args, "-race")
		}
		cmd := exec.CommandContext(ctx, "go", append(args, ".")...)
		cmd.Dir = filepath.Join(b.root, source)
		cmd.Env = append(os.Environ(), "GOWORK=off")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s with failpoints: %w\n%s", source, err, strings.TrimSpace(string(out)))
		}
	}
	return nil
}

// AwaitCrash returns when a program ended by SIGKILL, its own or a test's.
func (p *Process) AwaitCrash(t testing.TB, within time.Duration) {
	t.Helper()
	Await(t, within, p.Name+" dead", func() bool { return !p.Running() })
	var status syscall.WaitStatus
	if p.cmd.ProcessState != nil {
		status, _ = p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	}
	if status.Signal() != syscall.SIGKILL {
		t.Fatalf("%s ended by itself: %v\n%s", p.Name, p.err, p.Log.Tail(tailLines))
	}
}
