package e2e_test

import (
	"encoding/csv"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/test/museum"
	"example.org/ncm/test/rig"
)

// way is a way into a Cozy, with what it can't keep.
type way struct {
	settings rig.Env
	expect   func([]museum.Exhibit) []museum.Exhibit // nil: as the exhibits say
	forget   func(*museum.Arrival)                   // nil: nothing
}

func TestEveryKindOfFileArrivesOrIsNamed(t *testing.T) {
	t.Parallel()
	for mode, w := range map[string]way{
		"files": {},
		"stack": {
			settings: rig.Env{"TRANSFER_MODE": "stack"},
			expect:   museum.ThroughStack,
			forget: func(a *museum.Arrival) {
				if !a.Folder {
					a.Modified, a.Created = time.Time{}, time.Time{}
				}
			},
		},
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			visit(t, w)
		})
	}
}

// visit migrates the museum and compares everything.
func visit(t *testing.T, w way) {
	r := backends.New(t, "-keep-contents")
	alice, cozy := r.AddUser("alice"), r.AddInstance(host)
	exhibits := museum.Exhibits()
	err := museum.Seed(alice.Home, exhibits, func(path string, properties map[string]any) { r.Set(alice, path, properties) })
	if err != nil {
		t.Fatal(err)
	}
	if w.expect != nil {
		exhibits = w.expect(exhibits)
	}
	// What fails is tried in place, and then reported at once.
	env := rig.Env{"ATTEMPTS": "1", "MOUNT_LIMIT": strconv.Itoa(museum.MountLimit)}
	maps.Copy(env, w.settings)
	r.StartMigrator(env)

	id := r.StartTrigger(nil).MustStart(t, cozy, r.Order(alice))
	doc := cozy.AwaitStatus(id, contract.StatusCompleted, time.Minute)

	want, skipped, failed := museum.Expect(exhibits)
	wantArrivals(t, want, cozy, w.forget)
	gotSkipped, gotFailed := map[string]string{}, map[string]string{}
	for _, s := range doc.Skipped {
		gotSkipped[s.Path] = s.Reason
	}
	for _, e := range doc.Errors {
		gotFailed[e.Path] = e.Message
	}
	wantReasons(t, "skipped", skipped, gotSkipped)
	wantReasons(t, "failed", failed, gotFailed)
	wantNotes(t, r, id, exhibits)
	wantReport(t, cozy, &doc, exhibits)
}

