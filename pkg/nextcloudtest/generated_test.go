package nextcloudtest_test

import (
	"bufio"
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"example.org/ncm/pkg/nextcloudtest"
)

// Not parallel: it measures the heap of the whole process.
func TestListingOfAHugeFolderIsStreamedInFlatMemory(t *testing.T) {
	c := newClient(t, nextcloudtest.Config{})
	const n = 100_000
	c.ok(c.srv.AddGeneratedFolder("alice", "many", n, 10))
	req, err := http.NewRequestWithContext(t.Context(), "PROPFIND", c.url+files+"many/", strings.NewReader(smallProps))
	c.ok(err)
	req.SetBasicAuth("alice", "token")
	res, err := c.http.Transport.RoundTrip(req)
	c.ok(err)
	defer func() { _ = res.Body.Close() }()
	var before, peak runtime.MemStats
	runtime.ReadMemStats(&before)
	responses := countResponses(t, res.Body, func(i int) {
		if i == n/2 {
			runtime.ReadMemStats(&peak)
		}
	})
	if responses != n+1 {
		t.Errorf("%d responses, want %d", responses, n+1)
	}
	if grown := int64(peak.HeapInuse) - int64(before.HeapInuse); grown > 32<<20 {
		t.Errorf("heap grew by %d MB in the middle of the listing", grown>>20)
	}
}

// countResponses reads no XML: a decoder would take most of the test's time.
func countResponses(t *testing.T, r io.Reader, each func(int)) int {
	t.Helper()
	n := 0
	in := bufio.NewReader(r)
	for {
		tag, err := in.ReadSlice('>')
		if errors.Is(err, io.EOF) {
			return n
		}
		if err != nil {
			t.Fatal(err)
		}
		if bytes.HasSuffix(tag, []byte("<d:response>")) {
			n++
			each(n)
		}
	}
}

func TestGeneratedTreeIsFoundByItsListing(t *testing.T) {
	t.Parallel()
	c := newClient(t, nextcloudtest.Config{})
	c.ok(c.srv.AddGeneratedTree("alice", "in/tree", 2500, 0, 100))
	a := c.must("PROPFIND", files+"in/tree/", smallProps, "Depth", "infinity")
	all := responses(a.body)
	if len(all) != 1+3+2500 {
		t.Fatalf("%d responses, want 2504", len(all))
	}
	ids := make(map[string]bool)
	for p, r := range all {
		v := r.values("200")
		if ids[v["fileid"]] {
			t.Fatalf("file id %s of %s is not the only one", v["fileid"], p)
		}
		ids[v["fileid"]] = true
	}
	if size := all[files+"in/tree/"].values("200")["size"]; size != "250000" {
		t.Errorf("size %s, want 250000", size)
	}
	last := c.must("GET", files+"in/tree/d00000002/f00002499.bin", "")
	if last.status != http.StatusOK || len(last.body) != 100 {
		t.Errorf("status %d, %d bytes", last.status, len(last.body))
	}
	if a := c.must("GET", files+"in/tree/d00000000/f00002499.bin", ""); a.status != http.StatusNotFound {
		t.Errorf("status %d for a file in the wrong folder", a.status)
	}
}

func TestGeneratedFileIsTheSameFromEveryOffset(t *testing.T) {
	t.Parallel()
	c := newClient(t, nextcloudtest.Config{})
	c.ok(c.srv.AddGenerated("alice", "big.bin", 100_003, 7))
	whole := c.must("GET", files+"big.bin", "").body
	sum := md5.Sum([]byte(whole))
	if want, err := c.srv.MD5("alice", "big.bin"); err != nil || want != hex.EncodeToString(sum[:]) {
		t.Errorf("digest %s, %v, does not belong to what was sent", want, err)
	}
	for _, from := range []int{0, 1, 7, 8, 9, 4095, 100_002} {
		a := c.must("GET", files+"big.bin", "", "Range", fmt.Sprintf("bytes=%d-", from))
		if a.status != http.StatusPartialContent || a.body != whole[from:] {
			t.Errorf("from %d: status %d, %d bytes that differ", from, a.status, len(a.body))
		}
	}
}
