package pack

import (
	"archive/tar"
	"compress/gzip"
	"fmt"
	"io"
	"time"
)

// File is an entry of an archive: a folder where Content is nil.
type File struct {
	Name    string
	Mode    int64
	Content []byte
}

// Archive writes a gzipped tar.
func Archive(w io.Writer, date time.Time, files []File) error {
	z := gzip.NewWriter(w)
	if err := writeTar(z, date, 0, files); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return fmt.Errorf("compress: %w", err)
	}
	return nil
}

func writeTar(w io.Writer, date time.Time, owner int, files []File) error {
	t := tar.NewWriter(w)
	for _, f := range files {
		h := &tar.Header{
			Typeflag: tar.TypeReg, Name: f.Name, Mode: f.Mode, Size: int64(len(f.Content)),
			ModTime: date.UTC().Truncate(time.Second), Uid: owner, Gid: owner, Format: tar.FormatPAX,
		}
		if f.Content == nil {
			h.Typeflag, h.Name = tar.TypeDir, f.Name+"/"
		}
		if err := t.WriteHeader(h); err != nil {
			return fmt.Errorf("archive %s: %w", f.Name, err)
		}
		if _, err := t.Write(f.Content); err != nil {
			return fmt.Errorf("archive %s: %w", f.Name, err)
		}
	}
	if err := t.Close(); err != nil {
		return fmt.Errorf("end the archive: %w", err)
	}
	return nil
}
