package tree

import (
	"crypto/md5" //nolint:gosec // the digest that both ends know
	"fmt"
	"iter"
	"regexp"
	"slices"
)

// record is what is kept of a source entry besides its path: some 200 bytes
// with it, so that a million entries fit.
type record struct {
	size     int64
	modified int64 // unix seconds
	md5      [md5.Size]byte
	folder   bool
	seen     bool
}

func newRecord(e Entry) record {
	return record{size: e.Size, modified: e.ModTime.Unix(), md5: e.MD5, folder: e.Folder}
}

// Compare reads the source, then the target, and tells every difference: files
// by path, size, MD5 and time to the second, folders by path. The listings may
// be in any order. It fails when one of them does.
func Compare(source, target iter.Seq2[Entry, error]) (*Report, error) {
	c := &comparison{report: &Report{}, source: make(map[string]record)}
	for e, err := range source {
		if err != nil {
			return nil, fmt.Errorf("read source: %w", err)
		}
		c.expect(e)
	}
	for e, err := range target {
		if err != nil {
			return nil, fmt.Errorf("read target: %w", err)
		}
		c.meet(e)
	}
	c.close()
	return c.report, nil
}

type comparison struct {
	report *Report
	source map[string]record
	extra  map[string]bool // paths of the target alone
}

func (c *comparison) expect(e Entry) {
	if _, twice := c.source[e.Path]; twice {
		c.report.note(Duplicate, e.Path, "twice in the listing of the source")
		return
	}
	c.report.Source.add(e)
	c.source[e.Path] = newRecord(e)
}

// meet compares an entry of the target with the source's.
func (c *comparison) meet(e Entry) {
	want, known := c.source[e.Path]
	if want.seen || c.extra[e.Path] {
		c.report.note(Duplicate, e.Path, "twice in the listing of the target")
		return
	}
	c.report.Target.add(e)
	if !known {
		c.surplus(e)
		return
	}
	want.seen = true
	c.source[e.Path] = want
	c.match(e.Path, want, newRecord(e))
}

func (c *comparison) match(path string, want, got record) {
	r := c.report
	switch {
	case want.folder != got.folder:
		r.note(Kind, path, fmt.Sprintf("source has a %s, target a %s", kind(want), kind(got)))
		return
	case want.folder:
		r.FoldersCompared++
		return
	}
	r.FilesCompared++
	if want.size != got.size {
		r.note(Size, path, fmt.Sprintf("source has %d bytes, target %d", want.size, got.size))
	}
	if want.md5 != got.md5 {
		r.note(Content, path, fmt.Sprintf("source has MD5 %x, target %x", want.md5, got.md5))
	}
	if want.modified != got.modified {
		r.note(ModTime, path, fmt.Sprintf("source has %s, target %s", stamp(want.modified), stamp(got.modified)))
	}
}

func kind(r record) string {
	if r.folder {
		return "folder"
	}
	return "file"
}

// numbered matches what a file is called that was written beside one of the
// same name.
var numbered = regexp.MustCompile(` \([0-9]+\)(\.[^./]*)?$`) //nolint:gochecknoglobals // never written

// surplus is an entry of the target alone: a second copy of a source file, or
// something else.
func (c *comparison) surplus(e Entry) {
	if c.extra == nil {
		c.extra = make(map[string]bool)
	}
	c.extra[e.Path] = true
	original := numbered.ReplaceAllString(e.Path, "$1")
	first, known := c.source[original]
	if known && original != e.Path && !e.Folder && !first.folder && first.size == e.Size && first.md5 == e.MD5 {
		c.report.note(Duplicate, e.Path, fmt.Sprintf("a second copy of %q", original))
		return
	}
	c.report.note(Extra, e.Path, "a "+kind(newRecord(e))+" of the target alone")
}

// close notes what the target lacks.
func (c *comparison) close() {
	var missing []string
	for path, r := range c.source {
		if !r.seen {
			missing = append(missing, path)
		}
	}
	slices.Sort(missing)
	for _, path := range missing {
		c.report.note(Missing, path, "a "+kind(c.source[path])+" of the source alone")
	}
}
