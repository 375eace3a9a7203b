package workers_test

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/test/rig"
	"example.org/ncm/test/tree"
)

// aftermath ends all processes of a rig and checks that its migrations, all of
// them final, left the three places that know of them in agreement and nothing
// besides: no file twice, no message, no connection.
func aftermath(t *testing.T, moves ...*move) {
	t.Helper()
	for _, m := range moves {
		m.wantMirrored(t)
	}
	r := moves[0].Rig
	for _, queue := range []string{queueRequested, queueCanceled} {
		rig.Await(t, rig.Patience, queue+" served", func() bool { return moves[0].waiting(queue) == 0 })
	}
	endAll(t, r)
	for _, m := range moves {
		m.wantFiles(t)
		m.wantTrueLedger(t)
	}
	wantNothingLeft(t, r)
}

// wantMirrored waits for the tracking document to say what the ledger says.
func (m *move) wantMirrored(t *testing.T) {
	t.Helper()
	rig.Await(t, rig.Patience, "mirrored to the end", func() bool {
		return rig.Value[bool](t, m.Ledger,
			"SELECT finished_at IS NOT NULL AND mirrored >= changed FROM migration WHERE id = $1", m.id)
	})
	sums := m.sums(t)
	doc := m.cozy.Tracking(m.id)
	if string(doc.Status) != sums.State {
		t.Errorf("the tracking document says %s, the ledger %s", doc.Status, sums.State)
	}
	want := contract.Progress{
		FilesImported: sums.FilesDone, FilesTotal: sums.FilesTotal, BytesImported: sums.BytesDone, BytesTotal: sums.BytesTotal,
	}
	if doc.Status == contract.StatusCompleted && doc.Progress != want || doc.Progress.FilesImported != sums.FilesDone {
		t.Errorf("the tracking document counts %+v, the ledger %+v", doc.Progress, want)
	}
	if doc.Status == contract.StatusCompleted && len(doc.Errors)+len(doc.Skipped) > 0 {
		t.Errorf("files are reported as not copied: %+v %+v", doc.Errors, doc.Skipped)
	}
	if doc.FinishedAt == nil || doc.LastHeartbeatAt == nil || (doc.Status == contract.StatusCanceled) != (doc.CanceledAt != nil) {
		t.Errorf("times of the tracking document: finished %v, heartbeat %v, canceled %v", doc.FinishedAt, doc.LastHeartbeatAt, doc.CanceledAt)
	}
}

// sums are what the ledger counts of a migration.
type sums struct {
	State                                        string
	FilesTotal, FilesDone, BytesTotal, BytesDone int64
}

func (m *move) sums(t *testing.T) (s sums) {
	t.Helper()
	text := rig.Value[string](t, m.Ledger, `
		SELECT json_build_object('State', state, 'FilesTotal', files_total, 'FilesDone', files_done,
			'BytesTotal', bytes_total, 'BytesDone', bytes_done)::text
		FROM migration WHERE id = $1`, m.id)
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		t.Fatalf("read the ledger's sums %q: %v", text, err)
	}
	return s
}

// wantFiles compares source and target entry by entry. What is missing is a fault
// only where the migration is completed.
func (m *move) wantFiles(t *testing.T) {
	t.Helper()
	report, err := tree.Compare(m.Files(m.user), m.cozy.Files(rig.TargetDir))
	if err != nil {
		t.Fatalf("compare: %v", err)
	}
	faults := report.Differences()
	if m.state(t) != "completed" {
		faults -= report.Counts[tree.Missing]
	}
	if faults > 0 {
		var table strings.Builder
		if err := report.WriteTable(&table); err != nil {
			t.Fatalf("write table: %v", err)
		}
		t.Errorf("source and target differ:\n%s", table.String())
	}
}

// wantTrueLedger compares the ledger's rows with what is in the target, and its
// sums with its rows.
func (m *move) wantTrueLedger(t *testing.T) {
	t.Helper()
	there := map[string]string{}
	var bytes int64
	for e, err := range m.cozy.Files(rig.TargetDir) {
		if err != nil {
			t.Fatalf("list target: %v", err)
		}
		if !e.Folder {
			there[e.Path] = fmt.Sprintf("%d bytes, md5 %s", e.Size, hex.EncodeToString(e.MD5[:]))
			bytes += e.Size
		}
	}
	recorded := map[string]string{}
	text := rig.Value[string](t, m.Ledger, `
		SELECT coalesce(json_object_agg(
			CASE WHEN d.path = '' THEN '' ELSE d.path || '/' END || coalesce(f.target_name, f.name),
			f.size || ' bytes, md5 ' || encode(f.md5, 'hex')), '{}')::text
		FROM file f JOIN folder d ON d.migration_id = f.migration_id AND d.id = f.folder_id
		WHERE f.migration_id = $1 AND f.state = 'done'`, m.id)
	if err := json.Unmarshal([]byte(text), &recorded); err != nil {
		t.Fatalf("read the ledger's rows: %v", err)
	}
	if !maps.Equal(recorded, there) {
		t.Errorf("files of the ledger (-) and of the target (+) differ:\n%.4000s", cmp.Diff(recorded, there))
	}
	if s := m.sums(t); s.FilesDone != int64(len(there)) || s.BytesDone != bytes {
		t.Errorf("the ledger counts %d files and %d bytes, there are %d and %d", s.FilesDone, s.BytesDone, len(there), bytes)
	}
}

// endAll stops what runs, as an operator would.
func endAll(t *testing.T, r *rig.Rig) {
	t.Helper()
	for _, p := range r.Processes() {
		if !p.Running() {
			continue
		}
		p.Signal(t, syscall.SIGCONT)
		p.Stop(t)
	}
}

// awaitDisconnected waits until nobody is connected to the ledger: what dead workers
// sent before their death is written then.
func awaitDisconnected(t *testing.T, r *rig.Rig) {
	t.Helper()
	rig.Await(t, rig.Patience, "free of connections to the ledger", func() bool {
		return rig.Value[int64](t, r.Ledger, `
			SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'`) == 0
	})
}

// wantNothingLeft looks for what should have gone with the processes.
func wantNothingLeft(t *testing.T, r *rig.Rig) {
	t.Helper()
	for _, queue := range []string{queueRequested, queueCanceled, queueDead} {
		rig.Await(t, rig.Patience, queue+" empty", func() bool {
			state, ok := r.Queue(queue)
			return ok && state.Messages == 0 && state.Consumers == 0
		})
	}
	awaitDisconnected(t, r)
	for _, p := range r.Processes() {
		if p.Running() {
			t.Errorf("%s still runs", p.Name)
		}
	}
}
