package postgres_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/ncm/services/migrator/internal/operate"
	"example.org/ncm/services/migrator/internal/postgres"
	"example.org/ncm/services/migrator/internal/postgrestest"
	"example.org/ncm/services/migrator/internal/transfer"
)

// completed leaves a migration of two files and a folder that is completed, with
// one file done, the other and the folder failed, and its document written.
func completed(t *testing.T, l *postgres.Ledger, id, instance string) {
	t.Helper()
	admit(t, l, migration(id, instance), transfer.Admitted)
	lease := claim(t, l)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(l.Begin(t.Context(), lease, "/Nextcloud"))
	must(l.Root(t.Context(), lease, "target", "account", transfer.Entry{Size: 30}))
	s := l.Slice(lease)
	folders, err := s.Folders(t.Context(), 0, 10)
	must(err)
	folders[0].TargetID = "target"
	must(s.AddPage(t.Context(), transfer.Page{Folder: folders[0], Complete: true, Entries: []transfer.Entry{
		{Name: "a", Size: 10}, {Name: "b", Size: 20}, {Name: "dir", Folder: true},
	}}))
	folders, err = s.Folders(t.Context(), 0, 10)
	must(err)
	must(s.RecordFolder(t.Context(), transfer.FolderResult{Folder: folders[0], Outcome: transfer.Failed, Reason: transfer.ReasonStorageAway}))
	files, err := s.Files(t.Context(), 0, 10)
	must(err)
	must(s.Record(t.Context(), []transfer.Result{
		{File: files[0], Outcome: transfer.Done, Size: 10, MD5: make([]byte, 16), TargetID: "t"},
		{File: files[1], Outcome: transfer.Failed, Reason: transfer.ReasonForbidden},
	}))
	if done, err := l.Finish(t.Context(), lease, transfer.Final{State: transfer.StateCompleted}); !done || err != nil {
		t.Fatalf("finish: %v, %v", done, err)
	}
	must(l.Mirrored(t.Context(), id, lease.Term, state(t, l, id).Changed))
}

func TestARetryPutsFailedEntriesBackAndOpensTheMigrationAgain(t *testing.T) {
	t.Parallel()
	l := postgrestest.Ledger(t)
	o := operate.Operator{Ledger: l}
	completed(t, l, "m1", "alice")
	var refused operate.RefusedError
	if _, _, err := o.Retry(t.Context(), "m1", false); !errors.As(err, &refused) {
		t.Errorf("a retry without --failed of a completed migration: %v", err)
	}
	m, entries, err := o.Retry(t.Context(), "m1", true)
	if err != nil || entries != 2 || m.State != transfer.StateRunning || m.FilesFailed+m.FoldersFailed != 0 || m.FilesDone != 1 {
		t.Fatalf("%d entries, %+v, %v", entries, m, err)
	}
	lease := claim(t, l)
	if lease.ReopenedFrom != transfer.StateCompleted || !lease.Started {
		t.Errorf("lease %+v", lease)
	}
	s := l.Slice(lease)
	folders, _ := s.Folders(t.Context(), 0, 10)
	files, _ := s.Files(t.Context(), 0, 10)
	if len(folders) != 1 || len(files) != 1 || files[0].Name != "b" || files[0].Attempts != 0 || folders[0].Attempts != 0 {
		t.Errorf("to be done again: %+v, %+v", folders, files)
	}
	if done, err := l.Finish(t.Context(), lease, transfer.Final{State: transfer.StateCompleted}); done || err != nil {
		t.Errorf("completed with entries left: %v, %v", done, err)
	}
	if notices, _ := l.Notices(t.Context(), "m1", transfer.Failed, 10); len(notices) != 0 {
		t.Errorf("still reported as failed: %+v", notices)
	}
	if err := l.Mirrored(t.Context(), "m1", lease.Term, state(t, l, "m1").Changed); err != nil {
		t.Fatal(err)
	}
	if s := state(t, l, "m1"); s.ReopenedFrom != "" {
		t.Errorf("still reopened from %q after its document was written", s.ReopenedFrom)
	}
}

func TestAMirrorOfTheFinalStateDoesNotUndoARetry(t *testing.T) {
	t.Parallel()
	l := postgrestest.Ledger(t)
	completed(t, l, "m1", "alice")
	before := state(t, l, "m1")
	if _, _, err := (operate.Operator{Ledger: l}).Retry(t.Context(), "m1", true); err != nil {
		t.Fatal(err)
	}
	// It had written the document just before, and notes it late.
	if err := l.Mirrored(t.Context(), "m1", before.Term, before.Changed); err != nil {
		t.Fatal(err)
	}
	if s := state(t, l, "m1"); s.ReopenedFrom != transfer.StateCompleted {
		t.Errorf("the retry is forgotten, its document stays final: %+v", s)
	}
}

