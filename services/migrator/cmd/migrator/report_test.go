package main

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.org/ncm/pkg/cozytest"
	"example.org/ncm/services/migrator/internal/report"
	"example.org/ncm/services/migrator/internal/worker"
)

// reports gives the rows of the reports in the target folder by the path in which
// each is, without their heads.
func (w *world) reports(t *testing.T) map[string][][]string {
	t.Helper()
	found := map[string][][]string{}
	for _, e := range w.instance.Entries() {
		if !strings.HasPrefix(e.Path, target+strings.TrimSuffix(report.Name, ".csv")) {
			continue
		}
		text := strings.TrimPrefix(w.content(t, e.Path), "\ufeff")
		rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
		must(t, err)
		found[e.Path] = rows[2:]
	}
	return found
}

func TestEachMigrationWithProblemsLeavesOneReportThatIsNoFileOfIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cfg.Report = string(worker.ReportNeeded)
	w.seed(t, map[string]string{"a.txt": "one", "line\nbreak.txt": "two"})
	w.start(t)

	first := w.complete(t)
	if first["report"] != target+report.Name {
		t.Errorf("the document names %v", first["report"])
	}
	second := w.complete(t)
	if second["report"] != target+"Migration report (2).csv" {
		t.Errorf("the document of a rerun names %v", second["report"])
	}

	rows := [][]string{
		{"/line␊break.txt", "renamed", "", "3", "b8a9f715dbb64fd5c56e7783c6820a61", target + "line‛0Abreak.txt"},
		{"/a.txt", "imported", "", "3", "f97c5d29941bfb1b2fdab0874906ab82", ""},
	}
	got := w.reports(t)
	for path := range got {
		if len(got[path]) == len(rows) {
			got[path][0][2] = ""
		}
	}
	want := map[string][][]string{target + report.Name: rows, target + "Migration report (2).csv": rows}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("reports (-want +got):\n%s", diff)
	}
	for _, doc := range []map[string]any{first, second} {
		if progress, _ := doc["progress"].(map[string]any); fmt.Sprintf("%v of %v", progress["files_imported"], progress["files_total"]) != "2 of 2" {
			t.Errorf("progress %v", progress)
		}
	}
}

// After a stop for want of room its owner makes some, and asks again: what is there
// is not read once more.
func TestAFullInstanceGoesOnWithoutReadingWhatIsThere(t *testing.T) {
	t.Parallel()
	const files, fit, size = 60, 40, 1000
	w := newWorld(t)
	w.cfg.Report = string(worker.ReportAlways)
	all := map[string]string{}
	for n := range files {
		all[fmt.Sprintf("many/%02d.bin", n)] = strings.Repeat(fmt.Sprint(n%10), size)
	}
	w.seed(t, all)
	w.instance.SetQuota(files * size)
	shrink := func(*http.Request) bool {
		w.instance.SetQuota(fit * size)
		return false
	}
	w.cozy.Inject(cozytest.Fault{Method: "POST", PathPrefix: "/files/", QueryContains: "Type=file", Match: shrink})
	w.start(t)
	full := w.awaitStatus(t, w.request(t, "/"), "failed")
	words, _ := full["report_missing"].(string)
	if !strings.Contains(words, "The Cozy is full") || full["report"] != nil || len(w.reports(t)) > 0 {
		t.Errorf("report %v, missing %q", full["report"], words)
	}
	copied := int64(len(w.got(t)) - 1)
	// Uploads that meet at the limit may all be let in.
	if copied < fit/2 || copied >= fit+int64(w.cfg.Transfers) {
		t.Errorf("%d files are there, room was for %d", copied, fit)
	}
	w.instance.SetQuota(0)
	w.cozy.ClearFaults("")
	w.nextcloud.ResetStats()

	done := w.complete(t)

	// What was cut off before it was recorded is compared by its content.
	if read, missing := w.nextcloud.Stats().Requests[http.MethodGet], files-copied; read < missing || read > missing+2*int64(w.cfg.Transfers) {
		t.Errorf("%d files were read, %d were missing", read, missing)
	}
	if rows := w.reports(t)[target+report.Name]; len(rows) != files || done["report_missing"] != nil {
		t.Errorf("%d rows, missing %v", len(rows), done["report_missing"])
	}
	got := w.got(t)
	delete(got, report.Name)
	if diff := cmp.Diff(w.want(t), got); diff != "" {
		t.Errorf("target (-want +got):\n%s", diff)
	}
}
