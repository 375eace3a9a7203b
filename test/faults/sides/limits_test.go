package sides_test

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/test/rig"
)

// peakMemory is the most memory that a program had at any time, in MB. Zero where
// the system does not tell.
func peakMemory(t *testing.T, p *rig.Process) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID()))
	if err != nil {
		t.Logf("peak memory is not known here: %v", err)
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if text, found := strings.CutPrefix(line, "VmHWM:"); found {
			kB, err := strconv.ParseInt(strings.Fields(text)[0], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kB / 1024
		}
	}
	return 0
}

func (c *scene) wantMemoryBelow(most int64) {
	c.t.Helper()
	peak := peakMemory(c.t, c.migrator.Process)
	c.t.Logf("measured: peak memory of the migrator %d MB", peak)
	if peak > most {
		c.t.Errorf("the migrator needed %d MB, want less than %d whatever comes", peak, most)
	}
}

// The tests below keep the cores busy: they run one by one, before all others. They
// are about what is held in memory, which is less where each file and folder comes
// alone; what is too large for a tree or an archive does so here too.

// asDeployed are the settings that operators do not change.
func asDeployed() rig.Env {
	return rig.Env{"TRANSFERS": "16", "LISTERS": "4", "SLOTS": "4", "DATABASE_CONNS": "12", "LOG_LEVEL": "info"}
}

func TestLimitOfMemoryForManyEntries(t *testing.T) {
	entries, most := 20_000, 20*time.Minute
	if rig.Full() {
		entries, most = 1_000_000, 3*time.Hour
	}
	c := newStage(t, rig.Deployed, asDeployed()).newScene(t)
	c.Generate(c.user, "many", entries, 3)
	c.start()
	began := time.Now()
	c.await(contract.StatusCompleted, most)
	took := time.Since(began)
	c.measured(fmt.Sprintf("%d entries copied", entries), took)
	t.Logf("measured: %.0f files a second", float64(entries)/took.Seconds())
	c.wantMemoryBelow(150)
	c.aftermath(promise{huge: true})
}

func TestLimitOfMemoryForOneFlatFolder(t *testing.T) {
	entries := 10_000
	if rig.Full() {
		entries = 200_000
	}
	s := newStage(t, rig.Deployed, asDeployed())
	c := s.newScene(t)
	ask(t, http.MethodPost, s.sourceOrders()+"generated",
		map[string]any{"user": c.user.ID, "path": "flat", "files": entries, "size": 0, "flat": true}, nil)
	c.start()
	c.await(contract.StatusCompleted, time.Hour)
	c.wantMemoryBelow(150)
	c.aftermath(promise{huge: true})
}

func TestLimitOfMemoryForOneLargeFile(t *testing.T) {
	size, most := int64(2_000_000_000), 10*time.Minute
	if rig.Full() {
		size, most = 100_000_000_000, 3*time.Hour
	}
	s := newStage(t, rig.Deployed, asDeployed())
	c := s.newScene(t)
	ask(t, http.MethodPost, s.sourceOrders()+"generated", map[string]any{"user": c.user.ID, "path": "large.bin", "size": size, "seed": 7}, nil)
	c.start()
	began := time.Now()
	c.await(contract.StatusCompleted, most)
	took := time.Since(began)
	c.measured(fmt.Sprintf("%d GB copied", size/1_000_000_000), took)
	t.Logf("measured: %.0f MB a second", float64(size)/1e6/took.Seconds())
	c.wantMemoryBelow(100)
	c.aftermath(promise{})
}

func TestLimitOfListedErrorsAndSkippedEntries(t *testing.T) {
	const bad, locked, good = 1500, 1200, 50
	c := newStage(t, rig.Deployed, asDeployed()).newScene(t)
	for i := range locked {
		c.file(fmt.Sprintf("locked/%04d/f", i), 10)
		c.entry(fmt.Sprintf("locked/%04d", i), map[string]any{"encrypted": true})
	}
	c.files("bad", bad)
	for i := range good { // none comes in one archive with a bad one, whose folder is not that of the fault
		c.file(fmt.Sprintf("good/%04d.bin", i), lone)
	}
	c.spoilSource("bad/", rig.Fault{"method": "GET", "times": -1, "status": 404})
	c.start()
	doc := c.await(contract.StatusCompleted, rig.Patience)
	if len(doc.Errors) != contract.MaxListed || doc.ErrorsTruncatedCount != bad-contract.MaxListed {
		t.Errorf("%d errors are listed and %d counted beside them", len(doc.Errors), doc.ErrorsTruncatedCount)
	}
	if len(doc.Skipped) != contract.MaxListed || doc.SkippedTruncatedCount != locked-contract.MaxListed {
		t.Errorf("%d skipped entries are listed and %d counted beside them", len(doc.Skipped), doc.SkippedTruncatedCount)
	}
	if failed, skipped := len(c.noticeRows("failed")), len(c.noticeRows("skipped")); failed != bad || skipped != locked {
		t.Errorf("the ledger keeps %d errors and %d skipped entries, want all", failed, skipped)
	}
	p := promise{failed: map[string]string{}, skipped: map[string]string{}, many: true}
	for _, n := range c.noticeRows("failed") {
		p.failed[n.Path] = ""
	}
	for _, n := range c.noticeRows("skipped") {
		p.skipped[n.Path] = ""
	}
	c.aftermath(p)
}

func TestLimitOfMemoryForAnEndlessListing(t *testing.T) {
	c := newStage(t, rig.Deployed, asDeployed()).newScene(t)
	c.files("good", 20)
	c.files("endless", 1)
	c.spoilSource("endless", rig.Fault{"method": "PROPFIND", "times": -1, "endless_multistatus": true})
	c.start()
	const enough = 100_000
	until(t, rig.Patience, "many entries listed", func() bool { return c.row().FilesTotal > enough })
	c.Publish(contract.KeyCanceled, c.id, `{"migrationId":"`+c.id+`","workplaceFqdn":"`+c.cozy.Host+`","timestamp":1795432686}`)
	canceled := time.Now()
	c.await(contract.StatusCanceled, rig.Patience)
	c.measured("canceled", time.Since(canceled))
	c.wantMemoryBelow(150)
	// Its files are not there: they fail while the listing goes on.
	c.aftermath(promise{status: contract.StatusCanceled, stopped: true, many: true, failed: map[string]string{"endless": ""}, foreign: []string{"endless"}})
}
