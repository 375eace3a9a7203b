package rig

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/testcontainers/testcontainers-go"
	tclog "github.com/testcontainers/testcontainers-go/log"
	"golang.org/x/sync/errgroup"
)

// startWithin bounds the start of containers and the first build of binaries.
const startWithin = 5 * time.Minute

// Backends is what the tests of one process share. The zero value is ready: the
// first call of New starts everything. It is safe for concurrent use.
type Backends struct {
	once    sync.Once
	missing error // why the tests cannot run here
	fault   error // why they should have been able to

	root     string // of the repository
	bin      *binaries
	postgres *postgres
	rabbitmq *rabbitmq
	reaper   *reaper
}

// Main runs the tests of a package and removes what they shared. It returns the
// exit code.
func (b *Backends) Main(m *testing.M) int {
	tclog.SetDefault(tclog.NewNoopLogger())
	if scratch := os.Getenv(reaperEnv); scratch != "" {
		return reap(scratch, os.Stdin)
	}
	code := m.Run()
	if b.reaper == nil {
		return code
	}
	if err := b.reaper.finish(); err != nil {
		fmt.Fprintln(os.Stderr, "rig:", err)
		code = max(code, 1)
	}
	return code
}

// ready starts everything once. Without Docker the test is skipped, or fails
// where CI is set.
func (b *Backends) ready(t *testing.T) {
	t.Helper()
	b.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), startWithin)
		defer cancel()
		b.fault = b.start(ctx)
	})
	switch {
	case b.fault != nil:
		t.Fatalf("rig: %v", b.fault)
	case b.missing != nil && os.Getenv("CI") != "":
		t.Fatalf("rig: %v", b.missing)
	case b.missing != nil:
		t.Skipf("rig: %v", b.missing)
	}
}

func (b *Backends) start(ctx context.Context) (err error) {
	if b.root, err = repositoryRoot(); err != nil {
		return err
	}
	images, err := findImages(b.root)
	if err != nil {
		return err
	}
	if b.missing = dockerAnswers(ctx); b.missing != nil {
		return nil
	}
	if b.reaper, err = startReaper(ctx); err != nil {
		return err
	}
	parts, partsCtx := errgroup.WithContext(ctx)
	parts.Go(func() (err error) {
		b.postgres, err = startPostgres(partsCtx, images.postgres, b.reaper.session)
		return err
	})
	parts.Go(func() (err error) {
		b.rabbitmq, err = startRabbitMQ(partsCtx, images.rabbitmq, b.reaper.session)
		return err
	})
	parts.Go(func() (err error) {
		b.bin, err = build(partsCtx, b.root, b.reaper.scratch)
		return err
	})
	if err := parts.Wait(); err != nil {
		return err
	}
	return b.postgres.makeTemplate(ctx, b.bin.migrator)
}

func dockerAnswers(ctx context.Context) error {
	provider, err := testcontainers.NewDockerProvider()
	if err != nil {
		return fmt.Errorf("find Docker: %w", err)
	}
	if err := provider.Health(ctx); err != nil {
		return fmt.Errorf("ask Docker: %w", err)
	}
	return nil
}
