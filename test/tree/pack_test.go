package tree_test

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"example.org/ncm/test/tree"
)

func TestPackedTreeComesOutAsItWas(t *testing.T) {
	t.Parallel()
	dir, counts := seeded(t)
	to := t.TempDir()
	if err := os.WriteFile(filepath.Join(to, "from before"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	if err := tree.Pack(t.Context(), &packed, dir); err != nil {
		t.Fatal(err)
	}
	totals, err := tree.Unpack(t.Context(), &packed, to)
	if err != nil || totals != counts.Totals {
		t.Errorf("unpacked %+v of %+v: %v", totals, counts.Totals, err)
	}
	want, got := disk(t, dir), disk(t, to)
	for path, e := range want {
		if got[path] != e {
			t.Errorf("%q is %+v, want %+v", path, got[path], e)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d entries, want %d", len(got), len(want))
	}
}

func TestUnpackWritesNowhereElse(t *testing.T) {
	t.Parallel()
	for name, header := range map[string]*tar.Header{
		"parent":   {Typeflag: tar.TypeReg, Name: "../outside"},
		"absolute": {Typeflag: tar.TypeReg, Name: "/outside"},
		"link":     {Typeflag: tar.TypeSymlink, Name: "link", Linkname: "/"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			top := t.TempDir()
			dir := filepath.Join(top, "files")
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			var packed bytes.Buffer
			w := tar.NewWriter(&packed)
			if err := w.WriteHeader(header); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := tree.Unpack(t.Context(), &packed, dir); err == nil {
				t.Error("no error")
			}
			if entries := disk(t, top); len(entries) != 1 {
				t.Errorf("wrote %v", entries)
			}
		})
	}
}

func TestUnpackTellsOfACutTar(t *testing.T) {
	t.Parallel()
	dir, _ := seeded(t)
	var packed bytes.Buffer
	if err := tree.Pack(t.Context(), &packed, dir); err != nil {
		t.Fatal(err)
	}
	packed.Truncate(packed.Len() / 2)
	if _, err := tree.Unpack(t.Context(), &packed, t.TempDir()); err == nil {
		t.Error("no error")
	}
}
