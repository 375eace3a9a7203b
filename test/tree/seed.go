package tree

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Options tell what to seed besides the files that hurt.
type Options struct {
	// From is a folder whose files are copied with their times. Empty: none.
	From string
	// MaxFiles bounds what is copied of From, in the order of the names. Zero:
	// all of it.
	MaxFiles int
	// Big is the size of one big file. Zero: none.
	Big Bytes
}

// Counts is what was seeded.
type Counts struct {
	Totals
	Copied  int // files of Options.From
	Planted int // files that hurt: names, times, sizes, depth
}

// GoSource is the source tree of the machine's Go distribution: some ten
// thousand real files.
func GoSource(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return "", fmt.Errorf("ask go for its GOROOT: %w", err)
	}
	dir := filepath.Join(strings.TrimSpace(string(out)), "src")
	if _, err := os.Stat(dir); err != nil {
		return "", fmt.Errorf("find the source of Go: %w", err)
	}
	return dir, nil
}

// Seed fills a folder, which is made if need be and has to be empty. The same
// options give the same tree each time; only a file system that takes two of
// the names for one gets fewer files, which the counts tell.
func Seed(ctx context.Context, dir string, o Options) (Counts, error) {
	s := &seeder{ctx: ctx, root: dir, buffer: make([]byte, 1<<20)}
	steps := []func() error{
		s.prepare,
		func() error { return s.copyTree(o.From, o.MaxFiles) },
		s.plant,
		func() error { return s.big(int64(o.Big)) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return Counts{}, fmt.Errorf("seed %s: %w", dir, err)
		}
	}
	return s.counts, nil
}

// seeder is one run of Seed.
type seeder struct {
	ctx    context.Context //nolint:containedctx // lives as long as the call
	root   string
	buffer []byte
	counts Counts
}

func (s *seeder) prepare() error {
	if err := os.MkdirAll(s.root, 0o755); err != nil {
		return err
	}
	inside, err := os.ReadDir(s.root)
	if err == nil && len(inside) > 0 {
		err = errors.New("the folder is not empty")
	}
	return err
}

var errEnough = errors.New("enough files")

// copyTree copies the regular files of a folder into one called "go".
func (s *seeder) copyTree(from string, limit int) error {
	if from == "" {
		return nil
	}
	from, err := filepath.EvalSymlinks(from)
	if err != nil {
		return fmt.Errorf("find what to copy: %w", err)
	}
	err = filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil || s.ctx.Err() != nil {
			return errors.Join(err, s.ctx.Err())
		}
		if limit > 0 && s.counts.Copied == limit {
			return errEnough
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		return s.copyEntry(path, filepath.Join("go", rel), d)
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

func (s *seeder) copyEntry(from, to string, d fs.DirEntry) error {
	if d.IsDir() {
		return s.folder(to)
	}
	if !d.Type().IsRegular() {
		return nil
	}
	info, err := d.Info()
	if err != nil {
		return err
	}
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	made, err := s.file(to, source, info.ModTime())
	if made {
		s.counts.Copied++
	}
	return err
}

// folder makes a folder and those above it.
func (s *seeder) folder(path string) error {
	if path == "." {
		return nil
	}
	err := os.Mkdir(filepath.Join(s.root, path), 0o755)
	if errors.Is(err, fs.ErrNotExist) {
		if err := s.folder(filepath.Dir(path)); err != nil {
			return err
		}
		err = os.Mkdir(filepath.Join(s.root, path), 0o755)
	}
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err == nil {
		s.counts.Folders++
	}
	return err
}

// file writes a file, unless the file system takes its name for one that is
// there.
func (s *seeder) file(path string, content io.Reader, modified time.Time) (made bool, err error) {
	if err := s.folder(filepath.Dir(path)); err != nil {
		return false, err
	}
	full := filepath.Join(s.root, path)
	file, err := os.OpenFile(full, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	size, err := io.CopyBuffer(onlyWriter{file}, &stoppable{s.ctx, content}, s.buffer)
	if err = errors.Join(err, file.Close()); err != nil {
		return false, err
	}
	s.counts.Files++
	s.counts.Bytes += size
	return true, os.Chtimes(full, modified, modified)
}

// onlyWriter hides what would make io.CopyBuffer use a buffer of its own.
type onlyWriter struct{ io.Writer }

// stoppable ends with its context.
type stoppable struct {
	ctx context.Context //nolint:containedctx // lives as long as one copy
	r   io.Reader
}

func (r *stoppable) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}
