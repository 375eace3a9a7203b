package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/ncm/pkg/cozy"
	"example.org/ncm/pkg/cozytest"
)

const target = "/Nextcloud imported files/"

// lookup gives a file of the instance below the target folder.
func (w *world) lookup(t *testing.T, path string) cozytest.Entry {
	t.Helper()
	e, ok := w.instance.Lookup(target + path)
	if !ok {
		t.Fatalf("%s is not in the instance", path)
	}
	return e
}

// stack is a client of the instance, as its owner's.
func (w *world) stack(t *testing.T) *cozy.Instance {
	t.Helper()
	ends, err := openSides(&w.cfg.SidesConfig, unobserved, w.logger())
	must(t, err)
	i, err := ends.instance(host)
	must(t, err)
	return i
}

// edit gives a file another content as its owner would.
func (w *world) edit(t *testing.T, path, content string, tags ...string) {
	t.Helper()
	_, err := w.stack(t).Replace(t.Context(), w.lookup(t, path).ID, "", cozy.Upload{
		Size: int64(len(content)), Body: strings.NewReader(content), Tags: tags, Executable: true,
	})
	must(t, err)
}

// rewrite changes a file of the source.
func (w *world) rewrite(t *testing.T, path, content string) {
	t.Helper()
	p := filepath.Join(w.nextcloud.Root(user), path)
	must(t, os.WriteFile(p, []byte(content), 0o644))
	at := time.Date(2020, 5, 6, 7, 8, 9, 0, time.UTC)
	must(t, os.Chtimes(p, at, at))
}

func (w *world) complete(t *testing.T) map[string]any {
	t.Helper()
	return w.awaitStatus(t, w.request(t, "/"), "completed")
}

func TestARerunOfWhatDidNotChangeAsksTheSourceForListingsAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.seed(t, tree(300))
	w.start(t)
	first := w.complete(t)
	before := w.got(t)
	w.nextcloud.ResetStats()
	w.cozy.ResetStats()

	second := w.complete(t)

	asked := w.nextcloud.Stats().Requests
	if asked[http.MethodGet]+asked[http.MethodHead] > 0 || asked["PROPFIND"] == 0 {
		t.Errorf("the rerun asked the source for %v, want listings alone", asked)
	}
	if n := w.cozy.Stats()["POST /files/:id"][http.StatusCreated]; n > 0 {
		t.Errorf("%d files or folders were made", n)
	}
	if n := w.cozy.Count("POST /files/_all_docs"); n == 0 || n > 60 {
		t.Errorf("the target was asked %d times what it has, want a few for 301 files", n)
	}
	if diff := cmp.Diff(before, w.got(t)); diff != "" {
		t.Errorf("target (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(first["progress"], second["progress"]); diff != "" {
		t.Errorf("progress (-first +second):\n%s", diff)
	}
}

func TestARerunRepairsWhatItsOwnerTookAwayAndAddsWhatIsNew(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.seed(t, map[string]string{"kept.txt": "kept", "trashed.txt": "trashed", "gone.txt": "gone", "folder/in.txt": "in", "moved.txt": "moved"})
	w.start(t)
	w.complete(t)
	stack := w.stack(t)
	must(t, stack.Destroy(t.Context(), w.lookup(t, "trashed.txt").ID))
	must(t, stack.Destroy(t.Context(), w.lookup(t, "gone.txt").ID))
	must(t, stack.Destroy(t.Context(), w.lookup(t, "folder").ID))
	must(t, os.Rename(filepath.Join(w.nextcloud.Root(user), "moved.txt"), filepath.Join(w.nextcloud.Root(user), "new name.txt")))
	w.seed(t, map[string]string{"new.txt": "new"})
	w.nextcloud.ResetStats()

	w.complete(t)

	want := w.want(t)
	want["moved.txt"] = want["new name.txt"] // what was moved in the source is copied under its new name as well
	if diff := cmp.Diff(want, w.got(t)); diff != "" {
		t.Errorf("target (-want +got):\n%s", diff)
	}
	if n := w.nextcloud.Stats().Requests[http.MethodGet]; n != 5 {
		t.Errorf("%d files were read, want those that were missing and the new ones", n)
	}
}