func TestWhatMayNotBeRetriedIsRefused(t *testing.T) {
	t.Parallel()
	l := postgrestest.Ledger(t)
	o := operate.Operator{Ledger: l}
	completed(t, l, "m1", "alice")
	admit(t, l, migration("m2", "alice"), transfer.Admitted)
	if _, _, err := o.Retry(t.Context(), "m1", true); !errors.Is(err, operate.ErrActive) {
		t.Errorf("a second active migration of the instance: %v", err)
	}
	if s := state(t, l, "m1"); s.State != transfer.StateCompleted || s.FilesFailed != 1 {
		t.Errorf("the refused retry changed %+v", s)
	}
	if _, err := o.Cancel(t.Context(), "m2"); err != nil {
		t.Fatal(err)
	}
	var refused operate.RefusedError
	for _, failed := range []bool{false, true} {
		if _, _, err := o.Retry(t.Context(), "m2", failed); !errors.As(err, &refused) {
			t.Errorf("a canceled migration, failed %v: %v", failed, err)
		}
	}
	if _, err := o.Cancel(t.Context(), "m2"); !errors.As(err, &refused) {
		t.Errorf("a second cancellation: %v", err)
	}
	admit(t, l, migration("m3", "alice"), transfer.Admitted)
	lease := claim(t, l)
	if _, err := l.Finish(t.Context(), lease, transfer.Final{State: transfer.StateFailed, Reason: transfer.ReasonWithdrawn}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := o.Retry(t.Context(), "m3", false); !errors.As(err, &refused) {
		t.Errorf("a withdrawn migration: %v", err)
	}
	if _, _, err := o.Retry(t.Context(), "none", false); !errors.Is(err, operate.ErrUnknown) {
		t.Errorf("an unknown migration: %v", err)
	}
}

func TestARetryOfOneThatWaitsMakesItDue(t *testing.T) {
	t.Parallel()
	l := postgrestest.Ledger(t)
	admit(t, l, migration("m1", "alice"), transfer.Admitted)
	if err := l.Release(t.Context(), claim(t, l), time.Hour, 3, transfer.ReasonBusy); err != nil {
		t.Fatal(err)
	}
	o := operate.Operator{Ledger: l}
	if m, err := o.Find(t.Context(), "m1"); err != nil || m.Status != "paused, next try in 1h0m0s" || m.LastError == "" {
		t.Errorf("%+v, %v", m, err)
	}
	mustNotClaim(t, l)
	if m, _, err := o.Retry(t.Context(), "m1", false); err != nil || m.Status != "waits for a worker" {
		t.Errorf("%+v, %v", m, err)
	}
	claim(t, l)
}

func TestTheTimelineTellsWhatHappenedAndIsBounded(t *testing.T) {
	t.Parallel()
	l := postgrestest.Ledger(t)
	completed(t, l, "m1", "alice")
	o := operate.Operator{Ledger: l}
	if _, _, err := o.Retry(t.Context(), "m1", true); err != nil {
		t.Fatal(err)
	}
	if err := l.Release(t.Context(), claim(t, l), time.Nanosecond, 1, transfer.ReasonBusy); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := l.Claim(t.Context(), "first", time.Nanosecond); err != nil {
		t.Fatal(err)
	}
	claim(t, l) // the first one's lease has run out
	if _, err := o.Cancel(t.Context(), "m1"); err != nil {
		t.Fatal(err)
	}
	d, err := o.Show(t.Context(), "m1")
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, e := range d.Events {
		kinds = append(kinds, e.Kind)
		if e.Words == "" || e.At.IsZero() {
			t.Errorf("event %+v", e)
		}
	}
	want := []string{"requested", "claimed", "completed", "reopened", "claimed", "released", "claimed", "taken_over", "cancel_requested"}
	if diff := cmp.Diff(want, kinds); diff != "" {
		t.Errorf("timeline (-want +got):\n%s", diff)
	}

	admit(t, l, migration("m2", "bob"), transfer.Admitted)
	for range 150 {
		if err := l.Release(t.Context(), claim(t, l), 0, 0, ""); err != nil {
			t.Fatal(err)
		}
	}
	if events, err := l.Events(t.Context(), "m2"); err != nil || len(events) != 200 || events[199].Kind != "released" {
		t.Errorf("%d events, %v", len(events), err)
	}
}

func TestMigrationsAreListedAsTheyAreAskedFor(t *testing.T) {
	t.Parallel()
	l := postgrestest.Ledger(t)
	o := operate.Operator{Ledger: l}
	completed(t, l, "m1", "alice")
	admit(t, l, migration("m2", "bob"), transfer.Admitted)
	admit(t, l, migration("m3", "alice"), transfer.Admitted)
	for _, tc := range []struct {
		filter operate.Filter
		want   []string
	}{
		{operate.Filter{Limit: 10}, []string{"m3", "m2", "m1"}},
		{operate.Filter{Limit: 1}, []string{"m3"}},
		{operate.Filter{Instance: "alice", Limit: 10}, []string{"m3", "m1"}},
		{operate.Filter{States: []string{"completed", "failed"}, Limit: 10}, []string{"m1"}},
	} {
		found, err := o.List(t.Context(), tc.filter)
		var ids []string
		for _, m := range found {
			ids = append(ids, m.ID)
		}
		if diff := cmp.Diff(tc.want, ids); diff != "" || err != nil {
			t.Errorf("%+v: %v\n%s", tc.filter, err, diff)
		}
	}
	d, err := o.Show(t.Context(), "m1")
	if err != nil || len(d.Reasons) != 2 || d.Status != "completed, 2 entries failed" || d.Progress != 1 {
		t.Errorf("%+v, %v", d, err)
	}
	for result, want := range map[string][]string{"done": {"a"}, "failed": {"dir", "b"}, "pending": nil, "skipped": nil} {
		entries, err := o.Entries(t.Context(), "m1", operate.EntryFilter{Result: result, Limit: 10})
		var paths []string
		for _, e := range entries {
			paths = append(paths, e.Path)
		}
		if diff := cmp.Diff(want, paths); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", result, err, diff)
		}
	}
	entries, _ := o.Entries(t.Context(), "m1", operate.EntryFilter{Result: "failed", Limit: 1})
	next, err := o.Entries(t.Context(), "m1", operate.EntryFilter{Result: "failed", After: entries[0].ID, Limit: 10})
	if err != nil || len(next) != 1 || next[0].Path != "b" || next[0].Words != transfer.ReasonForbidden.Message() {
		t.Errorf("second page %+v, %v", next, err)
	}
}

