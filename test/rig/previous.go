package rig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Previous are the services of the release before this one, or of the commit before
// where nothing was released yet.
type Previous struct {
	Name string // of the tag or commit
	bin  binaries
}

// Previous builds them. Where git knows nothing earlier, as in a shallow clone or
// before the second commit, the test is skipped, under CI too: there is nothing
// that could be deployed side by side. So it is where an unreleased schema was
// changed in place or the earlier commit cannot be built.
func (b *Backends) Previous(t *testing.T) *Previous {
	t.Helper()
	b.ready(t)
	name, released := b.earlier(t.Context())
	if name == "" {
		t.Skip("rig: the history holds no earlier version: a shallow clone or a first commit")
	}
	p := &Previous{Name: name}
	source := filepath.Join(b.reaper.scratch, "previous")
	if err := unpack(t.Context(), b.root, name, source); err != nil {
		t.Fatal(err)
	}
	if file := editedIn(t, filepath.Join(b.root, "migrations"), filepath.Join(source, "migrations")); file != "" {
		if released {
			t.Fatalf("%s is part of %s and must stay as it is", file, name)
		}
		t.Skipf("rig: %s was changed in place since %s, which is no release", file, name)
	}
	p.bin = binaries{trigger: filepath.Join(source, "trigger"), migrator: filepath.Join(source, "migrator")}
	ctx, cancel := context.WithTimeout(t.Context(), startWithin)
	defer cancel()
	err := errors.Join(
		compile(ctx, filepath.Join(source, "services/trigger/cmd/trigger"), p.bin.trigger),
		compile(ctx, filepath.Join(source, "services/migrator/cmd/migrator"), p.bin.migrator))
	switch {
	case err != nil && released:
		t.Fatal(err)
	case err != nil:
		t.Skipf("rig: %s, which is no release, cannot be built: %v", name, err)
	}
	return p
}

// earlier is the last release before HEAD, or else the commit before; empty where
// there is neither.
func (b *Backends) earlier(ctx context.Context) (name string, released bool) {
	ask := func(args ...string) string {
		cmd := exec.CommandContext(ctx, "git", args...)
		cmd.Dir = b.root
		out, err := cmd.Output()
		if err != nil {
			return ""
		}
		return strings.TrimSpace(string(out))
	}
	if tag := ask("describe", "--tags", "--abbrev=0", "--match", "v*", "HEAD~1"); tag != "" {
		return tag, true
	}
	return ask("rev-parse", "--verify", "--quiet", "--short", "HEAD~1^{commit}"), false
}

// unpack puts the sources of a version into a folder.
func unpack(ctx context.Context, root, version, folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("make a folder for %s: %w", version, err)
	}
	archive := exec.CommandContext(ctx, "git", "archive", "--format=tar", version, "migrations", "pkg", "services")
	archive.Dir = root
	content, err := archive.Output()
	if err != nil {
		return fmt.Errorf("read the sources of %s: %w", version, err)
	}
	extract := exec.CommandContext(ctx, "tar", "-x", "-C", folder)
	extract.Stdin = bytes.NewReader(content)
	if out, err := extract.CombinedOutput(); err != nil {
		return fmt.Errorf("unpack the sources of %s: %w\n%s", version, err, out)
	}
	return nil
}

// editedIn names a schema file of a folder that another no longer has as it was.
func editedIn(t testing.TB, now, before string) string {
	t.Helper()
	files, err := fs.Glob(os.DirFS(before), "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		old, err := os.ReadFile(filepath.Join(before, file))
		if err != nil {
			t.Fatal(err)
		}
		if current, err := os.ReadFile(filepath.Join(now, file)); err != nil || !bytes.Equal(old, current) {
			return file
		}
	}
	return ""
}

// StartTrigger starts the earlier trigger.
func (p *Previous) StartTrigger(r *Rig) *Trigger {
	r.t.Helper()
	return startFrom(r, &p.bin, func(r *Rig) *Trigger { return r.StartTrigger(nil) })
}

// StartMigrator starts the earlier migrator.
func (p *Previous) StartMigrator(r *Rig, settings Env) *Service {
	r.t.Helper()
	return startFrom(r, &p.bin, func(r *Rig) *Service { return r.StartMigrator(settings) })
}

// ApplySchema runs the earlier migrator's schema command.
func (p *Previous) ApplySchema(r *Rig) {
	r.t.Helper()
	r.applySchema(p.bin.migrator)
}

// ApplySchema runs the migrator's schema command. A rig's ledger has its schema
// already unless it was emptied.
func (r *Rig) ApplySchema() {
	r.t.Helper()
	r.applySchema(r.backends.bin.migrator)
}

func (r *Rig) applySchema(migrator string) {
	r.t.Helper()
	ctx, cancel := limited(r.t)
	defer cancel()
	cmd := exec.CommandContext(ctx, migrator, "schema")
	cmd.Env = []string{"DATABASE_URL=" + r.Ledger.URL}
	if out, err := cmd.CombinedOutput(); err != nil {
		r.t.Fatalf("apply the schema: %v\n%s", err, out)
	}
}

// EmptyLedger takes the ledger's schema away.
func (r *Rig) EmptyLedger() {
	r.t.Helper()
	r.Ledger.Exec(r.t, "DROP SCHEMA public CASCADE")
	r.Ledger.Exec(r.t, "CREATE SCHEMA public")
}
