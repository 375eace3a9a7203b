package postgres_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"example.org/ncm/services/migrator/internal/postgres"
	"example.org/ncm/services/migrator/internal/postgrestest"
	"example.org/ncm/services/migrator/internal/transfer"
)

const (
	ttl   = 15 * time.Second
	owner = "worker"
)

func migration(id, instance string) transfer.Migration {
	return transfer.Migration{ID: id, Instance: instance, AccountID: "account", SourcePath: "/"}
}

func admit(t *testing.T, l *postgres.Ledger, m transfer.Migration, want transfer.Admission) {
	t.Helper()
	got, err := l.Admit(t.Context(), m, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Fatalf("admission of %s is %s, want %s", m.ID, got, want)
	}
}

func claim(t *testing.T, l *postgres.Ledger) transfer.Lease {
	t.Helper()
	lease, _, ok, err := l.Claim(t.Context(), owner, ttl)
	if err != nil || !ok {
		t.Fatalf("claim: ok %v, error %v", ok, err)
	}
	return lease
}

func mustNotClaim(t *testing.T, l *postgres.Ledger) {
	t.Helper()
	if lease, _, ok, err := l.Claim(t.Context(), owner, ttl); err != nil || ok {
		t.Fatalf("claimed %v, error %v; want nothing to claim", lease.ID, err)
	}
}

func state(t *testing.T, l *postgres.Ledger, id string) transfer.Snapshot {
	t.Helper()
	s, ok, err := l.Snapshot(t.Context(), id)
	if err != nil || !ok {
		t.Fatalf("snapshot of %s: ok %v, error %v", id, ok, err)
	}
	return s
}

func cancel(t *testing.T, l *postgres.Ledger, id, instance string) {
	t.Helper()
	if ours, err := l.Cancel(t.Context(), id, instance); err != nil || !ours {
		t.Fatalf("cancel %s: ours %v, error %v", id, ours, err)
	}
}

func TestARequestIsWithdrawnUnlessSomebodyWorksOnIt(t *testing.T) {
	t.Parallel()
	l := postgrestest.Ledger(t)
	admit(t, l, migration("m1", "alice"), transfer.Admitted)
	if other, err := l.Waiting(t.Context(), "alice", "m1"); err != nil || other != "" {
		t.Errorf("it waits for itself: %q, error %v", other, err)
	}
	if other, err := l.Waiting(t.Context(), "alice", "m2"); err != nil || other != "m1" {
		t.Errorf("waiting is %q, error %v", other, err)
	}
	if ok, err := l.Withdraw(t.Context(), "m1"); err != nil || !ok {
		t.Fatalf("withdrawn %v, error %v", ok, err)
	}
	if s := state(t, l, "m1"); s.State != transfer.StateFailed || s.FailureReason != transfer.ReasonWithdrawn {
		t.Errorf("state %s, reason %s", s.State, s.FailureReason)
	}
	admit(t, l, migration("m2", "alice"), transfer.Admitted)
	claim(t, l)
	if ok, err := l.Withdraw(t.Context(), "m2"); err != nil || ok {
		t.Errorf("withdrawn from its holder: %v, error %v", ok, err)
	}
}

func TestAdmitIsIdempotent(t *testing.T) {
	t.Parallel()
	l := postgrestest.Ledger(t)
	admit(t, l, migration("m1", "alice"), transfer.Admitted)
	admit(t, l, migration("m1", "alice"), transfer.AlreadyKnown)
	lease := claim(t, l)
	admit(t, l, migration("m1", "alice"), transfer.AlreadyKnown)
	if err := l.Begin(t.Context(), lease, "/Nextcloud"); err != nil {
		t.Errorf("a repeated message took the lease away: %v", err)
	}
}

