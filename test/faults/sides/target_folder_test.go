package sides_test

import (
	"maps"
	"strings"
	"testing"
	"time"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/test/rig"
)

func targetLosesAFolderMidway(t *testing.T, s *stage) {
	lost := func(name, path string, take func(c *scene, id string)) {
		s.perform(t, name, func(c *scene) {
			c.files("a/b/c", 60)
			c.files("zz", 40)
			c.slowUploads(1500)
			c.start()
			c.awaitMidway(4)
			there := c.targetEntries()
			take(c, c.idAt(path))
			taken := time.Now()
			before := c.trashed()
			maps.Copy(there, c.targetEntries())
			c.cozy.Heal()
			c.await(contract.StatusCompleted, rig.Patience)
			c.measured("the rest copied into folders made anew", time.Since(taken))
			c.wantNothingElseTrashed(before)
			c.wantRestArrived(there)
			c.aftermath(promise{disturbed: true})
		})
	}
	trash := func(c *scene, id string) { c.trash(id) }
	destroy := func(c *scene, id string) { c.destroy(id) }
	lost("the folder that is being filled is trashed", "a/b/c", trash)
	lost("the folder that is being filled is destroyed", "a/b/c", destroy)
	lost("a folder above is trashed", "a", trash)
	lost("a folder above is destroyed", "a", destroy)
	lost("the target folder itself is trashed", "", trash)
	lost("the target folder itself is destroyed", "", destroy)
}

// A folder that its owner renames is the same folder: what is still to come goes
// there, too.
func targetRenamesAFolderMidway(c *scene) {
	c.files("a/b/c", 60)
	c.files("zz", 40)
	c.slowUploads(60)
	c.start()
	c.awaitMidway(12)
	before := c.trashed() // the trash itself
	c.rename(c.idAt("a"), "renamed by its owner")
	c.await(contract.StatusCompleted, 40*time.Second)
	c.wantNothingElseTrashed(before)
	c.aftermath(promise{renamed: map[string]string{"a": "renamed by its owner"}})
}

// trashed are the ids in the trash.
func (c *scene) trashed() map[string]bool {
	c.t.Helper()
	ids := make(map[string]bool)
	for id, e := range c.targetEntries() {
		if e.Trashed {
			ids[id] = true
		}
	}
	return ids
}

// wantNothingElseTrashed: only what the user trashed may be there.
func (c *scene) wantNothingElseTrashed(before map[string]bool) {
	c.t.Helper()
	for id := range c.trashed() {
		if !before[id] {
			c.t.Errorf("%s was put into the trash by the migration", id)
		}
	}
}

// wantRestArrived checks that what was copied after a moment, before which other entries
// were there, is in its place.
func (c *scene) wantRestArrived(there map[string]targetEntry) {
	c.t.Helper()
	entries, afterwards := c.targetEntries(), 0
	for _, f := range c.fileRows() {
		if _, before := there[f.TargetID]; before || f.State != "done" {
			continue
		}
		afterwards++
		if e := entries[f.TargetID]; e.Trashed || !strings.HasPrefix(e.Path, rig.TargetDir+"/") {
			c.t.Errorf("%s, copied afterwards, is at %q", f.Path, e.Path)
		}
	}
	if afterwards == 0 {
		c.t.Error("nothing was copied afterwards: nothing was shown")
	}
}

func targetExpiresTheToken(c *scene) {
	c.files("many", 150)
	c.slowUploads(300)
	c.start()
	for _, n := range []int64{5, 15, 30} {
		c.awaitMidway(n)
		c.cozy.Change(map[string]any{"expireTokens": true})
	}
	expired := time.Now()
	c.cozy.Heal()
	c.await(contract.StatusCompleted, rig.Patience)
	c.measured("the rest copied with new tokens", time.Since(expired))
	c.aftermath(promise{})
}

func targetIsTakenAway(t *testing.T, s *stage) {
	for name, it := range map[string]struct{ strike, heal map[string]any }{
		"instance gone":    {map[string]any{"gone": true}, map[string]any{"gone": false}},
		"instance blocked": {map[string]any{"blocked": true}, map[string]any{"blocked": false}},
	} {
		s.perform(t, name, func(c *scene) {
			c.files("many", 120)
			c.slowUploads(800)
			c.start()
			c.awaitMidway(4)
			c.cozy.Change(it.strike)
			struck := time.Now()
			until(c.t, rig.Patience, "failed in the ledger", func() bool { return c.row().State == "failed" })
			c.measured("stopped", time.Since(struck))
			c.cozy.Change(it.heal) // so that there is a document to look at
			healed := time.Now()
			c.await(contract.StatusFailed, rig.Patience)
			c.measured("document written by the sweep", time.Since(healed))
			c.aftermath(promise{status: contract.StatusFailed, stopped: true, reason: "does not exist any more or is blocked"})
		})
	}
}
