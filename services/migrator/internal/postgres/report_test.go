package postgres_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.org/ncm/services/migrator/internal/operate"
	"example.org/ncm/services/migrator/internal/postgrestest"
	"example.org/ncm/services/migrator/internal/transfer"
)

func TestLinesTellEachEntryOnceWithItsPathInTheTarget(t *testing.T) {
	t.Parallel()
	const many = 4100 // more than two pages
	l := postgrestest.Ledger(t)
	_, slice, root := open(t, l, "m1", "alice", "account", "root")
	page := transfer.Page{Folder: root, Complete: true, Entries: []transfer.Entry{
		{Name: "ok"},
		{Name: "taken"},
		{Name: "noted"},
		{Name: "bad"},
		{Name: "left"},
		{Name: "pending"},
		{Name: "d:1", Folder: true},
		{Name: "vault", Folder: true, SkipReason: "encrypted"},
	}}
	page.Entries[4].SkipReason = "of somebody else"
	addPage(t, slice, page)
	sub := folders(t, slice, root.ID)[0]
	sub.TargetID, sub.TargetName = "sub", "d 1"
	page = transfer.Page{Folder: sub, Complete: true}
	for n := range many {
		page.Entries = append(page.Entries, transfer.Entry{Name: fmt.Sprint("f", n)})
	}
	addPage(t, slice, page)
	var results []transfer.Result
	for after := int64(0); ; {
		some := files(t, slice, after)
		if len(some) == 0 {
			break
		}
		for _, f := range some {
			after = f.ID
			res := transfer.Result{File: f, Outcome: transfer.Done, MD5: []byte("m"), TargetID: "t"}
			switch f.Name {
			case "pending":
				continue
			case "taken":
				res.TargetName = "taken (2)"
			case "noted":
				res.Note = "a note"
			case "bad":
				res = transfer.Result{File: f, Outcome: transfer.Failed, Reason: transfer.ReasonForbidden}
			}
			results = append(results, res)
		}
	}
	for some := range slices.Chunk(results, 500) {
		if err := slice.Record(t.Context(), some); err != nil {
			t.Fatal(err)
		}
	}

	lines := func(which transfer.Lines) (all []string) {
		t.Helper()
		err := l.Lines(t.Context(), "m1", which, func(line transfer.Line) error {
			all = append(all, fmt.Sprintf("%s %s>%s %s%s", line.Outcome, line.Path, line.TargetPath, line.Reason, line.Note))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	for which, want := range map[transfer.Lines][]string{
		transfer.LinesFailed:  {"failed bad>bad forbidden"},
		transfer.LinesSkipped: {"skipped vault>vault encrypted", "skipped left>left of somebody else"},
		transfer.LinesRenamed: {"done d:1>d 1 ", "done taken>taken (2) "},
		transfer.LinesProblems: {
			"done d:1>d 1 ", "skipped vault>vault encrypted",
			"done taken>taken (2) ", "done noted>noted a note", "failed bad>bad forbidden", "skipped left>left of somebody else",
		},
	} {
		if diff := cmp.Diff(want, lines(which)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", which, diff)
		}
	}
	rest := lines(transfer.LinesRest)
	if len(rest) != many+2 || rest[0] != "done ok>ok " || rest[1] != "postponed pending>pending " || rest[many+1] != fmt.Sprintf("done d:1/f%d>d 1/f%[1]d ", many-1) {
		t.Errorf("%d lines of the rest, from %q to %q", len(rest), rest[:2], rest[len(rest)-1])
	}
	if slices.Sort(rest); len(slices.Compact(rest)) != many+2 {
		t.Error("a line came twice")
	}
	stop := errors.New("enough")
	if err := l.Lines(t.Context(), "m1", transfer.LinesRest, func(transfer.Line) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("after an error of its reader it gave %v", err)
	}
}

func TestARetryKeepsTheNoteOfAReportAndForgetsWhyThereIsNone(t *testing.T) {
	t.Parallel()
	l := postgrestest.Ledger(t)
	lease, _, _ := open(t, l, "m1", "alice", "account", "root")
	for _, name := range []string{"a.csv", "a (2).csv"} {
		if err := l.Report(t.Context(), lease, name, []byte(name)); err != nil {
			t.Fatal(err)
		}
	}
	final := transfer.Final{State: transfer.StateFailed, Reason: transfer.ReasonQuota, Unreported: transfer.ReasonQuota}
	if done, err := l.Finish(t.Context(), lease, final); err != nil || !done {
		t.Fatal(done, err)
	}
	if s := state(t, l, "m1"); s.Report != "a (2).csv" || string(s.ReportMD5) != s.Report || s.Unreported != transfer.ReasonQuota {
		t.Errorf("report %q with MD5 %q, missing because %q", s.Report, s.ReportMD5, s.Unreported)
	}
	if err := l.Mirrored(t.Context(), "m1", lease.Term, state(t, l, "m1").Changed); err != nil {
		t.Fatal(err)
	}
	if _, _, err := (operate.Operator{Ledger: l}).Retry(t.Context(), "m1", false); err != nil {
		t.Fatal(err)
	}
	if s := state(t, l, "m1"); s.Report != "a (2).csv" || s.Unreported != "" {
		t.Errorf("after a retry: report %q, missing because %q", s.Report, s.Unreported)
	}
}