func TestAdmitLetsOneMigrationPerInstanceBeActive(t *testing.T) {
	t.Parallel()
	l := postgrestest.Ledger(t)
	admit(t, l, migration("m1", "alice"), transfer.Admitted)
	admit(t, l, migration("m2", "alice"), transfer.AlreadyActive)
	admit(t, l, migration("m3", "bob"), transfer.Admitted)
	if s := state(t, l, "m2"); s.State != transfer.StateFailed || s.FailureReason != transfer.ReasonAlreadyActive {
		t.Errorf("the second one is %s (%s)", s.State, s.FailureReason)
	}
	cancel(t, l, "m1", "alice")
	admit(t, l, migration("m4", "alice"), transfer.Admitted)
}

func TestCancelBeforeRequestWins(t *testing.T) {
	t.Parallel()
	l := postgrestest.Ledger(t)
	cancel(t, l, "m1", "alice")
	cancel(t, l, "m1", "alice")
	admit(t, l, migration("m1", "alice"), transfer.AlreadyOver)
	mustNotClaim(t, l)
	if s := state(t, l, "m1"); s.State != transfer.StateCanceled {
		t.Errorf("state is %s", s.State)
	}
}

func TestACancellationOfAnotherInstanceDoesNotHideTheTrueOne(t *testing.T) {
	t.Parallel()
	l := postgrestest.Ledger(t)
	cancel(t, l, "m1", "mallory")
	cancel(t, l, "m2", "mallory")
	cancel(t, l, "m1", "alice")
	admit(t, l, migration("m1", "alice"), transfer.AlreadyOver)
	admit(t, l, migration("m2", "bob"), transfer.Admitted)
}

func TestCancelOfAnotherInstanceIsRefused(t *testing.T) {
	t.Parallel()
	l := postgrestest.Ledger(t)
	admit(t, l, migration("m1", "alice"), transfer.Admitted)
	if ours, err := l.Cancel(t.Context(), "m1", "mallory"); err != nil || ours {
		t.Errorf("ours %v, error %v", ours, err)
	}
	if s := state(t, l, "m1"); s.State != transfer.StatePending {
		t.Errorf("state is %s", s.State)
	}
}

func TestCancelOfAHeldMigrationWaitsForItsHolder(t *testing.T) {
	t.Parallel()
	l := postgrestest.Ledger(t)
	admit(t, l, migration("m1", "alice"), transfer.Admitted)
	lease := claim(t, l)
	cancel(t, l, "m1", "alice")
	if s := state(t, l, "m1"); s.State != transfer.StatePending || !s.Canceled {
		t.Errorf("state is %s, canceled %v", s.State, s.Canceled)
	}
	r, err := l.Renew(t.Context(), lease, ttl)
	if err != nil || !r.Canceled {
		t.Errorf("renewal %+v, error %v", r, err)
	}
	if done, err := l.Finish(t.Context(), lease, transfer.Final{State: transfer.StateCanceled}); err != nil || !done {
		t.Errorf("finish: %v, %v", done, err)
	}
}

func TestCancelOfALapsedLeaseShutsItsHolderOut(t *testing.T) {
	t.Parallel()
	l := postgrestest.Ledger(t)
	admit(t, l, migration("m1", "alice"), transfer.Admitted)
	lease, _, ok, err := l.Claim(t.Context(), owner, 0)
	if err != nil || !ok {
		t.Fatalf("claim: %v, %v", ok, err)
	}
	cancel(t, l, "m1", "alice")
	if err := l.Begin(t.Context(), lease, "/x"); !errors.Is(err, transfer.ErrLeaseLost) {
		t.Errorf("a paused holder wrote after the cancellation: %v", err)
	}
	mustNotClaim(t, l)
}

// A cancellation that races with its own request must never be lost.
func TestCancelRacingWithItsRequestIsNeverLost(t *testing.T) {
	t.Parallel()
	l := postgrestest.Ledger(t)
	for i := range 50 {
		id := fmt.Sprintf("m%d", i)
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := l.Admit(t.Context(), migration(id, id), time.Now()); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			if _, err := l.Cancel(t.Context(), id, id); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		if s := state(t, l, id); s.State != transfer.StateCanceled {
			t.Fatalf("%s is %s after a cancellation", id, s.State)
		}
	}
}
