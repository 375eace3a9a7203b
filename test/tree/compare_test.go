package tree_test

import (
	"errors"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/ncm/test/tree"
)

func file(path string, content byte) tree.Entry {
	return tree.Entry{Path: path, Size: 10, MD5: [16]byte{content}, ModTime: old}
}

func folder(path string) tree.Entry { return tree.Entry{Path: path, Folder: true, ModTime: old} }

func listing(entries ...tree.Entry) iter.Seq2[tree.Entry, error] {
	return func(yield func(tree.Entry, error) bool) {
		for _, e := range entries {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func base() []tree.Entry {
	return []tree.Entry{folder("a"), file("a/x.txt", 1), file("a/y.txt", 2), folder("empty"), file("photo.jpg", 3), file("photo (2).jpg", 4)}
}

func TestCompareFindsEachDifference(t *testing.T) {
	t.Parallel()
	edit := func(path string, change func(*tree.Entry)) []tree.Entry {
		entries := base()
		i := slices.IndexFunc(entries, func(e tree.Entry) bool { return e.Path == path })
		change(&entries[i])
		return entries
	}
	without := func(path string) []tree.Entry {
		return slices.DeleteFunc(base(), func(e tree.Entry) bool { return e.Path == path })
	}
	reversed := base()
	slices.Reverse(reversed)
	type found map[tree.Difference]string // path
	for name, c := range map[string]struct {
		target []tree.Entry
		want   found
	}{
		"nothing":                {base(), found{}},
		"nothing in other order": {reversed, found{}},
		"a part of a second": {edit("a/x.txt", func(e *tree.Entry) {
			e.ModTime = e.ModTime.Add(999 * time.Millisecond).In(time.FixedZone("", 7200))
		}), found{}},
		"time of a folder": {edit("a", func(e *tree.Entry) { e.ModTime = e.ModTime.Add(time.Hour) }), found{}},
		"missing file":     {without("a/y.txt"), found{tree.Missing: "a/y.txt"}},
		"missing folder":   {without("empty"), found{tree.Missing: "empty"}},
		"extra file":       {append(base(), file("a/z.txt", 1)), found{tree.Extra: "a/z.txt"}},
		"extra folder":     {append(base(), folder("a (2)")), found{tree.Extra: "a (2)"}},
		"second copy":      {append(base(), file("a/x (2).txt", 1)), found{tree.Duplicate: "a/x (2).txt"}},
		"third copy":       {append(base(), file("photo (3).jpg", 3)), found{tree.Duplicate: "photo (3).jpg"}},
		"other content beside": {
			append(base(), file("a/x (2).txt", 9)), found{tree.Extra: "a/x (2).txt"},
		},
		"listed twice":       {append(base(), file("a/x.txt", 1)), found{tree.Duplicate: "a/x.txt"}},
		"extra listed twice": {append(base(), file("z", 1), file("z", 1)), found{tree.Extra: "z", tree.Duplicate: "z"}},
		"folder for a file":  {edit("a/x.txt", func(e *tree.Entry) { *e = folder(e.Path) }), found{tree.Kind: "a/x.txt"}},
		"file for a folder":  {edit("empty", func(e *tree.Entry) { *e = file(e.Path, 1) }), found{tree.Kind: "empty"}},
		"size":               {edit("a/x.txt", func(e *tree.Entry) { e.Size = 11 }), found{tree.Size: "a/x.txt"}},
		"content":            {edit("a/x.txt", func(e *tree.Entry) { e.MD5[15] = 1 }), found{tree.Content: "a/x.txt"}},
		"time":               {edit("a/x.txt", func(e *tree.Entry) { e.ModTime = e.ModTime.Add(-time.Second) }), found{tree.ModTime: "a/x.txt"}},
		"name in other form": {
			edit("a/x.txt", func(e *tree.Entry) { e.Path = "a/X.txt" }), found{tree.Missing: "a/x.txt", tree.Extra: "a/X.txt"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			report, err := tree.Compare(listing(base()...), listing(c.target...))
			if err != nil {
				t.Fatal(err)
			}
			got := found{}
			for _, e := range report.Examples {
				got[e.Difference] = e.Path
				if report.Counts[e.Difference] != 1 {
					t.Errorf("%s counted %d times", e.Difference, report.Counts[e.Difference])
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("differences (-want +got):\n%s", diff)
			}
			if report.Differences() != len(c.want) {
				t.Errorf("%d differences, want %d", report.Differences(), len(c.want))
			}
		})
	}
}

func TestCompareFailsWithAListing(t *testing.T) {
	t.Parallel()
	cut := errors.New("cut")
	broken := func(yield func(tree.Entry, error) bool) {
		_ = yield(file("a/x.txt", 1), nil) && yield(tree.Entry{}, cut)
	}
	if _, err := tree.Compare(broken, listing()); !errors.Is(err, cut) {
		t.Errorf("source: %v", err)
	}
	if _, err := tree.Compare(listing(), broken); !errors.Is(err, cut) {
		t.Errorf("target: %v", err)
	}
}

// Not parallel: it measures the heap.
func TestCompareNeeds200BytesAnEntry(t *testing.T) {
	const entries, limit = 200_000, 200
	many := func(before func()) iter.Seq2[tree.Entry, error] {
		return func(yield func(tree.Entry, error) bool) {
			before()
			for i := range entries {
				path := fmt.Sprintf("some folder/of a usual/depth and length/file number %07d.txt", i)
				if !yield(file(path, byte(i)), nil) {
					return
				}
			}
		}
	}
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	var empty, full uint64
	report, err := tree.Compare(many(func() { empty = heap() }), many(func() { full = heap() }))
	if err != nil || report.Differences() != 0 {
		t.Fatalf("%v, %v", report, err)
	}
	if each := (full - empty) / entries; each > limit {
		t.Errorf("%d bytes an entry, want at most %d", each, limit)
	}
}

func TestReportPrintsWhatWasCompared(t *testing.T) {
	t.Parallel()
	target := append(base()[1:], file("new\n.txt", 1))
	target[0].Size = 12_345
	report, err := tree.Compare(listing(base()...), listing(target...))
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := report.WriteTable(&out); err != nil {
		t.Fatal(err)
	}
	want := `
              source   target
    files          4        5
  folders          2        1
    bytes         40   12,385

         checked   compared   different
         missing          6           1
           extra          6           1
           twice          6           0
  file or folder          5           0
            size          4           1
             MD5          4           0
           mtime          4           0

3 differences, of each kind at most 10 shown:
  size           "a/x.txt": source has 10 bytes, target 12345
  extra          "new\n.txt": a file of the target alone
  missing        "a": a folder of the source alone
`
	got := strings.TrimRight(out.String(), " ")
	if diff := cmp.Diff(strings.Fields(want), strings.Fields(got)); diff != "" {
		t.Errorf("table (-want +got):\n%s\n%s", diff, got)
	}
}

func TestReportKeepsAFewExamples(t *testing.T) {
	t.Parallel()
	var entries []tree.Entry
	for i := range 1000 {
		entries = append(entries, file(fmt.Sprintf("%04d", i), 1))
	}
	report, err := tree.Compare(listing(entries...), listing())
	if err != nil {
		t.Fatal(err)
	}
	if report.Counts[tree.Missing] != 1000 || len(report.Examples) != 10 || report.Examples[9].Path != "0009" {
		t.Errorf("%d missing, examples %v", report.Counts[tree.Missing], report.Examples)
	}
}