// wantReport compares the report in the target folder with what has to become of
// each exhibit.
func wantReport(t *testing.T, cozy *rig.Instance, doc *contract.Tracking, exhibits []museum.Exhibit) {
	t.Helper()
	reports := cozy.Reports()
	if doc.Report != rig.TargetDir+"/Migration report.csv" || doc.ReportMissing != "" || len(reports) != 1 {
		t.Fatalf("the document names %q, missing %q; there are %d", doc.Report, doc.ReportMissing, len(reports))
	}
	content := cozy.Call(http.MethodGet, "/files/download/"+reports[0].ID, "")
	text, marked := strings.CutPrefix(content.Body, "\ufeff")
	if reports[0].Path != doc.Report || content.Status != http.StatusOK || !marked {
		t.Fatalf("%s: %d, with a mark: %v", reports[0].Path, content.Status, marked)
	}
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	type line struct{ Result, Size, MD5, Target string }
	got, reasons := map[string]line{}, map[string]string{}
	remarks := 0
	for _, row := range rows[1:] {
		if row[1] == "remark" {
			remarks++
			continue
		}
		if _, twice := got[row[0]]; twice {
			t.Errorf("%q is there twice", row[0])
		}
		l := line{row[1], row[3], row[4], row[5]}
		if l.MD5 == "" {
			l.Size = "" // of what was not copied, it is what the source said
		}
		got[row[0]], reasons[row[0]] = l, row[2]
	}
	want := map[string]line{}
	for _, e := range museum.Report(exhibits, rig.TargetDir) {
		want[e.Path] = line{e.Result, e.Size, e.MD5, e.Target}
		if reason := reasons[e.Path]; !strings.Contains(reason, e.Reason) || (reason == "") != (e.Reason == "" && e.Result == "imported") {
			t.Errorf("the report says of %q: %q, want %q", e.Path, reason, e.Reason)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	if stack := strings.Contains(text, "are not kept in this mode"); stack != (remarks == 2) || remarks == 0 {
		t.Errorf("%d remarks, one of stack mode: %v", remarks, stack)
	}
}

func wantArrivals(t *testing.T, want map[string]museum.Arrival, cozy *rig.Instance, forget func(*museum.Arrival)) {
	t.Helper()
	got := map[string]museum.Arrival{}
	for _, e := range cozy.Entries() {
		path, inside := strings.CutPrefix(e.Path, rig.TargetDir+"/")
		switch {
		case e.Trashed && e.Path != "/.cozy_trash":
			t.Errorf("%s is in the trash", e.Path)
		case inside && !rig.IsReport(path):
			got[path] = museum.Arrival{
				Folder: e.Dir, Size: e.Size, MD5: e.MD5, Modified: e.UpdatedAt.UTC(), Created: e.CreatedAt.UTC(),
				Favorite: e.Favorite, Tags: e.Tags,
			}
		}
	}
	if forget != nil {
		for _, arrivals := range []map[string]museum.Arrival{want, got} {
			for path, a := range arrivals {
				forget(&a)
				arrivals[path] = a
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("in the target (-want +got):\n%s", diff)
	}
}

// wantReasons compares what the user is told, by path.
func wantReasons(t *testing.T, what string, want, got map[string]string) {
	t.Helper()
	if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got))); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
	for path, reason := range got {
		if !strings.Contains(reason, want[path]) {
			t.Errorf("%s %q because %q, want %q", what, path, reason, want[path])
		}
	}
}

// wantNotes compares what the ledger has for the report of entries that arrived:
// other names, and notes.
func wantNotes(t *testing.T, r *rig.Rig, id string, exhibits []museum.Exhibit) {
	t.Helper()
	type line struct{ Path, Name, Note string }
	lines := rig.Value[[]line](t, r.Ledger, `
		SELECT coalesce(jsonb_agg(jsonb_build_object('Path', path, 'Name', name, 'Note', note)), '[]') FROM (
			SELECT path, coalesce(target_name, '') AS name, '' AS note FROM folder WHERE migration_id = $1 AND target_id IS NOT NULL
			UNION ALL
			SELECT ltrim(d.path || '/' || f.name, '/'), coalesce(f.target_name, ''), coalesce(f.note, '')
			FROM file f JOIN folder d ON d.migration_id = f.migration_id AND d.id = f.folder_id
			WHERE f.migration_id = $1 AND f.state = 'done'
		) AS entry`, id)
	got := map[string]line{}
	for _, l := range lines {
		got[l.Path] = l
	}
	for _, e := range exhibits {
		l := got[e.Path]
		if e.Want.Outcome == museum.Arrives && (l.Name != e.Want.Name || !strings.Contains(l.Note, e.Want.Note) || (l.Note == "") != (e.Want.Note == "")) {
			t.Errorf("the ledger has %q as %q with note %q, want %q with %q", e.Path, l.Name, l.Note, e.Want.Name, e.Want.Note)
		}
	}
}

func TestASourcePathMayBeAFolderOrAFile(t *testing.T) {
	t.Parallel()
	r := backends.New(t)
	alice := r.AddUser("alice")
	exhibits := museum.Exhibits()
	err := museum.Seed(alice.Home, exhibits, func(path string, properties map[string]any) { r.Set(alice, path, properties) })
	if err != nil {
		t.Fatal(err)
	}
	r.StartMigrator(nil)
	trigger := r.StartTrigger(nil)
	for i, path := range []string{"Names/two\r\nlines", "Marks/old favourite.txt", "Names/line\nbreak.txt", "single share.txt"} {
		cozy, order := r.AddInstance(fmt.Sprint("user", i, rig.InstanceSuffix)), r.Order(alice)
		order.SourcePath = "/" + path
		doc := cozy.AwaitStatus(trigger.MustStart(t, cozy, order), contract.StatusCompleted, 30*time.Second)
		want, _, _ := museum.Expect(museum.Below(exhibits, path))
		wantArrivals(t, want, cozy, nil)
		if doc.Progress.FilesImported != 1 || doc.Progress.FilesTotal != 1 || doc.SourcePath != order.SourcePath {
			t.Errorf("%q: progress %+v, source path %q", path, doc.Progress, doc.SourcePath)
		}
	}

	cozy, order := r.AddInstance(host), r.Order(alice)
	order.SourcePath = "/Closed/gone.txt"
	doc := cozy.AwaitStatus(trigger.MustStart(t, cozy, order), contract.StatusCompleted, 30*time.Second)
	if len(doc.Errors) != 1 || doc.Errors[0].Path != order.SourcePath {
		t.Errorf("errors %+v, want one of %s", doc.Errors, order.SourcePath)
	}
}
