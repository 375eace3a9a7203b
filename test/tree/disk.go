package tree

import (
	"context"
	"crypto/md5" //nolint:gosec // the digest that both ends know
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
)

// Disk lists a folder and reads every file in it. After an error the listing
// ends.
func Disk(ctx context.Context, dir string) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		buffer := make([]byte, 1<<18)
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || path == dir {
				return err
			}
			e, err := diskEntry(ctx, dir, path, d, buffer)
			if err == nil && !yield(e, nil) {
				return fs.SkipAll
			}
			return err
		})
		if err != nil {
			yield(Entry{}, fmt.Errorf("list %s: %w", dir, err))
		}
	}
}

func diskEntry(ctx context.Context, dir, path string, d fs.DirEntry, buffer []byte) (Entry, error) {
	rel, relErr := filepath.Rel(dir, path)
	info, err := d.Info()
	if err = errors.Join(relErr, err, ctx.Err()); err != nil {
		return Entry{}, err
	}
	e := Entry{Path: filepath.ToSlash(rel), Folder: d.IsDir(), ModTime: info.ModTime()}
	if e.Folder {
		return e, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return Entry{}, err
	}
	defer file.Close()
	sum := md5.New() //nolint:gosec // see above
	e.Size, err = io.CopyBuffer(onlyWriter{sum}, &stoppable{ctx, file}, buffer)
	sum.Sum(e.MD5[:0])
	return e, err
}
