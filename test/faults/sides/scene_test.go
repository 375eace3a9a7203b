package sides_test

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/test/rig"
)

// lone is the size in bytes of a file that is too large for archives: its requests are
// its own in each mode.
const lone = 600_000

// ahead is how many small files may have been read from the source and wait for
// their uploads, of which the source can be asked nothing any more.
func (s *stage) ahead() int { return rig.Pick(s.mode, 200, 0) }

// scene is one user's migration with something that goes wrong.
type scene struct {
	*stage
	t    *testing.T
	user rig.User
	cozy *rig.Instance
	id   string // of the migration, once it was asked for
}

// file writes a file whose content follows from its path.
func (c *scene) file(path string, size int64) {
	c.t.Helper()
	c.write(path, io.LimitReader(noise(c.user.ID+path), size))
}

func (c *scene) write(path string, content io.Reader) {
	c.t.Helper()
	full := c.disk(path)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		c.t.Fatal(err)
	}
	file, err := os.OpenFile(full, os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		c.t.Fatal(err)
	}
	defer file.Close()
	if _, err := io.Copy(file, content); err != nil {
		c.t.Fatal(err)
	}
}

// files writes a number of small files into a folder.
func (c *scene) files(folder string, n int) {
	c.t.Helper()
	for i := range n {
		c.file(fmt.Sprintf("%s/%04d.bin", folder, i), int64(500+i%700))
	}
}

func (c *scene) disk(path string) string { return filepath.Join(c.user.Home, filepath.FromSlash(path)) }

// noise is an endless stream of bytes that follows from a name.
func noise(name string) io.Reader {
	h := fnv.New64a()
	_, _ = io.WriteString(h, name)
	return rand.NewChaCha8([32]byte([]byte(strings.Repeat(string(h.Sum(nil)), 4))))
}

// entry sets what the Nextcloud knows of an entry.
func (c *scene) entry(path string, what map[string]any) {
	c.t.Helper()
	order := map[string]any{"user": c.user.ID, "path": path}
	maps.Copy(order, what)
	ask(c.t, http.MethodPost, c.sourceOrders()+"entries", order, nil)
}

// dav is where the Nextcloud serves a path of the user, as faults want it.
func (c *scene) dav(path string) string {
	return strings.TrimSuffix("/remote.php/dav/files/"+c.user.ID+"/"+path, "/")
}

// spoilSource orders a fault for the requests to a path of the user, and below.
func (c *scene) spoilSource(path string, f rig.Fault) {
	c.t.Helper()
	order := rig.Fault{"path_prefix": c.dav(path)}
	maps.Copy(order, f)
	c.SpoilNextcloud(order)
}

// spoilTarget orders a fault for requests to the user's instance.
func (c *scene) spoilTarget(f rig.Fault) {
	c.t.Helper()
	order := rig.Fault{"host": c.cozy.Host}
	maps.Copy(order, f)
	c.SpoilCozy(order)
}

// uploads matches the creation of files, in a fault of the target.
func uploads(f rig.Fault) rig.Fault { return creations("file", f) }

func creations(kind string, f rig.Fault) rig.Fault {
	order := rig.Fault{"method": "POST", "pathPrefix": "/files/", "queryContains": "Type=" + kind}
	maps.Copy(order, f)
	return order
}

// slowUploads makes each upload take that long, so that there is a midway, which
// lasts for long enough to be met on a busy machine: c.cozy.Heal ends it.
func (c *scene) slowUploads(ms int) { c.spoilTarget(uploads(rig.Fault{"delayMs": ms})) }

// start asks for the migration as the Settings page does.
func (c *scene) start() {
	c.t.Helper()
	c.id = c.trigger.MustStart(c.t, c.cozy, c.Order(c.user))
}

// document is the tracking document as it is stored. It is read past the stack,
// which may be what is broken.
func (c *scene) document() (raw json.RawMessage, doc contract.Tracking) {
	c.t.Helper()
	for _, raw = range c.documents() {
		var head struct {
			ID string `json:"_id"`
		}
		decode(c.t, raw, &head)
		if head.ID == c.id {
			decode(c.t, raw, &doc)
			return raw, doc
		}
	}
	c.t.Fatalf("tracking document %s is not there", c.id)
	return nil, doc
}

func (c *scene) documents() (all []json.RawMessage) {
	c.t.Helper()
	ask(c.t, http.MethodGet, c.AdminURL+"/_sim/docs?host="+c.cozy.Host+"&doctype="+contract.DoctypeMigrations, nil, &all)
	return all
}

func decode(t *testing.T, raw []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(raw, into); err != nil {
		t.Fatalf("decode %.500q: %v", raw, err)
	}
}

// await waits for the tracking document to say that the migration has a status.
// Another final status ends the test.
func (c *scene) await(want contract.Status, within time.Duration) (doc contract.Tracking) {
	c.t.Helper()
	until(c.t, within, "migration "+string(want), func() bool {
		_, doc = c.document()
		if doc.Status != want && doc.Status.Final() {
			c.t.Fatalf("migration is %s, want %s: %q %v", doc.Status, want, doc.FailureReason, doc.Errors)
		}
		return doc.Status == want
	})
	return doc
}

// awaitMidway waits until some files are copied.
func (c *scene) awaitMidway(files int64) {
	c.t.Helper()
	until(c.t, rig.Patience, "midway", func() bool {
		row := c.row()
		if contract.Status(row.State).Final() {
			c.t.Fatalf("migration is %s before anything went wrong", row.State)
		}
		return row.FilesDone >= files
	})
}

// awaitListed waits until the whole source is in the ledger.
func (c *scene) awaitListed() {
	c.t.Helper()
	until(c.t, rig.Patience, "listed", func() bool {
		row := c.row()
		return row.FoldersTotal > 0 && row.FoldersListed == row.FoldersTotal
	})
}

// asStack sends a request as another app of the user's would.
func (c *scene) asStack(method, path, body string, want int) (answer rig.Answer) {
	c.t.Helper()
	answer = c.cozy.Call(method, path, body)
	if answer.Status != want {
		c.t.Fatalf("%s %s: %d %s", method, path, answer.Status, answer.Body)
	}
	return answer
}

// measured prints how long something took, for the table of faults.
func (c *scene) measured(what string, took time.Duration) {
	c.t.Helper()
	c.t.Logf("measured: %s in %.1f s", what, took.Seconds())
}
