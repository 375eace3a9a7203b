package e2e_test

import (
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/test/rig"
	"example.org/ncm/test/tree"
)

// throughStack are settings of a migrator that lets the stack copy, and could not
// reach the Nextcloud itself.
func throughStack(more rig.Env) rig.Env {
	env := rig.Env{"TRANSFER_MODE": "stack", "ALLOW_HTTP_NEXTCLOUD": "false", "ALLOWED_PRIVATE_RANGES": "", "TRANSFERS": "4"}
	for name, value := range more {
		env[name] = value
	}
	return env
}

// Routes of the stack to a Nextcloud.
const (
	routeCopy = "POST /remote/nextcloud/:account/downstream/*"
	routeRead = "GET /remote/nextcloud/:account/*?Dl=1"
)

// undated leaves out the dates of files, which are lost when the stack copies.
func undated(entries iter.Seq2[tree.Entry, error]) iter.Seq2[tree.Entry, error] {
	return func(yield func(tree.Entry, error) bool) {
		for e, err := range entries {
			if !e.Folder {
				e.ModTime = time.Time{}
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// slowReads makes the Nextcloud take longer for each file.
func slowReads(r *rig.Rig, by string) {
	r.SpoilNextcloud(rig.Fault{"method": "GET", "path_prefix": "/remote.php/dav/files/", "times": -1, "delay": by})
}

func TestAStackCopiesEveryFileByItself(t *testing.T) {
	t.Parallel()
	r := backends.New(t)
	alice, cozy := r.AddUser("alice"), r.AddInstance(host)
	seeded, err := tree.Seed(t.Context(), alice.Home, tree.Options{From: filepath.Join(r.Root(), "pkg"), MaxFiles: 20})
	if err != nil {
		t.Fatal(err)
	}
	r.StartMigrator(throughStack(nil))
	trigger := r.StartTrigger(nil)

	id := trigger.MustStart(t, cozy, r.Order(alice))
	doc := cozy.AwaitStatus(id, contract.StatusCompleted, time.Minute)

	wantEqualInFolder(t, undated(tree.Disk(t.Context(), alice.Home)), undated(cozy.Files(rig.TargetDir)))
	wantWhole(t, doc, int64(seeded.Files), seeded.Bytes)
	answers := r.CozyAnswers()
	if copied := answers[routeCopy][201]; copied == 0 || copied+answers[routeRead][200] != int64(seeded.Files) {
		t.Errorf("of %d files %d were copied by the stack, %d read through it", seeded.Files, copied, answers[routeRead][200])
	}
	t.Logf("%d files copied by the stack, %d read through it", answers[routeCopy][201], answers[routeRead][200])
}

func wantEqualInFolder(t *testing.T, source, target iter.Seq2[tree.Entry, error]) {
	t.Helper()
	report, err := tree.Compare(source, target)
	if err != nil {
		t.Fatalf("compare: %v", err)
	}
	if report.Differences() > 0 {
		var table strings.Builder
		_ = report.WriteTable(&table)
		t.Errorf("source and target differ:\n%s", table.String())
	}
}

func TestAStackNamesWhatItCannotCopyAndKeepsWhatWasThere(t *testing.T) {
	t.Parallel()
	h := newByHand(t)
	for name, content := range map[string]string{"taken.txt": "mine", "shared.txt": "no download"} {
		if err := os.WriteFile(filepath.Join(h.user.Home, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// The stack ends every path with a slash.
	h.SpoilNextcloud(rig.Fault{"method": "GET", "path_suffix": "shared.txt/", "times": -1, "status": 403, "exception": `Sabre\DAV\Exception\Forbidden`})
	folder := h.cozy.Call("POST", "/files/?Type=directory&Name="+strings.ReplaceAll(strings.TrimPrefix(rig.TargetDir, "/"), " ", "%20"), "")
	var made struct {
		Data struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	folder.Decode(t, &made)
	h.cozy.Call("POST", "/files/"+made.Data.ID+"?Type=file&Name=taken.txt&Size=4", "ours")
	h.StartMigrator(throughStack(nil))
	h.request(h.id)
	doc := h.cozy.AwaitStatus(h.id, contract.StatusCompleted, time.Minute)
	if len(doc.Errors) != 1 || doc.Errors[0].Path != "/shared.txt" || !strings.Contains(doc.Errors[0].Message, "does not allow") {
		t.Errorf("errors are %+v", doc.Errors)
	}
	if doc.Progress.FilesImported != 101 {
		t.Errorf("progress is %+v", doc.Progress)
	}
	dated := map[string]bool{}
	for e, err := range h.cozy.Files(rig.TargetDir) {
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(e.Path, "taken") {
			dated[e.Path] = time.Since(e.ModTime) < time.Hour
		}
	}
	if len(dated) != 2 || !dated["taken.txt"] || !dated["taken (2).txt"] {
		t.Errorf("kept %v", dated)
	}
}

func TestAKilledWorkersCopiesAreCountedOnce(t *testing.T) {
	t.Parallel()
	h := newByHand(t)
	slowReads(h.Rig, "100ms")
	first := h.StartMigrator(throughStack(rig.Env{"LEASE_TTL": "3s"}))
	h.request(h.id)
	rig.Await(t, 30*time.Second, "in mid-run", func() bool { return filesDone(t, h.Rig, h.id) > 8 })
	first.Kill()
	h.StartMigrator(throughStack(rig.Env{"LEASE_TTL": "3s"}))
	h.HealNextcloud()
	doc := h.cozy.AwaitStatus(h.id, contract.StatusCompleted, time.Minute)
	wantEqualInFolder(t, undated(h.Files(h.user)), undated(h.cozy.Files(rig.TargetDir)))
	wantWhole(t, doc, 100, 100_000)
	if made := h.CozyAnswers()[routeCopy][201]; made != 100 {
		t.Errorf("the stack made %d copies of 100 files", made)
	}
}

func TestAMigrationThroughTheStackEndsMidway(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		end    func(h *byHand)
		status contract.Status
		reason string
	}{
		"canceled": {func(h *byHand) { h.cancel(h.id) }, contract.StatusCanceled, ""},
		"password revoked": {
			func(h *byHand) { h.Revoke(h.user) }, contract.StatusFailed, "refuses the login",
		},
		"instance full": {
			func(h *byHand) { h.cozy.Change(map[string]any{"quotaBytes": 50_000}) }, contract.StatusFailed, "quota exceeded",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newByHand(t)
			slowReads(h.Rig, "100ms")
			h.StartMigrator(throughStack(nil))
			h.request(h.id)
			rig.Await(t, 30*time.Second, "in mid-run", func() bool { return filesDone(t, h.Rig, h.id) > 4 })
			test.end(h)
			doc := h.cozy.AwaitStatus(h.id, test.status, 30*time.Second)
			if !strings.Contains(doc.FailureReason, test.reason) {
				t.Errorf("failed for %q, want %q", doc.FailureReason, test.reason)
			}
			if there := h.copied(t); doc.Progress.FilesImported != there || there == 100 {
				t.Errorf("%d files are counted, %d are there", doc.Progress.FilesImported, there)
			}
		})
	}
}
