package postgres_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"example.org/ncm/services/migrator/internal/postgres"
	"example.org/ncm/services/migrator/internal/postgrestest"
	"example.org/ncm/services/migrator/internal/transfer"
)

// open begins a migration of an account into a folder of the target.
func open(tb testing.TB, l *postgres.Ledger, id, instance, account, target string) (transfer.Lease, *postgres.Slice, transfer.Folder) {
	tb.Helper()
	if _, err := l.Admit(tb.Context(), migration(id, instance), time.Now()); err != nil {
		tb.Fatal(err)
	}
	lease, _, ok, err := l.Claim(tb.Context(), owner, time.Hour)
	if err != nil || !ok || lease.ID != id {
		tb.Fatalf("claim %s: got %s, ok %v, %v", id, lease.ID, ok, err)
	}
	if err := l.Begin(tb.Context(), lease, "/Nextcloud"); err != nil {
		tb.Fatal(err)
	}
	if err := l.Root(tb.Context(), lease, target, account, transfer.Entry{Folder: true}); err != nil {
		tb.Fatal(err)
	}
	slice := l.Slice(lease)
	roots, err := slice.Folders(tb.Context(), 0, 1)
	if err != nil || len(roots) != 1 {
		tb.Fatalf("root: %v, %v", roots, err)
	}
	return lease, slice, roots[0]
}

// copied is a migration that ended, with its entries copied as "<id> <name>".
func copied(t *testing.T, l *postgres.Ledger, id, instance, account, target string, state transfer.State, entries ...transfer.Entry) {
	t.Helper()
	lease, slice, root := open(t, l, id, instance, account, target)
	addPage(t, slice, transfer.Page{Folder: root, Complete: true, Entries: entries})
	var results []transfer.Result
	for _, f := range files(t, slice, 0) {
		results = append(results, transfer.Result{
			File: f, Outcome: transfer.Done, Size: f.Size, MD5: fmt.Appendf(nil, "md5 of %s %s", id, f.Name), TargetID: id + " " + f.Name,
		})
	}
	if err := slice.Record(t.Context(), results); err != nil {
		t.Fatal(err)
	}
	final := transfer.Final{State: state}
	if state == transfer.StateFailed {
		final.Reason = transfer.ReasonQuota
	}
	if done, err := l.Finish(t.Context(), lease, final); err != nil || !done {
		t.Fatalf("finish: %v, %v", done, err)
	}
}

func TestARerunKnowsTheLatestEarlierCopyInTheSameFolder(t *testing.T) {
	t.Parallel()
	l := postgrestest.Ledger(t)
	entry := func(name, id, etag string) transfer.Entry {
		return transfer.Entry{Name: name, SourceID: id, ETag: etag, Size: 5}
	}
	both := []transfer.Entry{entry("both", "1", "e1"), entry("changed", "2", "e1"), entry("other id", "3", "e1"), {Name: "no id", ETag: "e1"}}
	copied(t, l, "completed", "alice", "account", "root", transfer.StateCompleted, both...)
	copied(t, l, "failed", "alice", "account", "root", transfer.StateFailed, entry("both", "1", "e1"), entry("late", "4", "e1"))
	copied(t, l, "canceled", "alice", "account", "root", transfer.StateCanceled, transfer.Entry{Name: "last", SourceID: "5", ETag: "e1", Size: 5, Marks: transfer.Marks{Favorite: true, Tags: []string{"one", "two"}}})
	copied(t, l, "elsewhere", "alice", "account", "other folder", transfer.StateCompleted, entry("both", "1", "e1"), entry("else", "6", "e1"))
	copied(t, l, "stranger", "alice", "another account", "root", transfer.StateCompleted, entry("strange", "7", "e1"))
	copied(t, l, "neighbour", "bob", "account", "root", transfer.StateCompleted, entry("neighbour", "8", "e1"))

	_, slice, root := open(t, l, "rerun", "alice", "account", "root")
	addPage(t, slice, transfer.Page{Folder: root, Complete: true, Entries: append(both[:1:1],
		entry("changed", "2", "e2"), entry("other id", "33", "e1"), transfer.Entry{Name: "no id", ETag: "e1"},
		entry("late", "4", "e1"), entry("last", "5", "e1"), entry("else", "6", "e1"), entry("strange", "7", "e1"),
		entry("neighbour", "8", "e1"), entry("renamed", "1", "e1"))})

	want := map[string]struct {
		target    string
		unchanged bool
	}{
		"both": {"failed both", true}, "changed": {"completed changed", false}, "late": {"failed late", true}, "last": {"canceled last", true},
	}
	tagged := map[string][]string{"last": {"one", "two"}}
	all := files(t, slice, 0)
	if len(all) != 10 {
		t.Fatalf("%d files", len(all))
	}
	for _, f := range all {
		w, known := want[f.Name]
		switch {
		case !known && f.Earlier != nil:
			t.Errorf("%s: earlier copy %+v, want none", f.Name, f.Earlier)
		case known && (f.Earlier == nil || f.Earlier.TargetID != w.target || f.Earlier.Unchanged != w.unchanged ||
			!bytes.Equal(f.Earlier.MD5, []byte("md5 of "+w.target)) || f.Earlier.Marks.Favorite != (f.Name == "last") || !slices.Equal(f.Earlier.Marks.Tags, tagged[f.Name])):
			t.Errorf("%s: earlier copy %+v, want %+v", f.Name, f.Earlier, w)
		}
	}
}

