package sides_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/test/rig"
)

// documentPath is where the stack has the tracking document.
func (c *scene) documentPath() string { return "/data/" + contract.DoctypeMigrations + "/" + c.id }

func (c *scene) rev() string {
	c.t.Helper()
	raw, _ := c.document()
	var doc struct {
		Rev string `json:"_rev"`
	}
	decode(c.t, raw, &doc)
	return doc.Rev
}

// revision counts the writes of the tracking document, by everybody.
func (c *scene) revision() int {
	c.t.Helper()
	generation, _, _ := strings.Cut(c.rev(), "-")
	n, err := strconv.Atoi(generation)
	if err != nil {
		c.t.Fatal(err)
	}
	return n
}

// edit changes the tracking document as another client does, with the revision
// that it read; it says whether it was the faster one.
func (c *scene) edit(change func(doc map[string]any)) bool {
	c.t.Helper()
	answer := c.asStack(http.MethodGet, c.documentPath(), "", http.StatusOK)
	var doc map[string]any
	decode(c.t, []byte(answer.Body), &doc)
	change(doc)
	content, err := json.Marshal(doc)
	if err != nil {
		c.t.Fatal(err)
	}
	switch answer := c.cozy.Call(http.MethodPut, c.documentPath(), string(content)); answer.Status {
	case http.StatusOK:
		return true
	case http.StatusConflict:
		return false
	default:
		c.t.Fatalf("edit the tracking document: %d %s", answer.Status, answer.Body)
		return false
	}
}

func TestMirror(t *testing.T) { rig.InModes(t, mirror) }

func mirror(t *testing.T, m rig.Mode) {
	s := newStage(t, m, nil)
	s.perform(t, "keeps what another client writes", mirrorKeepsWhatAnotherClientWrites)
	s.perform(t, "loses its document midway", mirrorLosesItsDocumentMidway)
	s.perform(t, "writes once a second at most", mirrorWritesOnceASecondAtMost)
	s.perform(t, "shows a sign of life while nothing changes", mirrorShowsASignOfLifeWhileNothingChanges)
	s.perform(t, "shows a sign of life during a long pause", mirrorShowsASignOfLifeDuringALongPause)
}

func mirrorKeepsWhatAnotherClientWrites(c *scene) {
	c.files("many", 200)
	c.slowUploads(120)
	c.start()
	c.awaitMidway(5)
	edits, lost := 0, 0
	for !contract.Status(c.row().State).Final() {
		if c.edit(func(doc map[string]any) {
			doc["seen_by_other"] = edits + 1
			doc["progress"].(map[string]any)["other"] = "kept too"
		}) {
			edits++
		} else {
			lost++
		}
	}
	c.await(contract.StatusCompleted, rig.Patience)
	c.t.Logf("measured: %d edits by another client, which lost %d races", edits, lost)
	c.aftermath(promise{})
	raw, _ := c.document()
	var kept struct {
		Seen     int `json:"seen_by_other"`
		Progress struct {
			Other string `json:"other"`
		} `json:"progress"`
	}
	decode(c.t, raw, &kept)
	if edits < 3 || kept.Seen != edits || kept.Progress.Other == "" {
		c.t.Errorf("of %d edits the document has kept %+v", edits, kept)
	}
}

func mirrorLosesItsDocumentMidway(c *scene) {
	c.files("many", 200)
	c.slowUploads(500)
	c.start()
	c.awaitMidway(4)
	until(c.t, rig.Patience, "document deleted", func() bool {
		return c.cozy.Call(http.MethodDelete, c.documentPath()+"?rev="+c.rev(), "").Status == http.StatusOK
	})
	deleted := time.Now()
	until(c.t, rig.Patience, "migration ended", func() bool { return c.row().State == "failed" })
	c.measured("migration without a document ended", time.Since(deleted))
	row := c.row()
	if row.FailureReason != "withdrawn" || row.FilesDone == 200 {
		c.t.Errorf("the ledger says %+v", row)
	}
	until(c.t, rig.Patience, "nothing left to write", func() bool { row = c.row(); return row.Mirrored == row.Changed })
	if n := len(c.documents()); n != 0 {
		c.t.Errorf("%d tracking documents: it was made anew", n)
	}
	p := promise{status: contract.StatusFailed, stopped: true, uncounted: 4}
	c.wantSidesEqual(p)
	c.wantLedgerSums(row, p)
	c.wantLedgerMatchesTarget(row, p)
}

