package tree

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// Difference is a kind of difference between two trees.
type Difference int

// The kinds of differences.
const (
	Missing   Difference = iota // in the source alone
	Extra                       // in the target alone
	Duplicate                   // a second copy, or listed twice
	Kind                        // a file on one side, a folder on the other
	Size
	Content // the MD5
	ModTime
	differences // how many there are
)

// String names the kind in a word or two.
func (d Difference) String() string {
	names := [...]string{"missing", "extra", "duplicate", "file or folder", "size", "content", "time"}
	if d < 0 || int(d) >= len(names) {
		return "unknown"
	}
	return names[d]
}

// Example is one difference in words.
type Example struct {
	Difference Difference
	Path       string
	Detail     string
}

// maxExamples of each kind are kept.
const maxExamples = 10

// Report is what Compare found.
type Report struct {
	Source, Target  Totals
	FilesCompared   int // files that both sides have
	FoldersCompared int
	Counts          [differences]int // by Difference
	Examples        []Example        // the first few of each kind
}

func (r *Report) note(d Difference, path, detail string) {
	r.Counts[d]++
	if r.Counts[d] <= maxExamples {
		r.Examples = append(r.Examples, Example{d, path, detail})
	}
}

// Differences counts all of them.
func (r *Report) Differences() int {
	sum := 0
	for _, n := range r.Counts {
		sum += n
	}
	return sum
}

// WriteTable prints what was compared, what differs and examples of it.
func (r *Report) WriteTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', tabwriter.AlignRight)
	row := func(cells ...any) {
		for _, cell := range cells {
			if n, ok := cell.(int); ok {
				cell = Grouped(int64(n))
			}
			fmt.Fprintf(t, "%v\t", cell)
		}
		fmt.Fprintln(t)
	}
	row("", "source", "target")
	row("files", r.Source.Files, r.Target.Files)
	row("folders", r.Source.Folders, r.Target.Folders)
	row("bytes", Grouped(r.Source.Bytes), Grouped(r.Target.Bytes))
	row()
	row("checked", "compared", "different")
	row("missing", r.Source.Files+r.Source.Folders, r.Counts[Missing])
	row("extra", r.Target.Files+r.Target.Folders, r.Counts[Extra])
	row("twice", r.Target.Files+r.Target.Folders, r.Counts[Duplicate])
	row("file or folder", r.FilesCompared+r.FoldersCompared+r.Counts[Kind], r.Counts[Kind])
	row("size", r.FilesCompared, r.Counts[Size])
	row("MD5", r.FilesCompared, r.Counts[Content])
	row("mtime", r.FilesCompared, r.Counts[ModTime])
	return errors.Join(t.Flush(), r.writeExamples(w))
}

func (r *Report) writeExamples(w io.Writer) error {
	if len(r.Examples) == 0 {
		return nil
	}
	_, err := fmt.Fprintf(w, "\n%s differences, of each kind at most %d shown:\n", Grouped(int64(r.Differences())), maxExamples)
	for _, e := range r.Examples {
		if err == nil {
			_, err = fmt.Fprintf(w, "  %-14s %q: %s\n", e.Difference, e.Path, e.Detail)
		}
	}
	return err
}

func stamp(unix int64) string { return time.Unix(unix, 0).UTC().Format(time.RFC3339) }
