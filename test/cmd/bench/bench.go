package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// bench is everything that the laps need.
type bench struct {
	dir      string // of the migrator's binary and all logs
	self     string
	migrator string
	rclone   string // to be measured beside it
	log      *os.File
	keep     bool // the logs are kept

	backends   *backends
	simulators *control
	collector  *collector
	sources    map[string]source // by folder
	laps       int
}

// source is a folder that is moved, again and again.
type source struct {
	tree  tree
	files []pipeFile
}

// prepare builds and starts what all laps share.
func prepare(ctx context.Context, o options) (_ *bench, err error) {
	root, err := findRoot()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return nil, err
	}
	b := &bench{dir: dir, sources: make(map[string]source), migrator: cmp.Or(o.migrator, filepath.Join(dir, "migrator")), rclone: o.rclone}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.keepLogs())
			b.close()
		}
	}()
	if b.log, err = os.Create(filepath.Join(dir, "log")); err != nil {
		return nil, err
	}
	if b.self, err = os.Executable(); err != nil {
		return nil, err
	}
	if b.backends, err = startBackends(ctx, root); err != nil {
		return nil, err
	}
	if o.migrator == "" {
		if err = build(ctx, root, "services/migrator", "./cmd/migrator", b.migrator); err != nil {
			return nil, err
		}
	}
	simulator := filepath.Join(dir, "simulator")
	if err = build(ctx, root, "test", "./cmd/simulator", simulator); err != nil {
		return nil, err
	}
	if b.simulators, err = startSimulators(ctx, simulator, filepath.Join(dir, "data"), b.log, o.profile == profileReal); err != nil {
		return nil, err
	}
	if err = b.backends.connect(ctx, b.migrator); err != nil {
		return nil, err
	}
	if b.collector, err = startCollector(ctx); err != nil {
		return nil, err
	}
	for _, s := range o.scenarios {
		for _, l := range s.ways {
			if err = b.offer(ctx, l); err != nil {
				return nil, err
			}
		}
	}
	return b, nil
}

// offer generates a load's files at the source.
func (b *bench) offer(ctx context.Context, l load) error {
	if _, done := b.sources[l.folder]; done {
		return nil
	}
	if err := b.simulators.generate(ctx, l); err != nil {
		return fmt.Errorf("offer %s: %w", l.folder, err)
	}
	t, files, err := b.simulators.sourceTree(ctx, l.folder)
	if err == nil && len(t) != l.files {
		err = fmt.Errorf("%d files instead of %d", len(t), l.files)
	}
	if err != nil {
		return fmt.Errorf("offer %s: %w", l.folder, err)
	}
	b.sources[l.folder] = source{tree: t, files: files}
	return nil
}

// keepLogs keeps the logs of a bench that failed, and says where they are.
func (b *bench) keepLogs() error {
	b.keep = true
	return errors.New("logs are in " + b.dir)
}

// close ends all that was started.
func (b *bench) close() {
	if b.simulators != nil {
		_ = b.simulators.process.stop()
	}
	if b.backends != nil {
		b.backends.close()
	}
	if b.collector != nil {
		b.collector.close()
	}
	if b.log != nil {
		_ = b.log.Close()
	}
	if !b.keep {
		_ = os.RemoveAll(b.dir)
	}
}

// findRoot is the folder of the repository: the nearest above with a go.work.
func findRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.work")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("not inside the repository: no go.work in any folder above")
		}
		dir = parent
	}
}

// build compiles a program of a module of its own, as its image has it.
func build(ctx context.Context, root, module, program, binary string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", binary, program)
	cmd.Dir = filepath.Join(root, module)
	cmd.Env = append(os.Environ(), "GOWORK=off", "CGO_ENABLED=0")
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s of %s: %w\n%s", program, module, err, bytes.TrimSpace(said))
	}
	return nil
}

// compare takes the measurements of one scenario, its ways in turn.
func (b *bench) compare(ctx context.Context, s scenario, count int) (result, error) {
	r := newResult(s)
	if err := b.simulators.slowDown(ctx, s.delay); err != nil {
		return r, err
	}
	for range count {
		laps := make([]lap, 0, len(s.ways))
		for _, l := range s.ways {
			x, err := b.lap(ctx, l)
			if err != nil {
				return r, fmt.Errorf("%s: %w", l.label, err)
			}
			laps = append(laps, x)
		}
		r.add(laps)
	}
	return r, nil
}

// lap moves a load into a fresh instance, and checks that it is all there.
func (b *bench) lap(ctx context.Context, l load) (lap, error) {
	ctx, cancel := context.WithTimeout(ctx, lapLimit)
	defer cancel()
	if l.by == byRclone {
		return b.copyByRclone(ctx, l)
	}
	b.laps++
	host := fmt.Sprintf("lap%d-%d%s", b.laps, os.Getpid(), instanceSuffix)
	token, err := b.simulators.newInstance(ctx, host, l.listed)
	if err != nil {
		return lap{}, err
	}
	move, want, folder := b.migrate, b.sources[l.folder].tree, targetDir
	if l.by == byPipe {
		move, want, folder = b.pipe, want.flat(), "/"
	}
	measured, err := move(ctx, l, host, token)
	if err == nil && l.traced {
		err = b.collector.arrived()
	}
	if err != nil {
		return lap{}, err
	}
	if l.listed {
		want = nil // there are folders only
	}
	got, err := b.simulators.targetTree(ctx, host, folder)
	if err != nil {
		return lap{}, err
	}
	return measured, checkSame(want, got)
}