func TestTheLedgerTellsWhoseCopyAFileOfTheTargetIs(t *testing.T) {
	t.Parallel()
	l := postgrestest.Ledger(t)
	entry := func(name, id string) transfer.Entry {
		return transfer.Entry{Name: name, SourceID: id, ETag: "e", Size: 5}
	}
	copied(t, l, "first", "alice", "account", "root", transfer.StateCompleted, entry("a", "1"), entry("b", "2"))
	copied(t, l, "stranger", "alice", "another account", "root", transfer.StateCompleted, entry("a", "1"))
	_, slice, root := open(t, l, "rerun", "alice", "account", "root")
	addPage(t, slice, transfer.Page{Folder: root, Complete: true, Entries: []transfer.Entry{
		entry("a", "1"), entry("a (2)", "3"), entry("b", "another file"), entry("c", "4"),
	}})
	var beside transfer.File
	for _, f := range files(t, slice, 0) {
		switch f.Name {
		case "a (2)":
			beside = f
		case "c":
			if err := slice.Record(t.Context(), []transfer.Result{{File: f, Outcome: transfer.Done, MD5: []byte("m"), TargetID: "c here"}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, it := range []struct {
		name, target string
		want         bool
	}{
		{"a", "first a", true},
		{"a", "somebody's", false},
		{"a", "stranger a", false},
		{"b", "first b", false}, // another file has the name since
		{"c", "c here", true},
		{"c", "", false},
		{"d", "first a", false},
	} {
		if got, err := slice.Copied(t.Context(), beside, it.name, it.target); err != nil || got != it.want {
			t.Errorf("%s is %q: %v, %v, want %v", it.name, it.target, got, err, it.want)
		}
	}
}

func TestAMigrationThatReadTwoAccountsIsNothingToBuildOn(t *testing.T) {
	t.Parallel()
	l := postgrestest.Ledger(t)
	one := transfer.Entry{Name: "a", SourceID: "1", ETag: "e"}
	lease, slice, root := open(t, l, "m1", "alice", "account", "root")
	addPage(t, slice, transfer.Page{Folder: root, Complete: true, Entries: []transfer.Entry{one}})
	if err := slice.Record(t.Context(), []transfer.Result{{File: files(t, slice, 0)[0], Outcome: transfer.Done, MD5: []byte("m"), TargetID: "t"}}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		for _, account := range []string{"another account", "account"} {
			if err := l.Root(t.Context(), lease, "root", account, transfer.Entry{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := l.Finish(t.Context(), lease, transfer.Final{State: transfer.StateCompleted}); err != nil {
		t.Fatal(err)
	}
	_, slice, root = open(t, l, "m2", "alice", "account", "root")
	addPage(t, slice, transfer.Page{Folder: root, Complete: true, Entries: []transfer.Entry{one}})
	if f := files(t, slice, 0)[0]; f.Earlier != nil {
		t.Errorf("earlier copy %+v", f.Earlier)
	}
}

// BenchmarkFilesOfARerun reads 100,000 files of a rerun, 500 at a time as the
// engine does, with 1 and with 10 earlier migrations that copied them all.
func BenchmarkFilesOfARerun(b *testing.B) {
	const folders, each = 100, 1000
	for _, earlier := range []int{0, 1, 10} {
		b.Run(fmt.Sprint(earlier, " earlier"), func(b *testing.B) {
			l := postgrestest.Ledger(b)
			fill := func(id string) (transfer.Lease, *postgres.Slice) {
				lease, slice, root := open(b, l, id, "alice", "account", "root")
				page := transfer.Page{Folder: root, Complete: true}
				for n := range folders {
					page.Entries = append(page.Entries, transfer.Entry{Name: fmt.Sprint("d", n), Folder: true, SourceID: fmt.Sprint("d", n)})
				}
				must(b, slice.AddPage(b.Context(), page))
				subs, err := slice.Folders(b.Context(), root.ID, folders)
				must(b, err)
				for n, f := range subs {
					f.TargetID = "target " + f.Name
					page := transfer.Page{Folder: f, Complete: true}
					for k := range each {
						page.Entries = append(page.Entries, transfer.Entry{Name: fmt.Sprint("f", k), SourceID: fmt.Sprint(n, ".", k), ETag: "e", Size: 10})
					}
					must(b, slice.AddPage(b.Context(), page))
				}
				return lease, slice
			}
			read := func(slice *postgres.Slice, each func([]transfer.File)) {
				for after := int64(0); ; {
					rows, err := slice.Files(b.Context(), after, 500)
					must(b, err)
					if len(rows) == 0 {
						return
					}
					each(rows)
					after = rows[len(rows)-1].ID
				}
			}
			for n := range earlier {
				lease, slice := fill(fmt.Sprint("m", n))
				read(slice, func(rows []transfer.File) {
					results := make([]transfer.Result, 0, len(rows))
					for _, f := range rows {
						results = append(results, transfer.Result{File: f, Outcome: transfer.Done, Size: 10, MD5: []byte("md5"), TargetID: fmt.Sprint(f.ID)})
					}
					must(b, slice.Record(b.Context(), results))
				})
				_, err := l.Finish(b.Context(), lease, transfer.Final{State: transfer.StateCompleted})
				must(b, err)
			}
			_, slice := fill("rerun")
			for b.Loop() {
				n, known := 0, 0
				read(slice, func(rows []transfer.File) {
					for _, f := range rows {
						n++
						if f.Earlier != nil && f.Earlier.Unchanged {
							known++
						}
					}
				})
				if n != folders*each || earlier > 0 && known != n {
					b.Fatalf("%d files, %d of them known", n, known)
				}
			}
			b.ReportMetric(float64(folders*each)/b.Elapsed().Seconds()*float64(b.N), "files/s")
		})
	}
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
