package sides_test

import (
	"testing"
	"time"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/test/rig"
)

// TestArchives spoils what the source sends together, for which nobody asks in plain
// mode; the scenes of TestSource spoil what it sends alone.
func TestArchives(t *testing.T) {
	t.Parallel()
	s := newStage(t, rig.Deployed, nil)
	// Only a GET of an archive ends in a slash.
	archives := func(f rig.Fault) rig.Fault {
		f["method"], f["path_suffix"], f["times"] = "GET", "/", -1
		return f
	}
	for name, fault := range map[string]rig.Fault{
		"refused":                archives(rig.Fault{"status": 500}),
		"not known":              archives(rig.Fault{"status": 200, "body": ""}),
		"cut":                    archives(rig.Fault{"truncate_after": 5000}),
		"reset":                  archives(rig.Fault{"reset_after": 5000}),
		"an error in the middle": archives(rig.Fault{"truncate_after": 4000}),
		"a page":                 archives(rig.Fault{"status": 200, "body": "<html>please log in</html>"}),
	} {
		s.perform(t, name, func(c *scene) {
			c.files("many", 200)
			c.spoilSource("", fault)
			c.start()
			c.await(contract.StatusCompleted, 60*time.Second)
			c.aftermath(promise{})
		})
	}
	s.perform(t, "with a file that can't be read", func(c *scene) {
		c.files("many", 60)
		c.file("many/x.bin", 3000)
		c.entry("many/x.bin", map[string]any{"gone": true})
		c.start()
		c.await(contract.StatusCompleted, 60*time.Second)
		c.aftermath(promise{failed: map[string]string{"many/x.bin": "was removed"}})
	})
	s.perform(t, "of files that change before their turn", func(c *scene) {
		c.files("many", 300)
		c.file("many/zzz.bin", 5000)
		c.slowUploads(100)
		c.start()
		c.awaitListed()
		c.write("many/zzz.bin", noiseOf("new", 5000)) // of the same size
		c.await(contract.StatusCompleted, 60*time.Second)
		c.aftermath(promise{})
	})
	s.perform(t, "until the password is revoked", func(c *scene) {
		c.files("many", 400)
		c.slowUploads(50)
		c.start()
		c.awaitMidway(20)
		c.Revoke(c.user)
		c.await(contract.StatusFailed, 60*time.Second)
		c.aftermath(promise{status: contract.StatusFailed, stopped: true, reason: "refuses the login"})
	})
}

// TestTrees spoils what the source lists together, for which nobody asks in plain mode.
func TestTrees(t *testing.T) {
	t.Parallel()
	s := newStage(t, rig.Deployed, nil)
	for name, fault := range map[string]rig.Fault{
		"refused":   {"status": 403},
		"broken":    {"status": 500},
		"cut":       {"truncate_after": 9000},
		"malformed": {"malformed_multistatus": true},
		"endless":   {"endless_multistatus": true},
		"hostile":   {"hostile_hrefs": true},
	} {
		s.perform(t, name, func(c *scene) {
			for _, folder := range []string{"one", "one/a", "one/a/b", "two", "two/c"} {
				c.files(folder, 20)
			}
			fault["depth"], fault["times"] = "infinity", -1
			c.spoilSource("", fault)
			c.start()
			c.await(contract.StatusCompleted, 60*time.Second)
			c.aftermath(promise{})
		})
	}
	s.perform(t, "that hide what was never scanned and what can't be read", func(c *scene) {
		for _, folder := range []string{"one", "one/a", "one/mount/deep", "one/bad"} {
			c.files(folder, 10)
		}
		c.entry("one/mount", map[string]any{"mount": map[string]any{"type": "external", "unscanned": true}})
		c.spoilSource("one/bad", rig.Fault{"method": "PROPFIND", "depth": "1", "status": 500, "times": -1})
		c.start()
		c.await(contract.StatusCompleted, 60*time.Second)
		c.aftermath(promise{})
	})
}
