package cozytest_test

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"example.org/ncm/pkg/cozytest"
)

func TestDroppedContentsKeepTheirDigestAndTakeNoMemory(t *testing.T) {
	b := setup(t, cozytest.Config{}, cozytest.InstanceOptions{})
	const size = 256 << 20
	source := func() io.Reader { return io.LimitReader(rand.NewChaCha8([32]byte{1}), size) }
	sum := md5.New()
	if _, err := io.Copy(sum, source()); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	request := b.request(t.Context(), http.MethodPost, inRoot+"?Type=file&Name=big", source())
	request.ContentLength = size
	request.Header.Set("Content-Md5", base64.StdEncoding.EncodeToString(sum.Sum(nil)))
	answer, err := b.send(request)
	if err != nil || answer.StatusCode != http.StatusCreated {
		t.Fatalf("%v, %v", answer, err)
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 8<<20 {
		t.Errorf("%d bytes were allocated for a body of %d", grown, size)
	}
	entry, ok := b.inst.Lookup("/big")
	if !ok || entry.Size != size || entry.MD5 != hex.EncodeToString(sum.Sum(nil)) {
		t.Errorf("entry %+v", entry)
	}
	b.expect(http.StatusNotFound, http.MethodGet, "/files/download/"+entry.ID, "")
}

func TestStoredContentsComeBackAndGoWithTheirFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := setup(t, cozytest.Config{Dir: dir, VersionDelay: -1}, cozytest.InstanceOptions{})
	id := b.expect(http.StatusCreated, http.MethodPost, inRoot+"?Type=file&Name=f", "one").id()
	b.expect(http.StatusOK, http.MethodPut, "/files/"+id, "two")
	b.expect(http.StatusOK, http.MethodPut, "/files/"+id, "three")
	if got := b.expect(http.StatusOK, http.MethodGet, "/files/download/"+id, "").body; got != "three" {
		t.Errorf("content %q", got)
	}
	if n := countFiles(t, dir); n != 3 {
		t.Errorf("%d contents on disk, want the current one and two old ones", n)
	}
	if files, versions := b.inst.Usage(); files != 5 || versions != 6 {
		t.Errorf("usage %d and %d", files, versions)
	}
	b.expect(http.StatusNoContent, http.MethodDelete, "/files/trash/"+id, "")
	if n := countFiles(t, dir); n != 0 {
		t.Errorf("%d contents left on disk", n)
	}
}

func TestRefusedUploadsLeaveNothingOnDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := setup(t, cozytest.Config{Dir: dir}, cozytest.InstanceOptions{})
	request := b.request(t.Context(), http.MethodPost, inRoot+"?Type=file&Name=f", strings.NewReader("x"))
	request.Header.Set("Content-Md5", base64.StdEncoding.EncodeToString(make([]byte, md5.Size)))
	answer, err := b.send(request)
	if err != nil || answer.StatusCode != http.StatusPreconditionFailed {
		t.Fatalf("%v, %v", answer, err)
	}
	if n := countFiles(t, dir); n != 0 {
		t.Errorf("%d contents left on disk", n)
	}
}

