package report_test

import (
	"encoding/csv"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/ncm/services/migrator/internal/report"
	"example.org/ncm/services/migrator/internal/transfer"
)

func TestRowsAreInPlainWords(t *testing.T) {
	t.Parallel()
	s := transfer.Snapshot{Migration: transfer.Migration{SourcePath: "/Photos", TargetDir: "/Nextcloud/"}}
	for name, c := range map[string]struct {
		line transfer.Line
		want report.Row
	}{
		"imported": {
			transfer.Line{Path: "a", TargetPath: "a", Outcome: transfer.Done, Size: 3, MD5: []byte{1, 255}},
			report.Row{Path: "/Photos/a", Result: "imported", Size: 3, MD5: "01ff"},
		},
		"renamed, with a note": {
			transfer.Line{Path: "d/a", TargetPath: "d/a (2)", Renamed: true, Outcome: transfer.Done, Note: "noted"},
			report.Row{
				Path: "/Photos/d/a", Result: "renamed", TargetPath: "/Nextcloud/d/a (2)",
				Reason: "It has another name in the Cozy, where its own was taken or is not possible. Note: noted.",
			},
		},
		"in a folder of another name": {
			transfer.Line{Path: "d/a", TargetPath: "e/a", Outcome: transfer.Done},
			report.Row{Path: "/Photos/d/a", Result: "imported", TargetPath: "/Nextcloud/e/a"},
		},
		"failed": {
			transfer.Line{Path: "d", Folder: true, TargetPath: "d", Outcome: transfer.Failed, Reason: string(transfer.ReasonForbidden)},
			report.Row{Path: "/Photos/d/", Result: "failed", Reason: transfer.ReasonForbidden.Message()},
		},
		"failed for a reason of another version": {
			transfer.Line{Path: "a", Outcome: transfer.Failed, Reason: "err 0x17 in /srv"},
			report.Row{Path: "/Photos/a", Result: "failed", Reason: transfer.ReasonInternal.Message()},
		},
		"skipped": {
			transfer.Line{Path: "a", Outcome: transfer.Skipped, Reason: "words"},
			report.Row{Path: "/Photos/a", Result: "skipped", Reason: "words"},
		},
		"without a result": {
			transfer.Line{Path: "a", TargetPath: "a", Outcome: transfer.Postponed, Reason: "busy"},
			report.Row{Path: "/Photos/a", Result: "pending", Reason: "The migration ended before it was copied."},
		},
	} {
		if diff := cmp.Diff(c.want, report.NewRow(s, c.line)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestTablesAreReadBackAndRunNothing(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	table := report.NewCSV(&out)
	for _, text := range []string{"=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", `a "b", c`, "two\nlines", "é😀", " =1"} {
		if err := table.Write(report.Row{Path: text, Result: "failed", Reason: text, TargetPath: text}); err != nil {
			t.Fatal(err)
		}
	}
	if err := table.Close(); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), "\r\n"); n != 11 || strings.Count(out.String(), "\n") != n {
		t.Errorf("lines do not end with CRLF alone: %q", out.String())
	}
	rows, err := csv.NewReader(strings.NewReader(out.String())).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, row := range rows[1:] {
		if row[0] != row[2] || row[0] != row[5] {
			t.Errorf("cells of one text differ: %q", row)
		}
		got = append(got, row[0])
	}
	want := []string{"'=1+1", "'+1", "'-1", "'@SUM(A1)", "␉=1", "␍=1", `a "b", c`, "two␊lines", "é😀", " =1"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("cells (-want +got):\n%s", diff)
	}
}

func TestAReportForPeopleIsATableToo(t *testing.T) {
	t.Parallel()
	s := transfer.Snapshot{
		Migration: transfer.Migration{ID: "m1", SourcePath: "/Photos", TargetDir: "/Nextcloud"},
		StartedAt: time.Date(2026, 11, 23, 12, 0, 0, 0, time.FixedZone("", 3600)),
	}
	lines := map[transfer.Lines]transfer.Line{
		transfer.LinesProblems: {Path: "=a", TargetPath: "=a", Outcome: transfer.Failed, Reason: string(transfer.ReasonForbidden), Size: 2},
		transfer.LinesRest:     {Path: "b", TargetPath: "b", Outcome: transfer.Done, Size: 1, MD5: []byte{1}},
	}
	write := func(w io.Writer) error {
		return report.Write(w, s, []string{"=a remark"}, func(which transfer.Lines, yield func(transfer.Line) error) error {
			return yield(lines[which])
		})
	}
	var out strings.Builder
	if err := write(&out); err != nil {
		t.Fatal(err)
	}
	text, marked := strings.CutPrefix(out.String(), "\ufeff")
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil || !marked {
		t.Fatalf("mark %v, %v", marked, err)
	}
	want := [][]string{
		{"path", "result", "reason", "size", "md5", "target path"},
		{"", "remark", "Migration of /Photos to /Nextcloud, begun 2026-11-23 11:00 UTC, number m1", "", "", ""},
		{"", "remark", "'=a remark", "", "", ""},
		{"/Photos/=a", "failed", transfer.ReasonForbidden.Message(), "2", "", ""},
		{"/Photos/b", "imported", "", "1", "01", ""},
	}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	if err := write(broken{}); !errors.Is(err, errBroken) {
		t.Errorf("a writer that fails: %v", err)
	}
}

var errBroken = errors.New("broken")

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errBroken }
