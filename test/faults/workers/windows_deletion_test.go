package workers_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/pkg/failpoint"
	"example.org/ncm/test/rig"
)

// What the document says while its source is deleted, and for how long after its
// trigger died.
const (
	deletingField = "source_deleting_at"
	heldFor       = time.Minute
)

func TestATriggerThatDiesInADeletionIsRepairedByTheNextRequest(t *testing.T) {
	t.Parallel()
	const files = 20
	for name, w := range map[string]struct {
		at          string
		home, trash int // files where it died
	}{
		"hold and first entry":   {failpoint.TriggerHold, files, 0},
		"entries and trashbin":   {failpoint.TriggerEntries, 0, files},
		"trashbin and the stamp": {failpoint.TriggerTrash, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := backends.New(t)
			m := newMove(t, r, "alice")
			m.complete(t, files)
			dying := failpoints.StartTrigger(r, w.at)
			if answer, ok := dying.TryDeleteSource(t, m.cozy, m.id); ok {
				t.Fatalf("the trigger lives and says %d %s", answer.Status, answer.Body)
			}
			dying.AwaitCrash(t, 30*time.Second)
			m.wantLeft(t, w.home, w.trash)

			trigger := r.StartTrigger(nil)
			// Nobody knows yet that it died: nothing may be copied from what may
			// be vanishing.
			for what, answer := range map[string]rig.Answer{
				"another deletion":  trigger.DeleteSource(t, m.cozy, m.id),
				"another migration": trigger.Start(t, m.cozy, r.Order(m.user)),
			} {
				if answer.Status != http.StatusConflict || !strings.Contains(answer.Body, "being deleted") {
					t.Errorf("%s: %d %s", what, answer.Status, answer.Body)
				}
			}
			m.change(t, func(doc map[string]any) {
				if doc[deletingField] == nil || doc["source_deleted_at"] != nil {
					t.Errorf("document %v", doc)
				}
				doc[deletingField] = time.Now().Add(-heldFor).UTC() // as if we had waited
			})
			if answer := trigger.DeleteSource(t, m.cozy, m.id); answer.Status != http.StatusNoContent {
				t.Fatalf("after the hold: %d %s", answer.Status, answer.Body)
			}
			m.wantLeft(t, 0, 0)
			m.change(t, func(doc map[string]any) {
				if doc[deletingField] != nil || doc["source_deleted_at"] == nil {
					t.Errorf("document %v", doc)
				}
			})
		})
	}
}

// complete gives the user files of which the document says that they were copied.
func (m *move) complete(t *testing.T, files int) {
	t.Helper()
	for n := range files {
		m.write(t, fmt.Sprintf("file %03d", n), []byte("x"))
	}
	m.change(t, func(doc map[string]any) {
		n := int64(files)
		doc["status"] = contract.StatusCompleted
		doc["progress"] = contract.Progress{FilesImported: n, FilesTotal: n, BytesImported: n, BytesTotal: n}
	})
}

// change reads the document and writes what change makes of it.
func (m *move) change(t *testing.T, change func(doc map[string]any)) {
	t.Helper()
	path := "/data/" + contract.DoctypeMigrations + "/" + m.id
	var doc map[string]any
	m.cozy.Call(http.MethodGet, path, "").Decode(t, &doc)
	change(doc)
	body, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	if answer := m.cozy.Call(http.MethodPut, path, string(body)); answer.Status != http.StatusOK {
		t.Fatalf("write tracking document: %d %s", answer.Status, answer.Body)
	}
}

// wantLeft counts what the user has in the home and in the trashbin.
func (m *move) wantLeft(t *testing.T, home, trash int) {
	t.Helper()
	files, err := os.ReadDir(m.user.Home)
	thrown, trashErr := os.ReadDir(filepath.Join(filepath.Dir(m.user.Home), "trash"))
	if errors.Is(trashErr, os.ErrNotExist) {
		trashErr = nil
	}
	if err := errors.Join(err, trashErr); err != nil {
		t.Fatal(err)
	}
	if len(files) != home || len(thrown) != trash {
		t.Errorf("%d files and %d in the trashbin are left, want %d and %d", len(files), len(thrown), home, trash)
	}
}
