package nextcloudtest_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.org/ncm/pkg/nextcloudtest"
)

func TestWrittenFilesAreThereWhole(t *testing.T) {
	t.Parallel()
	c := newClient(t, nextcloudtest.Config{})
	steps := []struct {
		method, path, body string
		header             []string
		status             int
	}{
		{"PUT", "no/parent.txt", "x", nil, 409},
		{"MKCOL", "dir", "", nil, 201},
		{"MKCOL", "dir", "", nil, 405},
		{"PUT", "dir/a.txt", "one", []string{"X-OC-Mtime", "1000000000"}, 201},
		{"PUT", "dir/a.txt", "two", nil, 204},
		{"PUT", "dir/.htaccess", "x", nil, 400},
		{"PUT", "dir/x.part", "x", nil, 400},
		{"PUT", "dir/" + strings.Repeat("n", 251), "x", nil, 400},
		{"MOVE", "dir/a.txt", "", []string{"Destination", c.url + files + "b%20c.txt"}, 201},
		{"COPY", "b%20c.txt", "", []string{"Destination", c.url + files + "dir/d.txt"}, 201},
		{"DELETE", "dir", "", nil, 204},
		{"GET", "dir/d.txt", "", nil, 404},
		{"GET", "b%20c.txt", "", nil, 200},
	}
	for _, s := range steps {
		if a := c.must(s.method, files+s.path, s.body, s.header...); a.status != s.status {
			t.Errorf("%s %s: status %d, want %d: %s", s.method, s.path, a.status, s.status, a.body)
		}
	}
	got, err := os.ReadFile(filepath.Join(c.srv.Root("alice"), "b c.txt"))
	if err != nil || string(got) != "two" {
		t.Errorf("on disk: %q, %v", got, err)
	}
}

func TestZipHasTheRecordedLayout(t *testing.T) {
	t.Parallel()
	c := newClient(t, nextcloudtest.Config{})
	c.write("dir/é.txt", "hello")
	c.write("dir/sub/b.txt", "")
	c.write("dir/a/1.txt", "hello")
	c.write("dir/b/c/3.txt", "hello")
	for query, want := range map[string][]string{
		`["é.txt","sub"]`: {"é.txt 5 0x808 0", "sub/ 0 0x0 0", "sub/b.txt 0 0x8 0"},
		// As a Nextcloud 32.0.2 answered.
		`["a/1.txt","b/c/3.txt"]`: {"a/1.txt 5 0x8 0", "b/c/3.txt 5 0x8 0"},
		`["b/c","a/1.txt"]`:       {"b/c/ 0 0x0 0", "b/c/3.txt 5 0x8 0", "a/1.txt 5 0x8 0"},
	} {
		a := c.must("GET", files+"dir?accept=zip&files="+url.QueryEscape(query), "")
		z, err := zip.NewReader(bytes.NewReader([]byte(a.body)), int64(len(a.body)))
		c.ok(err)
		var got []string
		for _, f := range z.File {
			got = append(got, fmt.Sprintf("%s %d %#x %d", f.Name, f.UncompressedSize64, f.Flags, f.Method))
			r, err := f.Open()
			c.ok(err)
			if _, err := io.Copy(io.Discard, r); err != nil { // the reader checks the CRC32
				t.Errorf("%s: %v", f.Name, err)
			}
		}
		if !equal(got, want) {
			t.Errorf("members of %s: %q, want %q", query, got, want)
		}
	}
	missing := c.must("GET", files+"dir?accept=zip&files="+url.QueryEscape(`["a/1.txt","a/gone.txt"]`), "")
	if missing.status != 404 || !strings.Contains(missing.body, "File with name /dir/a/gone.txt could not be located") {
		t.Errorf("a missing member: %d %s", missing.status, missing.body)
	}
}
