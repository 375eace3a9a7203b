package nextcloud_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.org/ncm/pkg/nextcloudtest"
	"example.org/ncm/services/migrator/internal/nextcloud"
	"example.org/ncm/services/migrator/internal/transfer"
)

// listFunc is a way to list a folder.
type listFunc func(*nextcloud.Source, context.Context, string, func(transfer.Entry) error) (transfer.Entry, error)

// walk lists everything as the engine does, and gives the size of each entry, -1 for
// folders, by path. A folder that fails is in failed.
func walk(t *testing.T, s *nextcloud.Source, list listFunc) (found map[string]int64, failed []string) {
	t.Helper()
	found = map[string]int64{}
	var later []string
	for left := []string{""}; len(left) > 0; left = left[1:] {
		folder := left[0]
		self, err := list(s, t.Context(), folder, func(e transfer.Entry) error {
			p := path.Join(folder, e.Name)
			if _, twice := found[p]; twice {
				t.Errorf("%q is listed twice", p)
			}
			if found[p] = e.Size; e.Folder {
				found[p] = -1
				if e.SkipReason == "" {
					left = append(left, p)
				}
			}
			return nil
		})
		if errors.Is(err, transfer.ErrLater) {
			later = append(later, folder)
		} else if err != nil {
			failed = append(failed, folder)
		} else if folder != "" && (self.Name != path.Base(folder) || self.ETag == "") {
			t.Errorf("%q is told to be %+v", folder, self)
		}
		if len(left) == 1 && len(later) > 0 {
			s.Forget()
			left, later = append(left, later...), nil
		}
	}
	return found, failed
}

func wantSameWalk(t *testing.T, s *nextcloud.Source) map[string]int64 {
	t.Helper()
	plain, plainFailed := walk(t, s, (*nextcloud.Source).List)
	trees, treesFailed := walk(t, s, (*nextcloud.Source).ListInTree)
	if diff := cmp.Diff(plain, trees); diff != "" {
		t.Errorf("folder by folder (-), by trees (+):\n%s", diff)
	}
	slices.Sort(plainFailed)
	slices.Sort(treesFailed)
	if diff := cmp.Diff(plainFailed, treesFailed); diff != "" {
		t.Errorf("failed folder by folder (-), by trees (+):\n%s", diff)
	}
	return trees
}

// plant makes folders of some depth with n files in each.
func plant(t *testing.T, c *cloud, top string, n int) {
	t.Helper()
	for _, folder := range []string{"a", "a/b", "a/b/c", "d e#%/f", "g"} {
		for i := range n {
			c.write(t, fmt.Sprintf("%s/%s/%d.txt", top, folder, i), strings.Repeat("x", i))
		}
	}
}

func TestTreesListWhatFoldersDoWithFewerRequests(t *testing.T) {
	t.Parallel()
	c := newCloud(t, "top.txt")
	for _, top := range []string{"one", "two ü", "three"} {
		plant(t, c, top, 3)
	}
	for _, name := range oddNames {
		c.write(t, "odd/"+name+" d/"+name, "content of "+name)
	}
	s := c.source(t)
	found := wantSameWalk(t, s)
	if len(found) < 60 {
		t.Fatalf("only %d entries", len(found))
	}
	before := c.requests(t, "PROPFIND")
	walk(t, c.source(t), (*nextcloud.Source).ListInTree)
	if n := c.requests(t, "PROPFIND") - before; n != 1+4 {
		t.Errorf("%d requests, want one for the root and one for each folder in it", n)
	}
}

func TestFoldersThatATreeMayHideAreListedByThemselves(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	plant(t, c, "top", 3)
	c.write(t, "top/empty/", "")
	c.write(t, "top/latin/\xe9.txt", "a name that makes its folder fail")
	c.write(t, "top/unscanned/inside/file.txt", "content")
	c.write(t, "top/offline/file.txt", "content")
	c.write(t, "top/vault/secret", "content")
	for p, mount := range map[string]nextcloudtest.Mount{
		"top/unscanned": {Type: "external", Unscanned: true}, "top/offline": {Type: "external", Offline: true},
	} {
		if err := c.SetMount(userID, p, mount); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.SetEncrypted(userID, "top/vault", true); err != nil {
		t.Fatal(err)
	}
	found := wantSameWalk(t, c.source(t))
	if _, there := found["top/unscanned/inside/file.txt"]; !there {
		t.Error("what is in the storage that was never scanned is lost")
	}
	_, failed := walk(t, c.source(t), (*nextcloud.Source).ListInTree)
	slices.Sort(failed)
	if want := []string{"top/latin", "top/offline"}; !slices.Equal(failed, want) {
		t.Errorf("failed: %q, want %q", failed, want)
	}
}

func TestATreeThatCanNotBeBelievedCostsNothingButTime(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]nextcloudtest.Fault{
		"refused":   {Status: 403},
		"broken":    {Status: 500},
		"malformed": {MalformedMultistatus: true},
		"endless":   {EndlessMultistatus: true},
		"hostile":   {HostileHrefs: true},
		"cut":       {TruncateAfter: 3000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCloud(t)
			plant(t, c, "one", 2)
			plant(t, c, "two", 2)
			want, _ := walk(t, c.source(t), (*nextcloud.Source).List)
			fault.Depth, fault.Times = "infinity", -1
			c.Inject(fault)
			got, failed := walk(t, c.source(t), (*nextcloud.Source).ListInTree)
			if diff := cmp.Diff(want, got); diff != "" || len(failed) > 0 {
				t.Errorf("failed %q, difference:\n%s", failed, diff)
			}
		})
	}
}

