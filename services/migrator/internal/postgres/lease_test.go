package postgres_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/ncm/services/migrator/internal/postgrestest"
	"example.org/ncm/services/migrator/internal/transfer"
)

func TestClaimServesWhoWaitedLongest(t *testing.T) {
	t.Parallel()
	l := postgrestest.Ledger(t)
	for _, id := range []string{"m1", "m2", "m3"} {
		admit(t, l, migration(id, id), transfer.Admitted)
	}
	for range 2 { // twice around
		for _, want := range []string{"m1", "m2", "m3"} {
			lease := claim(t, l)
			if lease.ID != want {
				t.Fatalf("claimed %s, want %s", lease.ID, want)
			}
			if err := l.Release(t.Context(), lease, 0, 0, ""); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestClaimIsExclusive(t *testing.T) {
	t.Parallel()
	l := postgrestest.Ledger(t)
	const migrations, workers = 20, 8
	for i := range migrations {
		id := fmt.Sprint("m", i)
		admit(t, l, migration(id, id), transfer.Admitted)
	}
	var mu sync.Mutex
	claimed := map[string]int{}
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for {
				lease, _, ok, err := l.Claim(t.Context(), owner, ttl)
				if err != nil || !ok {
					return
				}
				mu.Lock()
				claimed[lease.ID]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(claimed) != migrations {
		t.Errorf("%d of %d migrations claimed", len(claimed), migrations)
	}
	for id, n := range claimed {
		if n != 1 {
			t.Errorf("%s claimed %d times", id, n)
		}
	}
}

func TestALostTermMayWriteNothing(t *testing.T) {
	t.Parallel()
	l := postgrestest.Ledger(t)
	admit(t, l, migration("m1", "alice"), transfer.Admitted)
	old, _, ok, err := l.Claim(t.Context(), "old", 0)
	if err != nil || !ok {
		t.Fatalf("claim: %v, %v", ok, err)
	}
	lease, takenOver, ok, err := l.Claim(t.Context(), "new", ttl)
	if err != nil || !ok || !takenOver {
		t.Fatalf("take over: ok %v, taken over %v, error %v", ok, takenOver, err)
	}
	if err := l.Root(t.Context(), lease, "root", "account", transfer.Entry{}); err != nil {
		t.Fatal(err)
	}
	before := state(t, l, "m1")
	slice := l.Slice(old)
	for name, write := range map[string]func() error{
		"renew":   func() error { _, err := l.Renew(t.Context(), old, ttl); return err },
		"begin":   func() error { return l.Begin(t.Context(), old, "/x") },
		"root":    func() error { return l.Root(t.Context(), old, "x", "account", transfer.Entry{}) },
		"release": func() error { return l.Release(t.Context(), old, time.Hour, 1, transfer.ReasonBusy) },
		"report":  func() error { return l.Report(t.Context(), old, "r", []byte("m")) },
		"finish": func() error {
			_, err := l.Finish(t.Context(), old, transfer.Final{State: transfer.StateFailed, Reason: transfer.ReasonQuota})
			return err
		},
		"page": func() error {
			return slice.AddPage(t.Context(), transfer.Page{Folder: transfer.Folder{ID: 1}, Entries: []transfer.Entry{{Name: "a"}}})
		},
		"folder": func() error {
			return slice.RecordFolder(t.Context(), transfer.FolderResult{Folder: transfer.Folder{ID: 1}, Outcome: transfer.Failed})
		},
		"record": func() error {
			return slice.Record(t.Context(), []transfer.Result{{File: transfer.File{ID: 1}, Outcome: transfer.Failed}})
		},
	} {
		if err := write(); !errors.Is(err, transfer.ErrLeaseLost) {
			t.Errorf("%s under a lost term: %v", name, err)
		}
	}
	if err := l.Mirrored(t.Context(), "m1", old.Term, before.Changed+100); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, state(t, l, "m1")); diff != "" {
		t.Errorf("the row changed under a lost term:\n%s", diff)
	}
}

func TestReleaseWithAWaitIsNotDue(t *testing.T) {
	t.Parallel()
	l := postgrestest.Ledger(t)
	admit(t, l, migration("m1", "alice"), transfer.Admitted)
	lease := claim(t, l)
	if err := l.Release(t.Context(), lease, time.Hour, 3, transfer.ReasonBusy); err != nil {
		t.Fatal(err)
	}
	mustNotClaim(t, l)
	if s := state(t, l, "m1"); s.PauseReason != transfer.ReasonBusy || s.Pauses != 3 {
		t.Errorf("pause reason %q, pauses %d", s.PauseReason, s.Pauses)
	}
}

func TestFinishRefusesToCompleteWithEntriesLeft(t *testing.T) {
	t.Parallel()
	l := postgrestest.Ledger(t)
	admit(t, l, migration("m1", "alice"), transfer.Admitted)
	lease := claim(t, l)
	if err := l.Root(t.Context(), lease, "root", "account", transfer.Entry{Folder: true}); err != nil {
		t.Fatal(err)
	}
	if done, err := l.Finish(t.Context(), lease, transfer.Final{State: transfer.StateCompleted}); err != nil || done {
		t.Fatalf("completed with a folder to list: %v, %v", done, err)
	}
	if done, err := l.Finish(t.Context(), lease, transfer.Final{State: transfer.StateFailed, Reason: transfer.ReasonQuota}); err != nil || !done {
		t.Fatalf("fail: %v, %v", done, err)
	}
	mustNotClaim(t, l)
}

func TestRenewTellsThatOthersWait(t *testing.T) {
	t.Parallel()
	l := postgrestest.Ledger(t)
	admit(t, l, migration("m1", "alice"), transfer.Admitted)
	lease := claim(t, l)
	if r, err := l.Renew(t.Context(), lease, ttl); err != nil || r.Waiting {
		t.Errorf("alone: %+v, %v", r, err)
	}
	admit(t, l, migration("m2", "bob"), transfer.Admitted)
	if r, err := l.Renew(t.Context(), lease, ttl); err != nil || !r.Waiting {
		t.Errorf("with another waiting: %+v, %v", r, err)
	}
}