func TestOnlyItsOwnWorkerServesAMigrationOfMigrateOnce(t *testing.T) {
	t.Parallel()
	l := postgrestest.Ledger(t)
	m := migration("m1", "alice")
	if got, err := l.AdmitOnce(t.Context(), m); err != nil || got != transfer.Admitted {
		t.Fatalf("%s, %v", got, err)
	}
	mustNotClaim(t, l)
	if ids, err := l.Behind(t.Context(), 0, 10); err != nil || len(ids) != 0 {
		t.Errorf("another worker's mirror writes %v, %v", ids, err)
	}
	admit(t, l, migration("m2", "bob"), transfer.Admitted)
	if got, err := l.AdmitOnce(t.Context(), migration("m3", "bob")); err != nil || got != transfer.AlreadyActive {
		t.Errorf("a second active migration of an instance: %s, %v", got, err)
	}
	lease, _, ok, err := l.Only("m1").Claim(t.Context(), "once", ttl)
	if err != nil || !ok || lease.ID != "m1" {
		t.Fatalf("claimed %v, %v, %v", lease.ID, ok, err)
	}
	if r, err := l.Renew(t.Context(), lease, ttl); err != nil || !r.Waiting {
		t.Errorf("%+v, %v: m2 waits", r, err)
	}
}