func TestAFolderTooLargeForATreeIsListedByItself(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	if err := c.AddGeneratedFolder(userID, "huge/flat", 25_000, 10); err != nil {
		t.Fatal(err)
	}
	plant(t, c, "small", 2)
	found := wantSameWalk(t, c.source(t))
	if len(found) < 25_000 {
		t.Errorf("%d entries", len(found))
	}
}

// What does not fit beside other trees waits until their folders are listed, and then
// comes as a tree, too.
func TestATreeThatLacksRoomIsAskedForLater(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	const tops, folders = 5, 3000
	for n := range tops {
		if err := c.AddGeneratedFolders(userID, fmt.Sprintf("top%d", n), folders); err != nil {
			t.Fatal(err)
		}
	}
	before := c.requests(t, "PROPFIND")
	s := c.source(t)
	found, failed := walk(t, s, (*nextcloud.Source).ListInTree)
	if want := tops * (1 + 2*folders); len(found) != want || len(failed) > 0 {
		t.Errorf("%d entries, want %d; failed: %v", len(found), want, failed)
	}
	if n := c.requests(t, "PROPFIND") - before; n > 1+2*tops {
		t.Errorf("%d requests for %d trees", n, tops)
	}
}

// TestATreeOfLongTextsIsNotHeld has a server that says as much of each entry as it
// may: not many entries, and more than any honest tree to hold.
func TestATreeOfLongTextsIsNotHeld(t *testing.T) {
	t.Parallel()
	listing := func(files int, text string) io.Reader {
		var doc strings.Builder
		add := func(name, kind string, size int, text string) {
			fmt.Fprintf(&doc, `<d:response><d:href>/remote.php/dav/files/alice/top/%s</d:href><d:propstat><d:prop>`+
				`<d:resourcetype>%s</d:resourcetype><d:getcontentlength>%d</d:getcontentlength><oc:size>%d</oc:size>`+
				`<d:getetag>"e%s"</d:getetag><oc:fileid>1%s</oc:fileid><oc:checksums><oc:checksum>%s</oc:checksum></oc:checksums>`+
				`</d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response>`, name, kind, size, size, text, text, text)
		}
		add("", "<d:collection/>", files, "")
		for i := range files {
			add(strconv.Itoa(i), "", 1, text)
		}
		return strings.NewReader(head + doc.String() + tail)
	}
	for name, tt := range map[string]struct {
		text string
		want int
	}{"short": {"x", 4000}, "long": {strings.Repeat("x", 1000), 1}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := simple(t, func(r *http.Request) (*http.Response, error) {
				if r.Header.Get("Depth") == "infinity" {
					return answer(http.StatusMultiStatus, nil, listing(4000, tt.text)), nil
				}
				return answer(http.StatusMultiStatus, nil, listing(1, "")), nil
			})
			children := 0
			_, err := s.ListInTree(t.Context(), "top", func(transfer.Entry) error { children++; return nil })
			if err != nil || children != tt.want {
				t.Errorf("%d children, %v; want %d", children, err, tt.want)
			}
		})
	}
}

func TestAServerThatRefusesTreesIsAskedFewTimes(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	for i := range 10 {
		c.write(t, fmt.Sprintf("top%d/sub/file", i), "content")
	}
	plain := c.requests(t, "PROPFIND")
	want, _ := walk(t, c.source(t), (*nextcloud.Source).List)
	plain = c.requests(t, "PROPFIND") - plain
	c.Inject(nextcloudtest.Fault{Depth: "infinity", Status: 403, Times: -1})
	before := c.requests(t, "PROPFIND")
	got, _ := walk(t, c.source(t), (*nextcloud.Source).ListInTree)
	if !maps.Equal(want, got) {
		t.Errorf("got %v, want %v", got, want)
	}
	if n := c.requests(t, "PROPFIND") - before; n > plain+3 {
		t.Errorf("%d requests, %d folder by folder", n, plain)
	}
}

func TestAFileThatTakesAFoldersPlaceIsNotAFolder(t *testing.T) {
	t.Parallel()
	c := newCloud(t, "top/sub/file")
	s := c.source(t)
	if err := os.RemoveAll(filepath.Join(c.Root(userID), "top")); err != nil {
		t.Fatal(err)
	}
	c.write(t, "top", "content")
	_, err := s.ListInTree(t.Context(), "top", func(transfer.Entry) error { return nil })
	wantError(t, err, transfer.EntryFails, transfer.ReasonNotFound)
}
