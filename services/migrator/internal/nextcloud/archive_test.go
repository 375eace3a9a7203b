package nextcloud_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.org/ncm/pkg/nextcloudtest"
	"example.org/ncm/services/migrator/internal/nextcloud"
	"example.org/ncm/services/migrator/internal/transfer"
)

// bundle lists a folder's files as the engine would ask for them.
func bundle(t *testing.T, s *nextcloud.Source, folder string) []transfer.File {
	t.Helper()
	_, entries, err := list(t.Context(), s, folder)
	if err != nil {
		t.Fatal(err)
	}
	var files []transfer.File
	for _, e := range entries {
		if !e.Folder {
			files = append(files, transfer.File{Name: e.Name, FolderPath: folder, Size: e.Size, ModTime: e.ModTime})
		}
	}
	return files
}

// archived gives what came of a bundle, by name.
func archived(t *testing.T, s *nextcloud.Source, folder string, files []transfer.File) (map[string]string, error) {
	t.Helper()
	got := map[string]string{}
	err := s.Archive(t.Context(), folder, files, func(i int, content []byte) error {
		if _, twice := got[files[i].Name]; twice {
			t.Errorf("%q came twice", files[i].Name)
		}
		got[files[i].Name] = string(content)
		return nil
	})
	return got, err
}

func TestAnArchiveBringsEveryFileWhole(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	for _, name := range oddNames {
		c.write(t, "Root #1%/"+name, "content of "+name)
	}
	c.write(t, "Root #1%/empty", "")
	c.write(t, "Root #1%/folder/not asked for", "x")
	for i, year := range []int{1971, 1999, 2038, 2120} {
		c.write(t, fmt.Sprint("Root #1%/", year), strings.Repeat("y", i*1000))
		at := time.Date(year, 7, 8, 9, 10, 11, 0, time.UTC)
		if err := os.Chtimes(filepath.Join(c.Root(userID), "Root #1%", fmt.Sprint(year)), at, at); err != nil {
			t.Fatal(err)
		}
	}
	s := c.source(t)
	files := bundle(t, s, "Root #1%")
	got, err := archived(t, s, "Root #1%", files)
	if err != nil || len(got) != len(files) {
		t.Fatalf("%d of %d files came, error %v", len(got), len(files), err)
	}
	for _, name := range oddNames {
		if got[name] != "content of "+name {
			t.Errorf("%q came as %q", name, got[name])
		}
	}
	if content, came := got["empty"]; !came || content != "" {
		t.Errorf("the empty file came as %q, %v", content, came)
	}
}

func TestAnArchiveBringsFilesOfSeveralFolders(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	want := map[string]string{}
	for i, name := range oddNames {
		p := fmt.Sprintf("top/%d #1%%/%s", i, name)
		want[p] = "content of " + p
		c.write(t, p, want[p])
	}
	want["top/same"], want["top/a/same"], want["top/a/b/same"] = "1", "2", "3"
	for p, content := range want {
		c.write(t, p, content)
	}
	s := c.source(t)
	for _, top := range []string{"", "top"} {
		var files []transfer.File
		for p := range want {
			files = append(files, bundleOf(t, s, p))
		}
		got := map[string]string{}
		err := s.Archive(t.Context(), top, files, func(i int, content []byte) error {
			got[files[i].Path()] = string(content)
			return nil
		})
		if err != nil || !maps.Equal(got, want) {
			t.Errorf("below %q: got %v, error %v", top, got, err)
		}
	}
}

// bundleOf asks for one file as it is listed.
func bundleOf(t *testing.T, s *nextcloud.Source, p string) transfer.File {
	t.Helper()
	e, err := s.Stat(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	return transfer.File{Name: path.Base(p), FolderPath: path.Dir(p), Size: e.Size, ModTime: e.ModTime}
}

func TestManyLongNamesAreAskedForInSeveralArchives(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	for i := range 60 {
		c.write(t, fmt.Sprintf("d/%s %d", strings.Repeat("ü", 100), i), "content")
	}
	s := c.source(t)
	before := c.requests(t, "GET")
	files := bundle(t, s, "d")
	got, err := archived(t, s, "d", files)
	if err != nil || len(got) != 60 {
		t.Fatalf("%d of 60 files came, error %v", len(got), err)
	}
	if n := c.requests(t, "GET") - before; n < 2 || n > 10 {
		t.Errorf("%d requests", n)
	}
}

func TestABrokenArchiveCostsOnlyWhatIsMissing(t *testing.T) {
	t.Parallel()
	c := newCloud(t, "d/1", "d/2", "d/3", "d/4")
	s := c.source(t)
	files := bundle(t, s, "d")
	for name, spoil := range map[string]func(){
		"the server can't read one": func() {
			if err := c.SetLock(userID, "d/3", nextcloudtest.Lock{Exclusive: true}); err != nil {
				t.Fatal(err)
			}
		},
		"cut": func() { c.Inject(nextcloudtest.Fault{Method: "GET", PathPrefix: "/remote.php", TruncateAfter: 150}) },
	} {
		t.Run(name, func(t *testing.T) {
			spoil()
			got, err := archived(t, s, "d", files)
			wantError(t, err, transfer.Again, transfer.ReasonIncomplete)
			if len(got) == 0 || len(got) == len(files) {
				t.Errorf("%d of %d files came", len(got), len(files))
			}
			for file, content := range got {
				if content != "content of "+file {
					t.Errorf("%q came as %q", file, content)
				}
			}
		})
	}
}

func TestWhatIsNotAsListedDoesNotCome(t *testing.T) {
	t.Parallel()
	c := newCloud(t, "d/1", "d/2", "d/3")
	s := c.source(t)
	files := bundle(t, s, "d")
	later := files[1].ModTime.Add(10 * time.Second)
	if err := os.Chtimes(filepath.Join(c.Root(userID), "d/2"), later, later); err != nil {
		t.Fatal(err)
	}
	got, err := archived(t, s, "d", files)
	if _, came := got["2"]; err != nil || came || len(got) != 2 {
		t.Errorf("after a change of time: %q came, error %v", got, err)
	}
	c.write(t, "d/1", "longer than it was listed")
	got, err = archived(t, s, "d", files)
	if _, came := got["1"]; err == nil || came {
		t.Errorf("after a change of size: %q came, error %v", got, err)
	}
}

func TestAServerWithoutArchivesIsNoticed(t *testing.T) {
	t.Parallel()
	sim := nextcloudtest.New(nextcloudtest.Config{Dir: t.TempDir(), Version: nextcloudtest.Version24})
	c := serve(t, sim, "")
	c.write(t, "d/1", "content")
	s := c.source(t)
	if got, err := archived(t, s, "d", bundle(t, s, "d")); !errors.Is(err, transfer.ErrNoArchives) || len(got) != 0 {
		t.Errorf("%q came, error %v", got, err)
	}
}

func TestTheErrorOfTheReceiverEndsAnArchive(t *testing.T) {
	t.Parallel()
	c := newCloud(t, "d/1", "d/2")
	s := c.source(t)
	full := errors.New("no room")
	err := s.Archive(t.Context(), "d", bundle(t, s, "d"), func(int, []byte) error { return full })
	if !errors.Is(err, full) {
		t.Errorf("got %v", err)
	}
}
