package sides_test

import (
	"path"
	"strings"
	"testing"
	"time"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/test/rig"
)

func sourceListsAFolderBadly(t *testing.T, s *stage) {
	for name, it := range map[string]struct {
		fault rig.Fault
		words string // what the user is told of the folder; empty: all of it arrives
	}{
		"404 since its parent was listed":  {rig.Fault{"times": -1, "status": 404, "exception": `Sabre\DAV\Exception\NotFound`}, "was removed"},
		"403":                              {rig.Fault{"times": -1, "status": 403}, "does not allow"},
		"500 for ever":                     {rig.Fault{"times": -1, "status": 500}, "busy"},
		"500 for a moment":                 {rig.Fault{"times": 2, "status": 500}, ""},
		"reset in mid-listing":             {rig.Fault{"times": 2, "reset_after": 1500}, ""},
		"cut listing that ends like one":   {rig.Fault{"times": 2, "truncate_after": 1500}, ""},
		"malformed for a moment":           {rig.Fault{"times": 2, "malformed_multistatus": true}, ""},
		"malformed for ever":               {rig.Fault{"times": -1, "malformed_multistatus": true}, "cut short"},
		"XML bomb":                         {rig.Fault{"times": -1, "xml_bomb": true}, "cut short"},
		"gzip bomb":                        {rig.Fault{"times": -1, "header": map[string]string{"Content-Encoding": "gzip"}}, "cut short"},
		"addresses outside of the folder":  {rig.Fault{"times": -1, "hostile_hrefs": true}, "cut short"},
		"a login page in place of it":      {rig.Fault{"times": -1, "status": 200, "body": "<html>log in</html>"}, "cut short"},
		"an empty answer in place of it":   {rig.Fault{"times": -1, "status": 207, "body": ""}, "cut short"},
		"no answer for half a minute once": {rig.Fault{"times": 1, "hang": true}, ""},
	} {
		s.perform(t, name, func(c *scene) {
			c.files("good", 5)
			c.files("spoiled", 8)
			c.files("spoiled/below", 3)
			c.files("zz", 3)
			c.spoilSource("spoiled/", withMethod("PROPFIND", it.fault))
			c.start()
			began := time.Now()
			c.await(contract.StatusCompleted, rig.Patience)
			c.measured("all the rest copied and this one settled", time.Since(began))
			var p promise
			if it.words != "" {
				p.failed = map[string]string{"spoiled": it.words}
			}
			c.aftermath(p)
		})
	}
}

func sourceHasFoldersThatAreNotWhatTheySeem(t *testing.T, s *stage) {
	s.perform(t, "an offline external storage is no empty folder", func(c *scene) {
		c.files("good", 5)
		c.files("disk in the office", 5)
		c.entry("disk in the office", map[string]any{"mount": map[string]any{"type": "external", "offline": true}})
		c.start()
		c.await(contract.StatusCompleted, rig.Patience)
		c.aftermath(promise{failed: map[string]string{"disk in the office": "storage of the Nextcloud was offline"}})
	})
	s.perform(t, "an external storage that comes back is copied", func(c *scene) {
		c.files("good", 5)
		c.files("disk in the office", 5)
		mount := map[string]any{"type": "external", "offline": true}
		c.entry("disk in the office", map[string]any{"mount": mount})
		c.start()
		until(t, rig.Patience, "left for another pass", func() bool { return c.attempts() == 1 })
		mount["offline"] = false
		c.entry("disk in the office", map[string]any{"mount": mount})
		back := time.Now()
		c.await(contract.StatusCompleted, rig.Patience)
		c.measured("storage that came back copied", time.Since(back))
		c.aftermath(promise{})
	})
	s.perform(t, "an unscanned external storage is listed itself", func(c *scene) {
		c.files("disk in the office", 5)
		c.entry("disk in the office", map[string]any{"mount": map[string]any{"type": "external", "unscanned": true}})
		c.start()
		c.await(contract.StatusCompleted, rig.Patience)
		c.aftermath(promise{})
	})
	s.perform(t, "a share without download fails file by file", func(c *scene) {
		c.files("good", 5)
		c.files("lent", 2)
		c.entry("lent", map[string]any{"mount": map[string]any{"type": "shared", "no_download": true}})
		c.start()
		c.await(contract.StatusCompleted, rig.Patience)
		c.aftermath(promise{failed: map[string]string{"lent/0000.bin": "does not allow", "lent/0001.bin": "does not allow"}})
	})
	s.perform(t, "an end-to-end encrypted folder is left out and said so", func(c *scene) {
		c.files("good", 5)
		c.files("secret", 2)
		c.entry("secret", map[string]any{"encrypted": true})
		c.start()
		c.await(contract.StatusCompleted, rig.Patience)
		c.aftermath(promise{skipped: map[string]string{"secret": "end-to-end encrypted"}})
	})
	s.perform(t, "folders deeper than anybody has them end the descent", func(c *scene) {
		const limit = 256
		deep := strings.Repeat("d/", limit+4)
		c.file(path.Join(deep, "bottom.bin"), 10)
		c.files("good", 5)
		c.start()
		c.await(contract.StatusCompleted, rig.Patience)
		c.aftermath(promise{failed: map[string]string{strings.Repeat("d/", limit) + "d": "."}})
	})
}
