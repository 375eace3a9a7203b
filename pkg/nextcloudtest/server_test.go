package nextcloudtest_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"example.org/ncm/pkg/nextcloudtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const files = "/remote.php/dav/files/alice/"

func TestUserIDMayDifferFromEveryLogin(t *testing.T) {
	t.Parallel()
	c := newClient(t, nextcloudtest.Config{SubPath: "/cloud"})
	c.ok(c.srv.AddUser(nextcloudtest.User{
		ID: "Zoë Doe@corp", Logins: []string{"zoe"}, Email: "zoe@example.org", Password: "pw",
		AppPasswords: []nextcloudtest.AppPassword{{Token: "zt"}},
	}))
	c.ok(os.WriteFile(filepath.Join(c.srv.Root("Zoë Doe@corp"), "a b.txt"), []byte("x"), 0o600))
	c.login, c.password = "ZOE", "zt"
	if a := c.must("GET", "/ocs/v2.php/cloud/user?format=json", "", "OCS-APIRequest", "true"); !strings.Contains(a.body, `"id":"Zo\u00eb Doe@corp"`) {
		t.Errorf("id is not in %s", a.body)
	}
	a := c.must("PROPFIND", "/remote.php/dav/files/Zo%C3%AB%20Doe@corp/", "", "Depth", "1")
	if want := "<d:href>/cloud/remote.php/dav/files/Zo%c3%ab%20Doe@corp/a%20b.txt</d:href>"; !strings.Contains(a.body, want) {
		t.Errorf("%s is not in %s", want, a.body)
	}
	c.login = "zoe@example.org"
	if a := c.must("GET", "/ocs/v2.php/cloud/user", "", "OCS-APIRequest", "true"); a.status != http.StatusUnauthorized {
		t.Errorf("status %d: an app password works only with the login it was made for", a.status)
	}
}

func TestETagsFollowTheContentUpToTheRoot(t *testing.T) {
	t.Parallel()
	c := newClient(t, nextcloudtest.Config{})
	c.write("a/b/c.txt", "one")
	etags := func() map[string]string {
		out := make(map[string]string)
		for p, r := range responses(c.must("PROPFIND", files, smallProps, "Depth", "infinity").body) {
			out[p] = r.values("200")["getetag"] + r.values("200")["fileid"]
		}
		return out
	}
	before := etags()
	if again := etags(); !mapsEqual(before, again) {
		t.Errorf("etags or ids changed by themselves: %v, %v", before, again)
	}
	c.write("a/b/c.txt", "three")
	for p, etag := range etags() {
		if etag == before[p] {
			t.Errorf("the etag of %s did not change", p)
		}
	}
}

func mapsEqual(a, b map[string]string) bool {
	for k, v := range a {
		if b[k] != v {
			return false
		}
	}
	return len(a) == len(b)
}

func TestChecksumsAreComputedOnlyOnDemandAndNotOverAClaim(t *testing.T) {
	t.Parallel()
	for _, on := range []bool{false, true} {
		c := newClient(t, nextcloudtest.Config{Checksums: on})
		c.write("a.txt", "hello")
		c.write("b.txt", "hello")
		c.ok(c.srv.SetChecksum("alice", "b.txt", "SHA1:0000"))
		want := ""
		if on {
			want = "MD5:5d41402abc4b2a76b9719d911017c592 SHA1:aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d"
		}
		if got := c.must("GET", files+"a.txt", "").header.Get("OC-Checksum"); got != want {
			t.Errorf("computed %v: %q, want %q", on, got, want)
		}
		if got := c.must("GET", files+"b.txt", "").header.Get("OC-Checksum"); got != "SHA1:0000" {
			t.Errorf("claimed: %q", got)
		}
	}
}

func TestUnscannedMountIsEmptyAtDepthInfinity(t *testing.T) {
	t.Parallel()
	c := newClient(t, nextcloudtest.Config{})
	c.write("ext/new/n.txt", "abc")
	c.ok(c.srv.SetMount("alice", "ext", nextcloudtest.Mount{Type: nextcloudtest.MountExternal, Unscanned: true}))
	whole := responses(c.must("PROPFIND", files, smallProps, "Depth", "infinity").body)
	if len(whole) != 2 || whole[files+"ext/"].values("200")["size"] != "-1" {
		t.Errorf("Depth infinity shows %v", whole)
	}
	if own := responses(c.must("PROPFIND", files+"ext/", smallProps, "Depth", "1").body); len(own) != 2 {
		t.Errorf("Depth 1 shows %d entries, want the mount and its child", len(own))
	}
}

