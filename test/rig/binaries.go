package rig

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sync/errgroup"
)

// binaries are the programs under test, with the race detector in them where the
// tests have it.
type binaries struct {
	dir, trigger, migrator, simulator string
}

// build compiles each program in its own module, as its image does.
func build(ctx context.Context, root, dir string) (*binaries, error) {
	b := &binaries{
		dir:       dir,
		trigger:   filepath.Join(dir, "trigger"),
		migrator:  filepath.Join(dir, "migrator"),
		simulator: filepath.Join(dir, "simulator"),
	}
	compilers, ctx := errgroup.WithContext(ctx)
	for file, source := range map[string]string{
		b.trigger:   "services/trigger/cmd/trigger",
		b.migrator:  "services/migrator/cmd/migrator",
		b.simulator: "test/cmd/simulator",
	} {
		compilers.Go(func() error { return compile(ctx, filepath.Join(root, source), file) })
	}
	return b, compilers.Wait()
}

func compile(ctx context.Context, source, file string) error {
	args := []string{"build", "-buildvcs=false", "-o", file}
	if raceEnabled {
		args = append(args, "-race")
	}
	cmd := exec.CommandContext(ctx, "go", append(args, ".")...)
	cmd.Dir = source
	cmd.Env = append(os.Environ(), "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", source, err, strings.TrimSpace(string(out)))
	}
	return nil
}
