package postgres_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/ncm/services/migrator/internal/postgrestest"
	"example.org/ncm/services/migrator/internal/transfer"
)

func TestOverviewTellsWhatWaitsRunsAndIsPaused(t *testing.T) {
	t.Parallel()
	l := postgrestest.Ledger(t)
	empty, err := l.Overview(t.Context())
	if err != nil || empty.Waiting != 0 || empty.Wait != 0 || empty.Bytes == 0 {
		t.Fatalf("of an empty ledger: %+v, %v", empty, err)
	}
	for _, id := range []string{"m1", "m2", "m3", "m4"} {
		admit(t, l, migration(id, id), transfer.Admitted)
	}
	paused := claim(t, l)
	if err := l.Release(t.Context(), paused, time.Hour, 1, transfer.ReasonBusy); err != nil {
		t.Fatal(err)
	}
	failed := claim(t, l)
	if _, err := l.Finish(t.Context(), failed, transfer.Final{State: transfer.StateFailed, Reason: transfer.ReasonQuota}); err != nil {
		t.Fatal(err)
	}
	running := claim(t, l)
	if err := l.Begin(t.Context(), running, "/target"); err != nil {
		t.Fatal(err)
	}

	got, err := l.Overview(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got.Wait <= 0 || got.Stalled <= 0 || got.MirrorLag <= 0 || max(got.Wait, got.Stalled, got.MirrorLag) > time.Minute {
		t.Errorf("times %v, %v, %v; want some, below a minute", got.Wait, got.Stalled, got.MirrorLag)
	}
	got.Wait, got.Stalled, got.MirrorLag, got.Bytes = 0, 0, 0, 0
	if diff := cmp.Diff(transfer.Overview{
		States:  map[transfer.State]int64{transfer.StatePending: 2, transfer.StateRunning: 1, transfer.StateFailed: 1},
		Paused:  map[transfer.Reason]int64{transfer.ReasonBusy: 1},
		Waiting: 1,
	}, got); diff != "" {
		t.Errorf("overview (-want +got):\n%s", diff)
	}
}

func TestAMigrationKeepsTheTraceOfItsRequest(t *testing.T) {
	t.Parallel()
	l := postgrestest.Ledger(t)
	m := migration("m1", "m1")
	m.TraceParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	admit(t, l, m, transfer.Admitted)
	for range 2 { // the next holder too
		lease := claim(t, l)
		if lease.TraceParent != m.TraceParent {
			t.Errorf("trace %q, want %q", lease.TraceParent, m.TraceParent)
		}
		if err := l.Release(t.Context(), lease, 0, 0, ""); err != nil {
			t.Fatal(err)
		}
	}
}
