package nextcloudtest_test

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"example.org/ncm/pkg/nextcloudtest"
)

func TestSimulatorIsOrderedOverHTTP(t *testing.T) {
	t.Parallel()
	c := newClient(t, nextcloudtest.Config{SubPath: "/sub"})
	order := func(method, path, body string, want int) string {
		t.Helper()
		base := strings.TrimSuffix(c.url, "/sub")
		req, err := http.NewRequestWithContext(t.Context(), method, base+"/_sim/"+path, strings.NewReader(body))
		c.ok(err)
		res, err := c.http.Do(req)
		c.ok(err)
		defer func() { _ = res.Body.Close() }()
		text := readAll(res.Body)
		if res.StatusCode != want {
			t.Fatalf("%s %s: status %d, want %d: %s", method, path, res.StatusCode, want, text)
		}
		return text
	}
	order("POST", "users", `{"id":"carol","password":"pw","app_passwords":[{"token":"ct"}]}`, 204)
	order("POST", "generated", `{"user":"carol","path":"g.bin","size":1000,"seed":3}`, 204)
	order("POST", "entries", `{"user":"carol","path":"g.bin","checksum":"MD5:claimed","favorite":true}`, 204)
	order("POST", "faults", `[{"method":"GET","path_prefix":"/remote.php/dav/files/carol/","times":1,"status":503,"delay":"1ms","retry_after":"3s"}]`, 204)
	order("POST", "faults", `{"statuss":503}`, 400)
	c.login, c.password = "carol", "ct"
	get := "/remote.php/dav/files/carol/g.bin"
	if a := c.must("GET", get, ""); a.status != 503 || a.header.Get("Retry-After") != "3" {
		t.Errorf("status %d, want the fault", a.status)
	}
	a := c.must("GET", get, "")
	if a.status != 200 || a.header.Get("OC-Checksum") != "MD5:claimed" {
		t.Errorf("status %d, checksum %q", a.status, a.header.Get("OC-Checksum"))
	}
	var line struct {
		Path string
		Size int64
		MD5  string
	}
	c.ok(json.Unmarshal([]byte(order("GET", "tree?user=carol", "", 200)), &line))
	sum := md5.Sum([]byte(a.body))
	if line.Path != "g.bin" || line.Size != 1000 || line.MD5 != hex.EncodeToString(sum[:]) {
		t.Errorf("tree %+v", line)
	}
	var stats nextcloudtest.Stats
	c.ok(json.Unmarshal([]byte(order("GET", "stats", "", 200)), &stats))
	if stats.Requests["GET"] != 2 || stats.Statuses[503] != 1 {
		t.Errorf("stats %+v", stats)
	}
}