func TestWhatAServerIsAskedForAtOnceIsShownForTheTermThatToldIt(t *testing.T) {
	t.Parallel()
	l := postgrestest.Ledger(t)
	admit(t, l, migration("m1", "alice"), transfer.Admitted)
	shown := func() *transfer.Parallel {
		t.Helper()
		m, ok, err := l.Migration(t.Context(), "m1")
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		return m.Parallel
	}
	renew := func(lease transfer.Lease, p *transfer.Parallel) {
		t.Helper()
		lease.Parallel = p
		if _, err := l.Renew(t.Context(), lease, ttl); err != nil {
			t.Fatal(err)
		}
	}
	want := &transfer.Parallel{Source: transfer.Places{Limit: 8, Used: 3, Most: 64}, Target: transfer.Places{Limit: 4, Used: 4, Most: 16}}
	first := claim(t, l)
	if got := shown(); got != nil {
		t.Errorf("before a renewal: %+v", got)
	}
	renew(first, want)
	if diff := cmp.Diff(want, shown()); diff != "" {
		t.Error(diff)
	}
	if err := l.Release(t.Context(), first, 0, 0, ""); err != nil {
		t.Fatal(err)
	}
	if got := shown(); got != nil {
		t.Errorf("of nobody: %+v", got)
	}
	second := claim(t, l)
	if got := shown(); got != nil {
		t.Errorf("of the holder before: %+v", got)
	}
	renew(second, want)
	renew(second, nil)
	if got := shown(); got != nil {
		t.Errorf("of one that asks for nothing any more: %+v", got)
	}
}

func TestPurgeRemovesOnlyWhatIsOverAndMirrored(t *testing.T) {
	t.Parallel()
	l := postgrestest.Ledger(t)
	o := operate.Operator{Ledger: l}
	for i := range 3 {
		completed(t, l, fmt.Sprint("old", i), "alice")
		if err := l.PasswordReturned(t.Context(), fmt.Sprint("old", i)); err != nil {
			t.Fatal(err)
		}
	}
	completed(t, l, "owes its password", "alice")
	if p, err := o.Purge(t.Context(), time.Hour); err != nil || p.Migrations != 0 {
		t.Errorf("purged what ended just now: %+v, %v", p, err)
	}
	admit(t, l, migration("waits", "alice"), transfer.Admitted)
	admit(t, l, migration("unmirrored", "bob"), transfer.Admitted)
	if _, err := o.Cancel(t.Context(), "unmirrored"); err != nil {
		t.Fatal(err)
	}
	cancel(t, l, "never came", "carol")
	if n, files, err := l.Expired(t.Context(), time.Nanosecond); err != nil || n != 3 || files != 6 {
		t.Errorf("%d migrations with %d files to be purged, %v", n, files, err)
	}
	// One that was cut short: its rows are marked, and some are gone.
	if _, err := l.Expire(t.Context(), time.Nanosecond, 1); err != nil {
		t.Fatal(err)
	}
	if n, err := l.RemoveEntries(t.Context(), "old0", 1); err != nil || n != 1 {
		t.Fatalf("%d entries, %v", n, err)
	}
	var refused operate.RefusedError
	if _, _, err := o.Retry(t.Context(), "old0", true); !errors.As(err, &refused) {
		t.Errorf("retried without its entries: %v", err)
	}
	p, err := o.Purge(t.Context(), time.Nanosecond)
	if err != nil || p.Migrations != 3 || p.Cancellations != 1 || p.Entries == 0 {
		t.Errorf("%+v, %v", p, err)
	}
	left, err := o.List(t.Context(), operate.Filter{Limit: 10})
	if err != nil || len(left) != 3 {
		t.Errorf("left %+v, %v", left, err)
	}
	if n, err := l.RemoveEntries(t.Context(), "waits", 10); err != nil || n != 0 {
		t.Errorf("%d entries of an unmarked migration removed, %v", n, err)
	}
	// After a dozen tries nobody gives it back any more.
	if err := l.PasswordReturned(t.Context(), "owes its password"); err != nil {
		t.Fatal(err)
	}
	if p, err := o.Purge(t.Context(), time.Nanosecond); err != nil || p.Migrations != 1 {
		t.Errorf("%+v, %v", p, err)
	}
}

// Nobody gives back what migrate-once was told: there is no account.
func TestPurgeRemovesWhatMigrateOnceDid(t *testing.T) {
	t.Parallel()
	l := postgrestest.Ledger(t)
	o := operate.Operator{Ledger: l}
	if _, err := l.AdmitOnce(t.Context(), migration("m1", "alice")); err != nil {
		t.Fatal(err)
	}
	if _, err := o.Cancel(t.Context(), "m1"); err != nil {
		t.Fatal(err)
	}
	if err := l.Mirrored(t.Context(), "m1", 1, state(t, l, "m1").Changed); err != nil {
		t.Fatal(err)
	}
	if p, err := o.Purge(t.Context(), time.Nanosecond); err != nil || p.Migrations != 1 {
		t.Errorf("%+v, %v", p, err)
	}
}
