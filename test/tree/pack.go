package tree

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Pack writes the files and folders below a folder as a tar, with their names
// and times as they are.
func Pack(ctx context.Context, w io.Writer, dir string) error {
	out := tar.NewWriter(w)
	buffer := make([]byte, 1<<18)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		return packEntry(ctx, out, dir, path, d, buffer)
	})
	if err = errors.Join(err, out.Close()); err != nil {
		return fmt.Errorf("pack %s: %w", dir, err)
	}
	return nil
}

func packEntry(ctx context.Context, out *tar.Writer, dir, path string, d fs.DirEntry, buffer []byte) error {
	rel, relErr := filepath.Rel(dir, path)
	info, err := d.Info()
	if err = errors.Join(relErr, err, ctx.Err()); err != nil {
		return err
	}
	header := &tar.Header{
		Typeflag: tar.TypeReg, Name: filepath.ToSlash(rel), Size: info.Size(), ModTime: info.ModTime(),
		Format: tar.FormatPAX, // the others round times or change names
	}
	if d.IsDir() {
		header.Typeflag, header.Size = tar.TypeDir, 0
		return out.WriteHeader(header)
	}
	if err := out.WriteHeader(header); err != nil {
		return err
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = io.CopyBuffer(onlyWriter{out}, &stoppable{ctx, file}, buffer)
	return err
}

// Unpack replaces everything in a folder by the files and folders of a tar, and
// writes nowhere else. After an error what came so far stays.
func Unpack(ctx context.Context, r io.Reader, dir string) (Totals, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return Totals{}, fmt.Errorf("open folder: %w", err)
	}
	defer root.Close()
	if err := clearFolder(root); err != nil {
		return Totals{}, fmt.Errorf("clear %s: %w", dir, err)
	}
	u := &unpacker{ctx: ctx, root: root, in: tar.NewReader(r), buffer: make([]byte, 1<<18)}
	for {
		header, err := u.in.Next()
		if errors.Is(err, io.EOF) {
			return u.totals, nil
		}
		if err == nil {
			err = u.entry(header)
		}
		if err != nil {
			return u.totals, fmt.Errorf("unpack into %s: %w", dir, err)
		}
	}
}

func clearFolder(root *os.Root) error {
	inside, err := fs.ReadDir(root.FS(), ".")
	for _, d := range inside {
		err = errors.Join(err, root.RemoveAll(d.Name()))
	}
	return err
}

// unpacker is one run of Unpack.
type unpacker struct {
	ctx    context.Context //nolint:containedctx // lives as long as the call
	root   *os.Root
	in     *tar.Reader
	buffer []byte
	totals Totals
}

func (u *unpacker) entry(h *tar.Header) error {
	name := filepath.FromSlash(h.Name)
	switch h.Typeflag {
	case tar.TypeDir:
		u.totals.Folders++
		return u.root.MkdirAll(name, 0o755)
	case tar.TypeReg:
		u.totals.Files++
		u.totals.Bytes += h.Size
		return u.file(name, h)
	default:
		return fmt.Errorf("%q is neither file nor folder", h.Name)
	}
}

func (u *unpacker) file(name string, h *tar.Header) error {
	if err := u.root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	file, err := u.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = io.CopyBuffer(onlyWriter{file}, &stoppable{u.ctx, u.in}, u.buffer)
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	return u.root.Chtimes(name, h.ModTime, h.ModTime)
}
