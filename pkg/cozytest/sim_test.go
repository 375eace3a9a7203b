package cozytest_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"example.org/ncm/pkg/cozytest"
)

func TestSimulatorIsDrivenOverHTTP(t *testing.T) {
	t.Parallel()
	b := setup(t, cozytest.Config{}, cozytest.InstanceOptions{})
	if got := b.sim(http.MethodPost, "/_sim/instances", map[string]any{"host": "new.example", "quotaBytes": 10}); got.StatusCode != http.StatusCreated {
		t.Fatalf("create: %d %s", got.StatusCode, got.body)
	}
	inst := b.stack.Instance("new.example")
	if inst == nil {
		t.Fatal("no instance")
	}
	var minted struct{ Token string }
	decode(t, b.sim(http.MethodPost, "/_sim/tokens", map[string]any{"host": host, "audience": "cli", "scope": "io.cozy.files"}).body, &minted)
	b.token = minted.Token
	b.expect(http.StatusCreated, http.MethodPost, inRoot+"?Type=file&Name=f", content)

	b.sim(http.MethodPost, "/_sim/faults", cozytest.Fault{Method: http.MethodGet, Status: http.StatusBadGateway})
	b.expect(http.StatusBadGateway, http.MethodGet, inRoot, "")
	b.sim(http.MethodDelete, "/_sim/faults", nil)
	b.expect(http.StatusOK, http.MethodGet, inRoot, "")

	b.sim(http.MethodPatch, "/_sim/instances", map[string]any{"host": host, "blocked": true, "blockingReason": cozytest.BlockedUnpaid})
	b.expect(http.StatusPaymentRequired, http.MethodGet, inRoot, "")
	b.sim(http.MethodPatch, "/_sim/instances", map[string]any{"host": host, "blocked": false, "expireTokens": true})
	b.expect(http.StatusBadRequest, http.MethodGet, inRoot, "")
}

func TestSimulatorShowsTreeDocumentsAndStats(t *testing.T) {
	t.Parallel()
	b := setup(t, cozytest.Config{}, cozytest.InstanceOptions{})
	b.expect(http.StatusCreated, http.MethodPost, inRoot+"?Type=file&Name=f", content)
	b.expect(http.StatusCreated, http.MethodPost, "/data/io.cozy.accounts/", `{"a":1}`)
	lines := strings.Split(strings.TrimSpace(b.sim(http.MethodGet, "/_sim/tree?host="+host, nil).body), "\n")
	var last cozytest.Entry
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil || last.Path != "/f" || last.Size != int64(len(content)) {
		t.Errorf("tree %q, %v", lines, err)
	}
	var docs []map[string]any
	decode(t, b.sim(http.MethodGet, "/_sim/docs?host="+host+"&doctype=io.cozy.accounts", nil).body, &docs)
	if len(docs) != 1 {
		t.Errorf("documents %v", docs)
	}
	var stats map[string]map[string]int
	decode(t, b.sim(http.MethodGet, "/_sim/stats", nil).body, &stats)
	if stats["POST /files/:id"]["201"] != 1 {
		t.Errorf("stats %v", stats)
	}
	b.sim(http.MethodDelete, "/_sim/stats", nil)
	if n := b.stack.Count("POST /files/:id"); n != 0 {
		t.Errorf("count %d after a reset", n)
	}
}

func TestSimulatorRefusesWhatItDoesNotUnderstand(t *testing.T) {
	t.Parallel()
	b := setup(t, cozytest.Config{}, cozytest.InstanceOptions{})
	for _, target := range []string{"/_sim/faults", "/_sim/instances", "/_sim/tokens"} {
		if got := b.sim(http.MethodPost, target, map[string]any{"typo": 1}); got.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %d", target, got.StatusCode)
		}
	}
	if got := b.sim(http.MethodGet, "/_sim/tree?host=nobody.example", nil); got.StatusCode != http.StatusNotFound {
		t.Errorf("tree of nobody: %d", got.StatusCode)
	}
}
