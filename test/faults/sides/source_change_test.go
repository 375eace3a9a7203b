package sides_test

import (
	"crypto/md5" //nolint:gosec // what a Nextcloud offers
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/test/rig"
)

func sourceChangesSinceItWasListed(t *testing.T, s *stage) {
	// listed plays a scene in which first/zzzz.bin changes after the listing and before
	// its turn.
	listed := func(name string, change func(c *scene), p promise) {
		s.perform(t, name, func(c *scene) {
			files := 80 + c.ahead()
			c.files("first", files)
			c.file("first/zzzz.bin", 5000)
			c.slowUploads(1500)
			c.start()
			c.awaitListed()
			change(c)
			if row := c.row(); row.FilesDone > 70 {
				c.t.Fatal("too late: nothing was shown")
			}
			c.cozy.Heal()
			c.await(contract.StatusCompleted, rig.Patience)
			c.aftermath(p)
		})
	}
	removed := func(c *scene) {
		if err := os.Remove(c.disk("first/zzzz.bin")); err != nil {
			c.t.Fatal(err)
		}
	}
	gone := promise{failed: map[string]string{"first/zzzz.bin": "was removed"}}
	listed("a file that is gone fails alone", removed, gone)
	listed("a file in whose place a folder is does not become an empty file", func(c *scene) {
		removed(c)
		if err := os.Mkdir(c.disk("first/zzzz.bin"), 0o755); err != nil {
			c.t.Fatal(err)
		}
	}, gone)
	listed("a file with new content arrives as it is now", func(c *scene) { c.write("first/zzzz.bin", noiseOf("new", 9000)) }, promise{})
	listed("a file that became empty arrives empty", func(c *scene) {
		if err := os.Truncate(c.disk("first/zzzz.bin"), 0); err != nil {
			c.t.Fatal(err)
		}
	}, promise{})
}

func noiseOf(name string, size int64) io.Reader { return io.LimitReader(noise(name), size) }

func sourceChangesWhileItIsRead(t *testing.T, s *stage) {
	const size = lone
	reading := func(name string, change func(c *scene, file *os.File) error) {
		s.perform(t, name, func(c *scene) {
			c.file("0000.bin", size)
			c.files("zz", 5)
			c.spoilSource("0000.bin", rig.Fault{"method": "GET", "times": 1, "bandwidth": size / 12})
			c.start()
			c.awaitMidway(5) // all but the one that is on its way
			file, err := os.OpenFile(c.disk("0000.bin"), os.O_RDWR, 0)
			if err != nil {
				c.t.Fatal(err)
			}
			defer file.Close()
			if err := change(c, file); err != nil {
				c.t.Fatal(err)
			}
			changed := time.Now()
			c.await(contract.StatusCompleted, rig.Patience)
			c.measured("new content copied", time.Since(changed))
			c.aftermath(promise{})
		})
	}
	reading("a file overwritten in place arrives unmixed", func(_ *scene, file *os.File) error {
		_, err := io.Copy(file, noiseOf("overwritten", size))
		return err
	})
	reading("a file that grows arrives grown", func(_ *scene, file *os.File) error {
		_, err := file.WriteAt([]byte("and more"), size)
		return err
	})
	reading("a file that is cut arrives cut", func(_ *scene, file *os.File) error { return file.Truncate(size / 10) })
}

func sourceClaimsChecksums(t *testing.T, s *stage) {
	claimed := func(name, claim string, fault rig.Fault, note string) {
		s.perform(t, name, func(c *scene) {
			size := int64(50_000)
			if fault != nil {
				size = lone
			}
			c.file("claimed.bin", size)
			for n := range 5 { // beside it, for an archive
				c.file(fmt.Sprintf("other %d.bin", n), 100)
			}
			c.entry("claimed.bin", map[string]any{"checksum": strings.ReplaceAll(claim, "TRUE", c.sum("claimed.bin"))})
			if fault != nil {
				c.spoilSource("claimed.bin", withMethod("GET", fault))
			}
			c.start()
			c.await(contract.StatusCompleted, rig.Patience)
			c.aftermath(promise{})
			for _, f := range c.fileRows() {
				if f.Path == "claimed.bin" && !strings.Contains(f.Note, note) || (f.Note != "") != (f.Path == "claimed.bin" && note != "") {
					c.t.Errorf("%s has the note %q, want %q", f.Path, f.Note, note)
				}
			}
		})
	}
	claimed("a byte that is flipped on the way is noticed", "MD5:TRUE", rig.Fault{"times": 1, "corrupt_byte": 40_000}, "")
	claimed("a wrong claim does not condemn the file", "SHA1:da39a3ee5e6b4b0d3255bfef95601890afd80709", nil, "checksum")
	claimed("a wrong MD5 does not condemn the file", "MD5:da39a3ee5e6b4b0d3255bfef95601890", nil, "checksum")
	claimed("a wrong MD5 among several sums does not either", "SHA1:da39a3ee5e6b4b0d3255bfef95601890afd80709 md5:DA39A3EE5E6B4B0D3255BFEF95601890 ADLER32:0a1b2c3d", nil, "checksum")
	claimed("a claim that is no checksum says nothing", "hello", nil, "")
	claimed("a claim that is cut says nothing", "MD5:da39a3ee5e6b4b0d", nil, "")
	claimed("a true claim is silent", "MD5:TRUE", nil, "")
	s.perform(t, "a byte that is flipped behind a true MD5 is refused by the target", func(c *scene) {
		c.file("claimed.bin", lone)
		c.files("zz", 3)
		c.entry("claimed.bin", map[string]any{"checksum": "ADLER32:0a1b2c3d MD5:" + strings.ToUpper(c.sum("claimed.bin"))})
		mangled := uploads(rig.Fault{"times": 1, "corruptByte": 40_000})
		mangled["queryContains"] = "Type=file&Name=claimed.bin&"
		c.spoilTarget(mangled)
		c.start()
		c.await(contract.StatusCompleted, rig.Patience)
		c.aftermath(promise{})
	})
}

// sum is the MD5 of a file of the source.
func (c *scene) sum(path string) string {
	c.t.Helper()
	content, err := os.ReadFile(c.disk(path))
	if err != nil {
		c.t.Fatal(err)
	}
	return fmt.Sprintf("%x", md5.Sum(content)) //nolint:gosec // see the import
}
