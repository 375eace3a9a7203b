package e2e_test

import (
	"encoding/json"
	"iter"
	"strings"
	"testing"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/test/rig"
	"example.org/ncm/test/tree"
)

// host is the instance of a test that needs one.
const host = "alice" + rig.InstanceSuffix

// wantEqual compares a source with what is in an instance's target folder.
func wantEqual(t *testing.T, source iter.Seq2[tree.Entry, error], i *rig.Instance) *tree.Report {
	t.Helper()
	report, err := tree.Compare(source, i.Files(rig.TargetDir))
	if err != nil {
		t.Fatalf("compare: %v", err)
	}
	if report.Differences() > 0 {
		var table strings.Builder
		if err := report.WriteTable(&table); err != nil {
			t.Fatalf("write table: %v", err)
		}
		t.Errorf("source and target differ:\n%s", table.String())
	}
	return report
}

// wantWhole checks what a tracking document says of a migration that left nothing
// out.
func wantWhole(t *testing.T, doc contract.Tracking, files, bytes int64) {
	t.Helper()
	want := contract.Progress{FilesImported: files, FilesTotal: files, BytesImported: bytes, BytesTotal: bytes}
	if doc.Progress != want {
		t.Errorf("progress is %+v, want %+v", doc.Progress, want)
	}
	if len(doc.Errors) > 0 || len(doc.Skipped) > 0 || doc.StartedAt == nil || doc.FinishedAt == nil {
		t.Errorf("tracking document %+v", doc)
	}
}

// slowUploads makes each upload of an instance take longer.
func slowUploads(r *rig.Rig, i *rig.Instance, ms int) {
	r.SpoilCozy(rig.Fault{
		"host": i.Host, "method": "POST", "pathPrefix": "/files/", "queryContains": "Type=file", "delayMs": ms,
	})
}

// filesDone is how many files of a migration the ledger has as copied.
func filesDone(t *testing.T, r *rig.Rig, id string) int64 {
	t.Helper()
	return rig.Value[int64](t, r.Ledger, "SELECT files_done FROM migration WHERE id = $1", id)
}

func decode[T any](t *testing.T, raw []byte) (value T) {
	t.Helper()
	if err := json.Unmarshal(raw, &value); err != nil {
		t.Fatalf("decode %q: %v", raw, err)
	}
	return value
}