func TestMirrorFindsTheCozyDownAtTheFinish(t *testing.T) {
	rig.InModes(t, mirrorFindsTheCozyDownAtTheFinish)
}

func mirrorFindsTheCozyDownAtTheFinish(t *testing.T, m rig.Mode) {
	c := newStage(t, m, rig.Env{"SLOTS": "2"}).newScene(t)
	c.files("many", 60)
	c.slowUploads(800)
	c.start()
	c.await(contract.StatusRunning, rig.Patience)
	c.spoilTarget(rig.Fault{"pathPrefix": "/data/" + contract.DoctypeMigrations, "status": 502})
	until(t, rig.Patience, "completed in the ledger", func() bool { return c.row().State == "completed" })
	refused := c.migrator.Metric("migrator_mirror_failures_total")
	until(t, rig.Patience, "tried more than once", func() bool { return c.migrator.Metric("migrator_mirror_failures_total") > refused+1 })
	if _, doc := c.document(); doc.Status != contract.StatusRunning {
		t.Errorf("the document is %s while it can't be written", doc.Status)
	}
	c.HealCozy()
	healed := time.Now()
	c.await(contract.StatusCompleted, rig.Patience)
	c.measured("final state written", time.Since(healed))
	c.aftermath(promise{})
}

func mirrorWritesOnceASecondAtMost(c *scene) {
	c.files("many", 250)
	c.slowUploads(100)
	c.start()
	c.awaitMidway(1)
	before, began := c.revision(), time.Now()
	c.await(contract.StatusCompleted, rig.Patience)
	seconds := time.Since(began).Seconds()
	c.aftermath(promise{})
	writes := c.revision() - before
	c.t.Logf("measured: %d writes in %.1f s", writes, seconds)
	if float64(writes) > seconds+2 || writes < 2 {
		c.t.Errorf("%d writes in %.1f s, want some, and at most one a second", writes, seconds)
	}
}

func mirrorShowsASignOfLifeWhileNothingChanges(c *scene) {
	const size, seconds = lone, 40
	c.file("one.bin", size)
	c.spoilSource("one.bin", rig.Fault{"method": "GET", "times": 1, "bandwidth": size / seconds})
	c.start()
	c.awaitListed()
	c.wantSignsOfLife(2*seconds*time.Second, func(row migrationRow) bool { return row.FilesDone == 0 })
	c.await(contract.StatusCompleted, rig.Patience)
	c.aftermath(promise{})
}

func mirrorShowsASignOfLifeDuringALongPause(c *scene) {
	c.files("many", 20)
	c.file("many/x.bin", lone)
	c.spoilSource("many/x.bin", rig.Fault{"method": "GET", "times": 1, "status": 429, "retry_after": "70s"})
	c.start()
	c.awaitPause(1)
	c.wantSignsOfLife(100*time.Second, func(row migrationRow) bool { return row.PauseReason != "" })
	c.await(contract.StatusCompleted, rig.Patience)
	c.aftermath(promise{})
}

// wantSignsOfLife checks that the document is touched at least once a minute, and
// more than once, while a condition holds.
func (c *scene) wantSignsOfLife(within time.Duration, during func(migrationRow) bool) {
	c.t.Helper()
	var last time.Time
	var beats []time.Duration
	until(c.t, within, "the end of the silence", func() bool {
		if !during(c.row()) {
			return true
		}
		if _, doc := c.document(); doc.LastHeartbeatAt != nil && doc.LastHeartbeatAt.After(last) {
			if !last.IsZero() {
				beats = append(beats, doc.LastHeartbeatAt.Sub(last))
			}
			last = *doc.LastHeartbeatAt
		}
		return false
	})
	c.t.Logf("measured: signs of life %v apart", beats)
	const most = time.Minute + 5*time.Second // the sweep looks every few seconds
	if len(beats) == 0 || slices.Max(beats) > most {
		c.t.Errorf("signs of life came %v apart", beats)
	}
}
