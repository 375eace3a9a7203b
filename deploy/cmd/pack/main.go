// Pack makes what is shipped out of binaries; deploy/services/build calls it.
//
//	pack image   -name N -binary FILE -o FILE [FOLDER...]   an image for docker load; prints its digest
//	pack archive -o FILE BINARY...                          an archive of binaries, each with its SBOM
//
// Both take -version, -revision, -date and -arch. Given files besides binaries are
// added to an archive as they are with -add, separated by commas.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"example.org/ncm/deploy/pack"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
}

// order is what the arguments say.
type order struct {
	name, binary, out, add  string
	version, revision, arch string
	date                    time.Time
	rest                    []string
}

func run(args []string, stdout io.Writer) error {
	if len(args) == 0 {
		return errors.New("image or archive?")
	}
	o, err := read(args)
	if err != nil {
		return err
	}
	switch args[0] {
	case "image":
		return o.image(stdout)
	case "archive":
		return o.archive()
	default:
		return fmt.Errorf("image or archive, not %s", args[0])
	}
}

func read(args []string) (*order, error) {
	o := new(order)
	var date string
	flags := flag.NewFlagSet("pack "+args[0], flag.ContinueOnError)
	for flagged, where := range map[string]*string{
		"name": &o.name, "binary": &o.binary, "o": &o.out, "add": &o.add,
		"version": &o.version, "revision": &o.revision, "arch": &o.arch, "date": &date,
	} {
		flags.StringVar(where, flagged, "", "")
	}
	if err := flags.Parse(args[1:]); err != nil {
		return nil, fmt.Errorf("read flags: %w", err)
	}
	o.rest = flags.Args()
	var err error
	if o.date, err = time.Parse(time.RFC3339, date); err != nil {
		return nil, fmt.Errorf("read -date: %w", err)
	}
	return o, nil
}

func (o *order) image(stdout io.Writer) error {
	binary, sbom, err := o.load(o.binary)
	if err != nil {
		return err
	}
	var content bytes.Buffer
	digest, err := pack.Image{
		Name: o.name, Version: o.version, Revision: o.revision, Arch: o.arch, Date: o.date,
		Binary: binary, SBOM: sbom, Folders: o.rest,
	}.Write(&content)
	if err != nil {
		return err
	}
	if err := os.WriteFile(o.out, content.Bytes(), 0o644); err != nil {
		return fmt.Errorf("write the image: %w", err)
	}
	fmt.Fprintln(stdout, o.name+":"+o.version, digest)
	return nil
}

func (o *order) archive() error {
	folder := strings.TrimSuffix(filepath.Base(o.out), ".tar.gz")
	files := []pack.File{{Name: folder, Mode: 0o755}}
	for _, path := range o.rest {
		binary, sbom, err := o.load(path)
		if err != nil {
			return err
		}
		base := folder + "/" + filepath.Base(path)
		files = append(files, pack.File{Name: base, Mode: 0o755, Content: binary}, pack.File{Name: base + ".cdx.json", Mode: 0o644, Content: sbom})
	}
	for path := range strings.SplitSeq(o.add, ",") {
		content, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("read what is added: %w", err)
		}
		files = append(files, pack.File{Name: folder + "/" + filepath.Base(path), Mode: 0o644, Content: content})
	}
	var content bytes.Buffer
	if err := pack.Archive(&content, o.date, files); err != nil {
		return err
	}
	if err := os.WriteFile(o.out, content.Bytes(), 0o644); err != nil {
		return fmt.Errorf("write the archive: %w", err)
	}
	return nil
}

func (o *order) load(path string) (binary, sbom []byte, err error) {
	if binary, err = os.ReadFile(path); err != nil {
		return nil, nil, fmt.Errorf("read the binary: %w", err)
	}
	sbom, err = pack.SBOM(path, o.version, o.date)
	return binary, sbom, err
}
