package tree_test

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/ncm/test/tree"
)

// seeded is a small tree with a copied part.
func seeded(t *testing.T) (dir string, counts tree.Counts) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "files")
	counts, err := tree.Seed(t.Context(), dir, tree.Options{From: fixture(t), Big: 3_000_000})
	if err != nil {
		t.Fatal(err)
	}
	return dir, counts
}

var old = time.Date(1998, time.May, 6, 7, 8, 9, 0, time.UTC)

func fixture(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, path := range []string{"a/one.go", "a/two.go", "b/c/three.go"} {
		full := filepath.Join(dir, path)
		err := errors.Join(os.MkdirAll(filepath.Dir(full), 0o755), os.WriteFile(full, []byte(path), 0o600), os.Chtimes(full, old, old))
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// disk is what a folder holds.
func disk(t *testing.T, dir string) map[string]tree.Entry {
	t.Helper()
	entries := map[string]tree.Entry{}
	for e, err := range tree.Disk(t.Context(), dir) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Folder {
			e.ModTime = time.Time{} // when it was made
		}
		entries[e.Path] = e
	}
	return entries
}

func TestSeedMakesTheSameTreeEachTime(t *testing.T) {
	t.Parallel()
	one, countsOne := seeded(t)
	two, countsTwo := seeded(t)
	if diff := cmp.Diff(disk(t, one), disk(t, two)); diff != "" {
		t.Errorf("trees differ:\n%s", diff)
	}
	if countsOne != countsTwo {
		t.Errorf("counts %+v and %+v", countsOne, countsTwo)
	}
}

func TestSeedCountsWhatItMade(t *testing.T) {
	t.Parallel()
	dir, counts := seeded(t)
	var totals tree.Totals
	for e := range maps.Values(disk(t, dir)) {
		if e.Folder {
			totals.Folders++
			continue
		}
		totals.Files++
		totals.Bytes += e.Size
	}
	if counts.Totals != totals {
		t.Errorf("counted %+v, made %+v", counts.Totals, totals)
	}
	if counts.Copied != 3 || counts.Files != counts.Copied+counts.Planted+1 {
		t.Errorf("%d copied and %d planted of %d files", counts.Copied, counts.Planted, counts.Files)
	}
}

func TestSeedHoldsWhatHurts(t *testing.T) {
	t.Parallel()
	dir, _ := seeded(t)
	entries := disk(t, dir)
	for _, path := range []string{
		"names/caf\u00e9.txt", "names/cafe\u0301.txt", "folders/caf\u00e9.txt/inside.txt", "folders/cafe\u0301.txt/inside.txt",
		"names/%2F", "names/😀.txt", "names/trailing ", "names/bidi \u202egpj.exe", "names/#hash.txt", "names/.hidden",
		"empty/in/one/in/another", "empty/empty.txt", "one big file.bin", "go/b/c/three.go",
	} {
		if _, ok := entries[path]; !ok {
			t.Errorf("no %q", path)
		}
	}
	if entries["names/caf\u00e9.txt"].MD5 == entries["names/cafe\u0301.txt"].MD5 {
		t.Error("NFC and NFD have one content: mixing them up would not show")
	}
	if got := entries["go/a/one.go"].ModTime; !got.Equal(old) {
		t.Errorf("a copied file is of %s, want %s", got, old)
	}
	if got := entries["times/zip epoch.txt"].ModTime; got.Unix() != 315532800 {
		t.Errorf("a planted file is of %s", got)
	}
	longest := 0
	for path := range entries {
		longest = max(longest, len(filepath.Base(path)))
	}
	if longest != 240 {
		t.Errorf("the longest name has %d bytes", longest)
	}
}

func TestSeedCopiesNoMoreThanAsked(t *testing.T) {
	t.Parallel()
	counts, err := tree.Seed(t.Context(), t.TempDir(), tree.Options{From: fixture(t), MaxFiles: 2})
	if err != nil || counts.Copied != 2 {
		t.Errorf("copied %d, %v", counts.Copied, err)
	}
}

func TestSeedRefusesAFolderInUse(t *testing.T) {
	t.Parallel()
	if _, err := tree.Seed(t.Context(), fixture(t), tree.Options{}); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("error %v", err)
	}
}

func TestSeedEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := tree.Seed(ctx, t.TempDir(), tree.Options{Big: 1 << 40}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}
