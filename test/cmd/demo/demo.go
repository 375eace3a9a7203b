package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/test/tree"
)

// demo is one run.
type demo struct {
	cfg     *config
	out     io.Writer
	display display
	sides   *sides
}

func newDemo(cfg *config, out io.Writer, d display) *demo {
	return &demo{cfg: cfg, out: out, display: d, sides: newSides(cfg, out)}
}

// run goes through all steps; an error tells what to do about it.
func (d *demo) run(ctx context.Context) error {
	defer d.sides.client.CloseIdleConnections()
	if err := d.sides.ready(ctx); err != nil {
		return err
	}
	source, remove, err := d.seed(ctx)
	if err != nil {
		return err
	}
	defer remove()
	password, err := d.sides.fillNextcloud(ctx, source)
	if err != nil {
		return err
	}
	o, err := d.sides.newOwner(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(d.out, "Settings page of %s: migrate %s of %s to %q\n", o.instance, d.cfg.user, d.cfg.nextcloudURL, d.cfg.targetDir)
	m, err := d.sides.start(ctx, o, password)
	if err != nil {
		return err
	}
	fmt.Fprintf(d.out, "The operator's page, live: %s/operator/#/m/%s (unlock with OPERATOR_TOKEN of .env or .env.example)\n", d.cfg.operator, m.id)
	doc, took, err := d.watch(ctx, m)
	if err != nil {
		return err
	}
	return d.judge(ctx, m, source, doc, took)
}

// seed makes the source in a folder of its own.
func (d *demo) seed(ctx context.Context) (source string, remove func(), err error) {
	o := tree.Options{Big: d.cfg.big, MaxFiles: d.cfg.files}
	if o.From, err = tree.GoSource(ctx); err != nil {
		return "", nil, fmt.Errorf("%w\nThe demo migrates the source of Go itself: run it where Go is installed", err)
	}
	top, err := d.place()
	if err != nil {
		return "", nil, fmt.Errorf("make a folder for the source: %w\nChoose another place with -dir", err)
	}
	remove = func() { _ = os.RemoveAll(top) }
	source = filepath.Join(top, "files")
	fmt.Fprintf(d.out, "Seeding a source in %s\n", source)
	begun := time.Now()
	counts, err := tree.Seed(ctx, source, o)
	if err != nil {
		remove()
		return "", nil, fmt.Errorf("%w\nIf the disk is full, try -small or another place with -dir", err)
	}
	fmt.Fprintf(d.out, "Source: %s files in %s folders, %s: %s of Go's source, %s that hurt, one of %s (%s)\n",
		grouped(counts.Files), grouped(counts.Folders), tree.Bytes(counts.Bytes), grouped(counts.Copied), grouped(counts.Planted),
		o.Big, seconds(time.Since(begun)))
	return source, remove, nil
}

// place is a new folder of this run alone.
func (d *demo) place() (string, error) {
	if err := os.MkdirAll(d.cfg.dir, 0o755); err != nil {
		return "", err
	}
	return os.MkdirTemp(d.cfg.dir, "demo-source-")
}

func grouped(n int) string { return tree.Grouped(int64(n)) }

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

// migration is one that the trigger has accepted.
type migration struct {
	owner
	id    string
	begun time.Time
}

// maxLost is how many polls in a row may fail.
const maxLost = 10

// watch shows the tracking document until it is final, and tells how long the
// migration took.
func (d *demo) watch(ctx context.Context, m migration) (*contract.Tracking, time.Duration, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, d.cfg.timeout, errTooSlow)
	defer cancel()
	defer d.display.end()
	tick := time.NewTicker(d.cfg.poll)
	defer tick.Stop()
	meter, lost := meter{begun: m.begun}, 0
	for {
		doc, err := d.sides.tracking(ctx, m)
		if err == nil {
			lost = 0
			d.display.show(meter.read(time.Now(), doc))
			if doc.Status.Final() {
				return doc, duration(m, doc), nil
			}
		} else if lost++; lost == maxLost {
			return nil, 0, fmt.Errorf("%w\nThe simulator has gone away: %s", err, lookAt)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, 0, context.Cause(ctx)
		}
	}
}

// duration is the time from the call to the end that the document tells; polls
// come later.
func duration(m migration, doc *contract.Tracking) time.Duration {
	if doc.FinishedAt != nil && doc.FinishedAt.After(m.begun) {
		return doc.FinishedAt.Sub(m.begun)
	}
	return time.Since(m.begun)
}
