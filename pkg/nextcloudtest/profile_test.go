package nextcloudtest_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.org/ncm/pkg/nextcloudtest"
)

// withCosts is a simulator with the costs of the recorded server.
func withCosts(t *testing.T) *client {
	t.Helper()
	p, err := nextcloudtest.ProfileNamed("nextcloud32")
	if err != nil {
		t.Fatal(err)
	}
	return newClient(t, nextcloudtest.Config{Profile: p})
}

// notQuicker fails when something was quicker than the recorded server is, by more
// than a tenth. How much slower it was is this machine's business.
func notQuicker(t *testing.T, what string, units, perSecond float64, took time.Duration) {
	t.Helper()
	rate := units / took.Seconds()
	t.Logf("%s: %.1f a second, recorded %.1f", what, rate, perSecond)
	if rate > 1.1*perSecond {
		t.Errorf("%s: %.1f a second, recorded %.1f", what, rate, perSecond)
	}
}

// timed gives how long a request takes that must succeed.
func (c *client) timed(method, target string, header ...string) (time.Duration, answer) {
	c.t.Helper()
	start := time.Now()
	a, err := c.call(method, target, "", header...)
	if err != nil || a.status > 299 {
		c.t.Fatalf("%s %s: %d, %v", method, target, a.status, err)
	}
	return time.Since(start), a
}

func TestRecordedCostsOfSingleFiles(t *testing.T) {
	t.Parallel()
	c := withCosts(t)
	c.write("a.txt", "x")
	const many = 16
	start := time.Now()
	var all sync.WaitGroup
	var failed atomic.Int64
	for range many {
		all.Go(func() {
			if a, err := c.call("GET", files+"a.txt", ""); err != nil || a.status != http.StatusOK {
				failed.Add(1)
			}
		})
	}
	all.Wait()
	if failed.Load() > 0 {
		t.Errorf("%d requests failed", failed.Load())
	}
	notQuicker(t, "files at once", many, 33, time.Since(start))

	took, _ := c.timed("GET", files+"a.txt")
	notQuicker(t, "a file", 1, 16.7, took)
	c.password = rightPassword
	took, _ = c.timed("GET", files+"a.txt")
	notQuicker(t, "a file by login password", 1, 1/0.455, took)
}

func TestRecordedCostsOfArchives(t *testing.T) {
	t.Parallel()
	c := withCosts(t)
	const members = 100
	c.ok(c.srv.AddGeneratedFolder("alice", "small", members, 10_000))
	took, a := c.timed("GET", files+"small?accept=zip")
	if n := strings.Count(a.body, "PK\x01\x02"); n < members {
		t.Errorf("%d members", n)
	}
	notQuicker(t, "members of an archive", members, 270, took)
}

func TestRecordedCostsOfListings(t *testing.T) {
	t.Parallel()
	c := withCosts(t)
	const entries = 5000
	c.ok(c.srv.AddGeneratedTree("alice", "tree", entries, 0, 1))
	took, a := c.timed("PROPFIND", files+"tree", "Depth", "infinity")
	if n := strings.Count(a.body, "<d:response>"); n != entries+6 {
		t.Errorf("%d entries", n)
	}
	notQuicker(t, "entries of a whole tree", entries, 15_000, took)
	took, _ = c.timed("PROPFIND", files+"tree", "Depth", "1")
	notQuicker(t, "a folder", 1, 1/0.057, took)
}

func TestRecordedCostsOfBytes(t *testing.T) {
	t.Parallel()
	c := withCosts(t)
	const size = 64_000_000
	c.ok(c.srv.AddGenerated("alice", "large.bin", size, 1))
	took, a := c.timed("GET", files+"large.bin")
	if len(a.body) != size {
		t.Errorf("%d bytes", len(a.body))
	}
	notQuicker(t, "MB", size/1e6, 278+5.56/0.23, took) // and a burst ahead
}

func TestFoldersToBeListedOnly(t *testing.T) {
	t.Parallel()
	c := newClient(t, nextcloudtest.Config{})
	c.ok(c.srv.AddGeneratedFolders("alice", "many", 30))
	a := c.must("PROPFIND", files+"many", `<d:propfind xmlns:d="DAV:"><d:prop><d:resourcetype/><oc:permissions xmlns:oc="http://owncloud.org/ns"/></d:prop></d:propfind>`, "Depth", "infinity")
	if n, closed := strings.Count(a.body, "<d:collection/>"), strings.Count(a.body, "RDNVW</oc:permissions>"); n != 31 || closed != 30 {
		t.Errorf("%d folders, %d unreadable files", n, closed)
	}
	file := fmt.Sprintf("many/d%08d/f%08d.bin", 29, 29)
	if a, err := c.call("GET", files+file, ""); err != nil || a.status != http.StatusForbidden {
		t.Errorf("an unreadable file is answered by %d, %v", a.status, err)
	}
}

func TestProfilesAreNamed(t *testing.T) {
	t.Parallel()
	if p, err := nextcloudtest.ProfileNamed(""); err != nil || p != (nextcloudtest.Profile{}) {
		t.Errorf("no name: %+v, %v", p, err)
	}
	if _, err := nextcloudtest.ProfileNamed("owncloud"); err == nil {
		t.Error("an unknown profile was found")
	}
}