func TestMarksOfAnEntryAreListed(t *testing.T) {
	t.Parallel()
	c := newClient(t, nextcloudtest.Config{})
	c.write("box/a&b.txt", "x")
	c.ok(c.srv.SetEncrypted("alice", "box", true))
	c.ok(c.srv.SetFavorite("alice", "box/a&b.txt", true))
	c.ok(c.srv.SetTags("alice", "box/a&b.txt", "red", "<blue>"))
	c.ok(c.srv.SetCreated("alice", "box/a&b.txt", time.Unix(1_000_000_000, 0)))
	all := responses(c.must("PROPFIND", files+"box/", propfind("nc:is-encrypted", "oc:favorite", "oc:tags", "nc:creation_time", "d:unheard-of"), "Depth", "1").body)
	if got := all[files+"box/"].values("200")["is-encrypted"]; got != "1" {
		t.Errorf("is-encrypted %q", got)
	}
	v := all[files+"box/a&b.txt"].values("200")
	if v["favorite"] != "1" || v["creation_time"] != "1000000000" || v["tags"] != "<oc:tag>red</oc:tag><oc:tag>&lt;blue&gt;</oc:tag>" {
		t.Errorf("marks %v", v)
	}
	if _, ok := all[files+"box/"].values("404")["unheard-of"]; !ok {
		t.Error("an unknown property is not among the missing")
	}
}

func TestQuotaShapes(t *testing.T) {
	t.Parallel()
	for quota, want := range map[int64]string{
		0:       `{"free":-3,"used":15,"total":-3,"relative":0,"quota":-3}`,
		5 << 30: `{"free":5368709105,"used":15,"total":5368709120,"relative":0,"quota":5368709120}`,
		10:      `{"free":-5,"used":15,"total":10,"relative":150,"quota":10}`,
	} {
		c := newClient(t, nextcloudtest.Config{})
		c.write("a.bin", strings.Repeat("x", 15))
		c.ok(c.srv.AddUser(nextcloudtest.User{ID: "alice", Password: "pw", Quota: quota}))
		c.password = "pw"
		if a := c.must("GET", "/ocs/v2.php/cloud/user?format=json", "", "OCS-APIRequest", "true"); !strings.Contains(a.body, want) {
			t.Errorf("quota %d: %s is not in %s", quota, want, a.body)
		}
	}
}

func TestThrottleShowsItsDelay(t *testing.T) {
	t.Parallel()
	c := newClient(t, nextcloudtest.Config{BruteForce: 11})
	right := c.password
	c.password = wrongPassword
	for range 11 {
		c.must("GET", "/ocs/v2.php/cloud/user", "", "OCS-APIRequest", "true")
	}
	c.password = right
	if a := c.must("GET", "/ocs/v2.php/cloud/user", "", "OCS-APIRequest", "true"); a.status != http.StatusTooManyRequests {
		t.Errorf("status %d for a right password", a.status)
	}
	c.login = ""
	if a := c.must("GET", "/ocs/v2.php/cloud/capabilities?format=json", ""); !strings.Contains(a.body, `"delay":25000`) {
		t.Errorf("the delay is not in %s", a.body)
	}
	c.login = "alice"
	c.srv.SetBruteForce(0)
	if a := c.must("GET", "/ocs/v2.php/cloud/user", "", "OCS-APIRequest", "true"); a.status != http.StatusOK {
		t.Errorf("status %d with the throttle off", a.status)
	}
}

func BenchmarkGet10kB(b *testing.B) {
	srv := nextcloudtest.New(nextcloudtest.Config{Dir: b.TempDir()})
	if err := srv.AddUser(nextcloudtest.User{ID: "alice", Password: "pw"}); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(srv.Root("alice"), "a.bin"), make([]byte, 10_000), 0o600); err != nil {
		b.Fatal(err)
	}
	req := httptest.NewRequest(http.MethodGet, files+"a.bin", nil)
	req.SetBasicAuth("alice", "pw")
	b.ReportAllocs()
	for b.Loop() {
		rec := httptest.NewRecorder()
		srv.ServeHTTP(rec, req)
		if rec.Body.Len() != 10_000 {
			b.Fatal(rec.Body.Len())
		}
	}
}
