package postgres_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/ncm/services/migrator/internal/postgres"
	"example.org/ncm/services/migrator/internal/postgrestest"
	"example.org/ncm/services/migrator/internal/transfer"
)

// begun gives a ledger with a migration whose root is to be listed.
func begun(t *testing.T) (*postgres.Ledger, *postgres.Slice, transfer.Folder) {
	t.Helper()
	l := postgrestest.Ledger(t)
	admit(t, l, migration("m1", "alice"), transfer.Admitted)
	lease := claim(t, l)
	if err := l.Begin(t.Context(), lease, "/Nextcloud"); err != nil {
		t.Fatal(err)
	}
	if err := l.Root(t.Context(), lease, "root-id", "account", transfer.Entry{Folder: true, Size: 1000}); err != nil {
		t.Fatal(err)
	}
	slice := l.Slice(lease)
	folders := folders(t, slice, 0)
	if len(folders) != 1 || folders[0].TargetID != "root-id" || folders[0].Path != "" {
		t.Fatalf("folders to list: %+v", folders)
	}
	return l, slice, folders[0]
}

func folders(t *testing.T, s *postgres.Slice, after int64) []transfer.Folder {
	t.Helper()
	all, err := s.Folders(t.Context(), after, 100)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func files(t *testing.T, s *postgres.Slice, after int64) []transfer.File {
	t.Helper()
	all, err := s.Files(t.Context(), after, 100)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func addPage(t *testing.T, s *postgres.Slice, p transfer.Page) {
	t.Helper()
	if err := s.AddPage(t.Context(), p); err != nil {
		t.Fatal(err)
	}
}

var when = time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)

func TestAddPageTwiceAddsOnce(t *testing.T) {
	t.Parallel()
	l, slice, root := begun(t)
	marks := transfer.Marks{Favorite: true, Tags: []string{"holiday", "to print"}}
	page := transfer.Page{Folder: root, Complete: true, ETag: "later", Entries: []transfer.Entry{
		{Name: "sub", Folder: true, Size: 600, ModTime: when, CreatedAt: when, SourceID: "7", Marks: marks},
		{Name: "a.txt", Size: 400, ModTime: when, ETag: `"e"`, SourceID: "8", MIME: "text/plain", Checksums: "MD5:x", Marks: marks},
		{Name: "vault", Folder: true, Size: 77, SkipReason: "end-to-end encrypted"},
	}}
	partial := page
	partial.Complete, partial.ETag = false, "before any child was read"
	addPage(t, slice, partial)
	addPage(t, slice, page)
	addPage(t, slice, page) // a write whose outcome was unknown is repeated

	s := state(t, l, "m1")
	if s.FilesTotal != 1 || s.FoldersTotal != 3 || s.FoldersListed != 1 || s.FoldersSkipped != 1 || s.BytesTotal != 400 {
		t.Errorf("counters %+v", s)
	}
	subs := folders(t, slice, root.ID)
	want := []transfer.Folder{{ID: subs[0].ID, ParentID: root.ID, Name: "sub", Path: "sub", ParentTarget: "root-id", ModTime: when, CreatedAt: when, Marks: marks}}
	if diff := cmp.Diff(want, subs, cmp.Transformer("utc", time.Time.UTC)); diff != "" {
		t.Error(diff)
	}
	got := files(t, slice, 0)
	wantFiles := []transfer.File{{
		ID: got[0].ID, Name: "a.txt", FolderID: root.ID, FolderTarget: "root-id", FolderETag: partial.ETag, Size: 400, ModTime: when,
		ETag: `"e"`, MIME: "text/plain", Checksums: "MD5:x", Marks: marks,
	}}
	if diff := cmp.Diff(wantFiles, got, cmp.Transformer("utc", time.Time.UTC)); diff != "" {
		t.Error(diff)
	}
	skipped, err := l.Notices(t.Context(), "m1", transfer.Skipped, 10)
	if err != nil || len(skipped) != 1 || skipped[0].Path != "vault" || skipped[0].Size != 77 {
		t.Errorf("skipped %+v, error %v", skipped, err)
	}
}

func TestAFolderIsRememberedUnderItsNameInTheTarget(t *testing.T) {
	t.Parallel()
	_, slice, root := begun(t)
	addPage(t, slice, transfer.Page{Folder: root, Complete: true, Entries: []transfer.Entry{{Name: "sub", Folder: true}}})
	sub := folders(t, slice, root.ID)[0]
	for _, name := range []string{"sub (2)", "sub (3)", ""} {
		sub.TargetID, sub.TargetName = "id of "+name, name
		if name == "sub (2)" {
			addPage(t, slice, transfer.Page{Folder: sub})
		} else if err := slice.SetTarget(t.Context(), sub); err != nil {
			t.Fatal(err)
		}
		got, err := slice.Folder(t.Context(), sub.ID)
		if err != nil || got.TargetID != sub.TargetID || got.TargetName != name {
			t.Errorf("folder %+v, error %v, want name %q", got, err, name)
		}
	}
}

func TestTheETagOfAFolderAboveIsThatOfItsListing(t *testing.T) {
	t.Parallel()
	_, slice, root := begun(t)
	addPage(t, slice, transfer.Page{Folder: root, Complete: true, ETag: "root", Entries: []transfer.Entry{
		{Name: "a", Folder: true}, {Name: "beside", Folder: true},
	}})
	a := folders(t, slice, root.ID)[0]
	a.TargetID = "a-id"
	addPage(t, slice, transfer.Page{Folder: a, Complete: true, ETag: "a", Entries: []transfer.Entry{{Name: "b", Folder: true}}})
	b := folders(t, slice, a.ID)
	below := b[len(b)-1]
	for path, want := range map[string]string{"": "root", "a": "a", "a/b": "", "beside": "", "a/b/c": "", "gone": ""} {
		if got, err := slice.ETagAbove(t.Context(), below.ID, path); err != nil || got != want {
			t.Errorf("%q above %q: %q, %v; want %q", path, below.Path, got, err, want)
		}
	}
}

func TestRecordCountsEachFileOnce(t *testing.T) {
	t.Parallel()
	l, slice, root := begun(t)
	addPage(t, slice, transfer.Page{Folder: root, Complete: true, Entries: []transfer.Entry{
		{Name: "done", Size: 10}, {Name: "grown", Size: 10}, {Name: "failed", Size: 10}, {Name: "later", Size: 10},
	}})
	all := files(t, slice, 0)
	md5 := []byte(strings.Repeat("x", 16))
	results := []transfer.Result{
		{File: all[0], Outcome: transfer.Done, Size: 10, MD5: md5, TargetID: "t1"},
		{File: all[1], Outcome: transfer.Done, Size: 15, MD5: md5, TargetID: "t2", TargetName: "grown (2)", Note: "n"},
		{File: all[2], Outcome: transfer.Failed, Reason: transfer.ReasonForbidden},
		{File: all[3], Outcome: transfer.Postponed, Reason: transfer.ReasonBusy},
	}
	for range 2 {
		if err := slice.Record(t.Context(), results[:3]); err != nil {
			t.Fatal(err)
		}
	}
	if err := slice.Record(t.Context(), results[3:]); err != nil {
		t.Fatal(err)
	}
	s := state(t, l, "m1")
	if s.FilesDone != 2 || s.FilesFailed != 1 || s.BytesDone != 25 || s.BytesTotal != 45 {
		t.Errorf("counters %+v", s)
	}
	left := files(t, slice, 0)
	if len(left) != 1 || left[0].Name != "later" || left[0].Attempts != 1 {
		t.Errorf("left to copy: %+v", left)
	}
	failed, err := l.Notices(t.Context(), "m1", transfer.Failed, 10)
	if err != nil || len(failed) != 1 || failed[0].Path != "failed" || failed[0].Reason != string(transfer.ReasonForbidden) {
		t.Errorf("failed %+v, error %v", failed, err)
	}
}

func TestSizesThatAreNonsenseAddUpToALot(t *testing.T) {
	t.Parallel()
	l, slice, root := begun(t)
	for _, name := range []string{"a", "b", "c"} {
		addPage(t, slice, transfer.Page{Folder: root, Entries: []transfer.Entry{{Name: name, Size: math.MaxInt64}}})
	}
	first := files(t, slice, 0)[0]
	first.Size = 1
	done := transfer.Result{File: first, Outcome: transfer.Done, Size: math.MaxInt64 / 2, MD5: []byte(strings.Repeat("x", 16)), TargetID: "t1"}
	if err := slice.Record(t.Context(), []transfer.Result{done}); err != nil {
		t.Fatal(err)
	}
	if s := state(t, l, "m1"); s.BytesTotal != 1<<53-1 || s.FilesTotal != 3 {
		t.Errorf("%d bytes in %d files", s.BytesTotal, s.FilesTotal)
	}
}

func TestNoticesFitIntoADocument(t *testing.T) {
	t.Parallel()
	l, slice, root := begun(t)
	var page []transfer.Entry
	for i := range 1000 {
		page = append(page, transfer.Entry{Name: fmt.Sprintf("%04d", i) + strings.Repeat("x", 1000), SkipReason: "why"})
	}
	addPage(t, slice, transfer.Page{Folder: root, Complete: true, Entries: page})
	got, err := l.Notices(t.Context(), "m1", transfer.Skipped, 1000)
	if err != nil || len(got) < 500 || len(got) > 522 {
		t.Fatalf("%d notices, %v; want those of half a megabyte", len(got), err)
	}
	for i, n := range got {
		if n.Path != page[i].Name {
			t.Fatalf("notice %d is of %.8s", i, n.Path)
		}
	}
	if few, err := l.Notices(t.Context(), "m1", transfer.Skipped, 3); err != nil || len(few) != 3 {
		t.Errorf("%d notices of 3, %v", len(few), err)
	}
}

// A holder that slept over the end of its migration tells what it copied.
func TestWhatCameLateIsCountedOnceNobodyHoldsTheMigration(t *testing.T) {
	t.Parallel()
	l := postgrestest.Ledger(t)
	lease, slice, root := open(t, l, "m1", "alice", "account", "root")
	addPage(t, slice, transfer.Page{Folder: root, Complete: true, Entries: []transfer.Entry{{Name: "a", Size: 10}, {Name: "b", Size: 5}}})
	late := []transfer.Result{{
		File: files(t, slice, 0)[0], Outcome: transfer.Done, Size: 10, MD5: []byte(strings.Repeat("x", 16)), TargetID: "t1",
	}}
	if err := slice.RecordLate(t.Context(), late); !errors.Is(err, transfer.ErrLeaseLost) {
		t.Errorf("while it is held: %v", err)
	}
	if done, err := l.Finish(t.Context(), lease, transfer.Final{State: transfer.StateCanceled}); err != nil || !done {
		t.Fatalf("finish: %v, %v", done, err)
	}
	before := state(t, l, "m1")
	if err := l.Mirrored(t.Context(), "m1", before.Term, before.Changed); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := slice.RecordLate(t.Context(), late); err != nil {
			t.Fatal(err)
		}
	}
	if s := state(t, l, "m1"); s.FilesDone != 1 || s.BytesDone != 10 || s.State != transfer.StateCanceled {
		t.Errorf("counters %+v", s)
	}
	if behind, err := l.Behind(t.Context(), time.Minute, 10); err != nil || !slices.Equal(behind, []string{"m1"}) {
		t.Errorf("documents to be written: %v, %v", behind, err)
	}
}