func TestOverwriteMakesAVersionAndNeverTouchesWhatItsOwnerChanged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cfg.OnChanged = "overwrite"
	w.seed(t, map[string]string{"a.txt": "one", "b.txt": "one", "c.txt": "one"})
	w.start(t)
	w.complete(t)
	w.edit(t, "a.txt", "one", "holiday", "2026") // tags alone: the content is as it was copied
	w.edit(t, "b.txt", "mine")
	a := w.lookup(t, "a.txt")
	for _, name := range []string{"a.txt", "b.txt"} {
		w.rewrite(t, name, "two")
	}

	w.complete(t)

	after := w.lookup(t, "a.txt")
	if after.ID != a.ID || after.MD5 == a.MD5 || !after.UpdatedAt.Equal(time.Date(2020, 5, 6, 7, 8, 9, 0, time.UTC)) {
		t.Errorf("a.txt was %+v, is %+v", a, after)
	}
	f, err := w.stack(t).FileByID(t.Context(), a.ID)
	if err != nil || !f.Executable || !cmp.Equal(f.Tags, []string{"holiday", "2026"}) {
		t.Errorf("a.txt after the new content: %+v, %v; want tags and executable as they were", f, err)
	}
	contents := map[string]string{}
	for _, e := range w.instance.Entries() {
		if name, below := strings.CutPrefix(e.Path, target); below {
			contents[name] = w.content(t, e.Path)
		}
	}
	if diff := cmp.Diff(map[string]string{"a.txt": "two", "b.txt": "mine", "b (2).txt": "two", "c.txt": "one"}, contents); diff != "" {
		t.Errorf("contents (-want +got):\n%s", diff)
	}
	if _, versions := w.instance.Usage(); versions == 0 {
		t.Error("there is no old version of a.txt")
	}
}

func TestSkipNamesWhatChangedSince(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cfg.OnChanged = "skip"
	w.seed(t, map[string]string{"a.txt": "one", "b.txt": "one"})
	w.start(t)
	w.complete(t)
	w.rewrite(t, "a.txt", "two")

	doc := w.complete(t)

	skipped, _ := doc["skipped"].([]any)
	if len(skipped) != 1 {
		t.Fatalf("skipped %v", doc["skipped"])
	}
	one, _ := skipped[0].(map[string]any)
	if reason, _ := one["reason"].(string); one["path"] != "/a.txt" || !strings.Contains(reason, "changed on the Nextcloud since an earlier migration") {
		t.Errorf("skipped %v", one)
	}
	if got := w.content(t, target+"a.txt"); got != "one" {
		t.Errorf("a.txt is %q", got)
	}
}

func TestARerunBuildsOnMigrationsThatWereCanceled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.seed(t, tree(200))
	w.start(t)
	for range 2 { // the second builds on the first, and both are built on
		w.cozy.ClearFaults("")
		w.cozy.Inject(cozytest.Fault{Method: "POST", PathPrefix: "/files/", QueryContains: "Type=file", Skip: 60, Hang: true})
		id := w.request(t, "/")
		start := w.done(t, id)
		await(t, "some files", func() bool { return w.done(t, id) > start+40 })
		if _, err := w.ledger.Cancel(t.Context(), id, host); err != nil {
			t.Fatal(err)
		}
		w.awaitStatus(t, id, "canceled")
	}
	copied := 0
	for _, what := range w.got(t) {
		if what != "folder" {
			copied++
		}
	}
	w.cozy.ClearFaults("")
	w.nextcloud.ResetStats()

	w.complete(t)

	if diff := cmp.Diff(w.want(t), w.got(t)); diff != "" {
		t.Errorf("target (-want +got):\n%s", diff)
	}
	// What a cancellation cut off before it was recorded is compared by its content.
	if read, missing := w.nextcloud.Stats().Requests[http.MethodGet], int64(201-copied); read < missing || read > missing+2*int64(w.cfg.Transfers) {
		t.Errorf("%d files were read, %d were missing", read, missing)
	}
}
