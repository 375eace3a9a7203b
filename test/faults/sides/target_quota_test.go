package sides_test

import (
	"fmt"
	"strings"
	"time"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/test/rig"
)

func targetIsTooSmallFromTheStart(c *scene) {
	c.files("many", 10)
	c.file("big.bin", 3_000_000)
	c.cozy.Change(map[string]any{"quotaBytes": 1_000_000})
	c.start()
	doc := c.await(contract.StatusFailed, rig.Patience)
	if !strings.Contains(doc.FailureReason, "About 2.1 MB more") {
		c.t.Errorf("failure_reason is %q, want the room that is missing", doc.FailureReason)
	}
	if done := c.row().FilesDone; done > 0 {
		c.t.Errorf("%d files were copied: the check came too late", done)
	}
	c.aftermath(promise{status: contract.StatusFailed, stopped: true, reason: "quota"})
}

func targetFillsUpMidwayAndIsMadeRoomIn(c *scene) {
	const files, size = 100, 10_000
	for i := range files {
		c.file(fmt.Sprintf("many/%04d.bin", i), size)
	}
	c.cozy.Change(map[string]any{"quotaBytes": files * size})
	c.slowUploads(1000)
	c.start()
	c.awaitMidway(4)
	c.upload("io.cozy.files.root-dir", "a film.bin", strings.Repeat("x", 40*size))
	c.cozy.Heal()
	doc := c.await(contract.StatusFailed, rig.Patience)
	// Uploads that meet at the limit may all be let in.
	done := c.row().FilesDone
	if done < 60 || done >= 60+4 {
		c.t.Errorf("%d files were copied, room was for 60", done)
	}
	if words := fmt.Sprintf("About %d.0 kB more", (files-done)*size/1000); !strings.Contains(doc.FailureReason, words) {
		c.t.Errorf("failure_reason is %q, want %q", doc.FailureReason, words)
	}
	c.aftermath(promise{status: contract.StatusFailed, stopped: true, reason: "quota"})

	c.cozy.Change(map[string]any{"quotaBytes": 2 * files * size})
	before := c.fileRows()
	c.start()
	began := time.Now()
	c.await(contract.StatusCompleted, rig.Patience)
	c.measured("the rest copied by a new request", time.Since(began))
	c.wantKept(before)
	c.aftermath(promise{})
}

// wantKept checks that what an earlier migration copied is there as it was, and
// counted by this one.
func (c *scene) wantKept(before []fileRow) {
	c.t.Helper()
	now := make(map[string]string)
	for _, f := range c.fileRows() {
		now[f.Path] = f.TargetID
	}
	for _, f := range before {
		if f.State == "done" && now[f.Path] != f.TargetID {
			c.t.Errorf("%s was %s and is %s: it was sent again", f.Path, f.TargetID, now[f.Path])
		}
	}
}