func countFiles(t *testing.T, dir string) (n int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			n++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestOfUploadsOfOneNameOneWins has many clients create the same files in the
// same directories.
func TestOfUploadsOfOneNameOneWins(t *testing.T) {
	t.Parallel()
	b := setup(t, cozytest.Config{}, cozytest.InstanceOptions{})
	const clients, names = 8, 20
	counts := make(map[int]int)
	var mu sync.Mutex
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for i := range names {
				answer, err := b.send(b.request(t.Context(), http.MethodPost,
					fmt.Sprintf("%s?Type=file&Name=%d", inRoot, i), strings.NewReader(content)))
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				counts[answer.StatusCode]++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if counts[http.StatusCreated] != names || counts[http.StatusConflict] != (clients-1)*names {
		t.Errorf("statuses %v", counts)
	}
	if files, _ := b.inst.Usage(); files != names*int64(len(content)) {
		t.Errorf("usage %d", files)
	}
	stats := b.stack.Stats()["POST /files/:id"]
	if stats[http.StatusCreated] != names || b.stack.Count("POST /files/:id") != clients*names {
		t.Errorf("stats %v", stats)
	}
}

func TestOfOverlappingRecursiveCreationsOneWins(t *testing.T) {
	t.Parallel()
	b := setup(t, cozytest.Config{RecursiveRace: 300 * time.Millisecond}, cozytest.InstanceOptions{})
	const clients = 6
	statuses := make(chan int, clients)
	for i := range clients {
		go func() {
			answer, err := b.send(b.request(t.Context(), http.MethodPost,
				fmt.Sprintf("/files/?Type=directory&Path=/a/b/%d&Recursive=true", i), nil))
			if err != nil {
				t.Error(err)
			}
			statuses <- answer.StatusCode
		}()
	}
	counts := make(map[int]int)
	for range clients {
		counts[<-statuses]++
	}
	if counts[http.StatusCreated] != 1 || counts[http.StatusNotFound] != clients-1 {
		t.Errorf("statuses %v", counts)
	}
}

func TestWalkShowsTheWholeTree(t *testing.T) {
	t.Parallel()
	b := setup(t, cozytest.Config{}, cozytest.InstanceOptions{})
	dir := b.expect(http.StatusCreated, http.MethodPost, "/files/?Type=directory&Name=d", "").id()
	b.expect(http.StatusCreated, http.MethodPost,
		"/files/"+dir+"?Type=file&Name=f&CreatedAt=2001-02-03T04:05:06Z&UpdatedAt=2002-02-03T04:05:06Z&Tags=x&SourceAccount=acc", content)
	gone := b.expect(http.StatusCreated, http.MethodPost, "/files/"+dir+"?Type=directory&Name=g", "").id()
	b.expect(http.StatusOK, http.MethodDelete, "/files/"+gone, "")
	var got []string
	err := b.inst.Walk(func(e cozytest.Entry) error {
		got = append(got, fmt.Sprint(e.Path, e.Dir, e.Size, e.Trashed, e.Tags, e.Source))
		if e.Path == "/d/f" && e.UpdatedAt.Format(time.RFC3339) != "2002-02-03T04:05:06Z" {
			t.Errorf("updated at %v", e.UpdatedAt)
		}
		return nil
	})
	want := "/.cozy_trash true 0 true [] /.cozy_trash/g true 0 true [] /d true 0 false [] /d/f false 21 false [x] acc"
	if joined := strings.Join(strings.Fields(strings.Join(got, " ")), " "); err != nil || normalize(joined) != normalize(want) {
		t.Errorf("%v\n got %s\nwant %s", err, joined, want)
	}
}

func normalize(s string) string { return strings.ReplaceAll(s, " ", "") }

func TestDirectoriesThatMoveTakeTheirPathsAlong(t *testing.T) {
	t.Parallel()
	b := setup(t, cozytest.Config{}, cozytest.InstanceOptions{})
	a := b.expect(http.StatusCreated, http.MethodPost, "/files/?Type=directory&Name=a", "").id()
	inner := b.expect(http.StatusCreated, http.MethodPost, "/files/"+a+"?Type=directory&Name=b", "").id()
	b.expect(http.StatusOK, http.MethodPatch, "/files/"+a, `{"data":{"attributes":{"name":"z"}}}`)
	if got := b.expect(http.StatusOK, http.MethodGet, "/files/metadata?Path=/z/b", "").id(); got != inner {
		t.Errorf("found %q, want %q", got, inner)
	}
	b.expect(http.StatusNotFound, http.MethodGet, "/files/metadata?Path=/a/b", "")
	b.expect(http.StatusPreconditionFailed, http.MethodPatch, "/files/"+a,
		`{"data":{"attributes":{"dir_id":"`+inner+`"}}}`)
}

func TestListingsPageThroughALargeDirectory(t *testing.T) {
	t.Parallel()
	b := setup(t, cozytest.Config{}, cozytest.InstanceOptions{})
	const files = 95
	for i := range files {
		b.expect(http.StatusCreated, http.MethodPost, fmt.Sprintf("%s?Type=file&Name=%d", inRoot, i), "")
	}
	seen := make(map[string]bool)
	next := inRoot + "/relationships/contents?page[limit]=20"
	for pages := 0; next != ""; pages++ {
		var doc listing
		decode(t, b.expect(http.StatusOK, http.MethodGet, next, "").body, &doc)
		for _, entry := range doc.Data {
			seen[entry.ID] = true
		}
		if next = doc.Links.Next; pages > files {
			t.Fatal("the pages do not end")
		}
	}
	if len(seen) != files {
		t.Errorf("%d files seen, want %d", len(seen), files)
	}
}

type listing struct {
	Data  []struct{ ID string }
	Links struct{ Next string }
}

func BenchmarkSmallUpload(b *testing.B) {
	stack := cozytest.New(cozytest.Config{})
	inst := stack.AddInstance(host, cozytest.InstanceOptions{})
	token := inst.AppToken()
	body := strings.Repeat("x", 10_000)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		benchmarkUpload(b, stack, token, i, body)
	}
}