func TestABadCopyIsNamedToWhoComesNextAndOnlyByTheHolder(t *testing.T) {
	t.Parallel()
	l, slice, root := begun(t)
	addPage(t, slice, transfer.Page{Folder: root, Complete: true, Entries: []transfer.Entry{{Name: "a"}}})
	a := files(t, slice, 0)[0]
	for _, id := range []string{"t1", "t1", "t2"} { // a write whose outcome was unknown is repeated
		if err := slice.Suspect(t.Context(), a.ID, id); err != nil {
			t.Fatal(err)
		}
	}
	if got := files(t, slice, 0)[0].Suspects; !slices.Equal(got, []string{"t1", "t2"}) {
		t.Errorf("suspects %v", got)
	}
	late := transfer.Lease{Migration: migration("m1", "alice"), Owner: owner, Term: 99}
	if err := l.Slice(late).Suspect(t.Context(), a.ID, "t3"); !errors.Is(err, transfer.ErrLeaseLost) {
		t.Errorf("under another term: %v", err)
	}
}

func TestRecordFolderFailsItOnce(t *testing.T) {
	t.Parallel()
	l, slice, root := begun(t)
	addPage(t, slice, transfer.Page{Folder: root, Complete: true, Entries: []transfer.Entry{{Name: "sub", Folder: true}}})
	sub := folders(t, slice, root.ID)[0]
	for _, o := range []transfer.Outcome{transfer.Postponed, transfer.Failed, transfer.Failed} {
		if err := slice.RecordFolder(t.Context(), transfer.FolderResult{Folder: sub, Outcome: o, Reason: transfer.ReasonStorageAway}); err != nil {
			t.Fatal(err)
		}
	}
	if s := state(t, l, "m1"); s.FoldersFailed != 1 {
		t.Errorf("%d folders failed, want 1", s.FoldersFailed)
	}
	if left := folders(t, slice, 0); len(left) != 0 {
		t.Errorf("left to list: %+v", left)
	}
}

func TestMirrorOfAFinalStateIsDueUntilWritten(t *testing.T) {
	t.Parallel()
	l := postgrestest.Ledger(t)
	admit(t, l, migration("m1", "alice"), transfer.Admitted)
	cancel(t, l, "m1", "alice")
	behind := func() []string {
		ids, err := l.Behind(t.Context(), time.Hour, 10)
		if err != nil {
			t.Fatal(err)
		}
		return ids
	}
	if ids := behind(); len(ids) != 1 {
		t.Fatalf("behind: %v", ids)
	}
	if ids := behind(); len(ids) != 0 {
		t.Fatalf("due again at once: %v", ids)
	}
	s := state(t, l, "m1")
	if err := l.Mirrored(t.Context(), "m1", s.Term, s.Changed); err != nil {
		t.Fatal(err)
	}
	if s := state(t, l, "m1"); s.Mirrored != s.Changed {
		t.Errorf("mirrored %d of %d changes", s.Mirrored, s.Changed)
	}
}
