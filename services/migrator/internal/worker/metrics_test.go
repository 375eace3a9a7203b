package worker_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"example.org/ncm/services/migrator/internal/transfer"
	"example.org/ncm/services/migrator/internal/worker"
)

// overviewAge is how long an answer of the ledger may be shown.
const overviewAge = 15 * time.Second

// overviews answers, or fails, and counts how often it was asked.
type overviews struct {
	mu    sync.Mutex
	asked int
	err   error
}

func (o *overviews) Overview(context.Context) (transfer.Overview, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asked++
	return transfer.Overview{
		States: map[transfer.State]int64{transfer.StateRunning: 3, transfer.StateFailed: 1},
		Paused: map[transfer.Reason]int64{transfer.ReasonBusy: 2},
		Wait:   90 * time.Second, Waiting: 1, MirrorLag: 1500 * time.Millisecond, Bytes: 4096,
	}, o.err
}

func TestTheLedgerIsAskedOnceHoweverOftenAWorkerIsScraped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ledger, registry := &overviews{}, prometheus.NewPedanticRegistry()
		worker.RegisterOverview(registry, ledger, slog.New(slog.DiscardHandler))
		scrape := func() {
			var all sync.WaitGroup
			for range 20 {
				all.Go(func() {
					if _, err := registry.Gather(); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
		}
		scrape()
		scrape()
		if ledger.asked != 1 {
			t.Errorf("asked %d times for 40 scrapes", ledger.asked)
		}
		<-time.After(overviewAge + time.Second)
		scrape()
		if ledger.asked != 2 {
			t.Errorf("asked %d times in all after 16 s", ledger.asked)
		}
		want := `
			# HELP migrator_migrations Migrations in the ledger, by state.
			# TYPE migrator_migrations gauge
			migrator_migrations{state="canceled"} 0
			migrator_migrations{state="completed"} 0
			migrator_migrations{state="failed"} 1
			migrator_migrations{state="pending"} 0
			migrator_migrations{state="running"} 3
			# HELP migrator_migrations_paused Active migrations that wait for a side that is away, by reason.
			# TYPE migrator_migrations_paused gauge
			migrator_migrations_paused{reason="busy"} 2
			# HELP migrator_mirror_lag_seconds The longest time that a tracking document has been behind the ledger.
			# TYPE migrator_mirror_lag_seconds gauge
			migrator_mirror_lag_seconds 1.5
`
		if err := testutil.GatherAndCompare(registry, strings.NewReader(want),
			"migrator_migrations", "migrator_migrations_paused", "migrator_mirror_lag_seconds"); err != nil {
			t.Error(err)
		}

		ledger.err = errors.New("away")
		<-time.After(overviewAge + time.Second)
		if n, err := testutil.GatherAndCount(registry); n != 1 || err != nil {
			t.Errorf("%d series while the ledger is away, %v; want migrator_ledger_up alone", n, err)
		}
	})
}

func TestMetricsHaveTheFieldsNamesAndFewSeries(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewPedanticRegistry()
	m := worker.NewMetrics(registry)
	worker.RegisterOverview(registry, &overviews{}, slog.New(slog.DiscardHandler))
	reasons := []transfer.Reason{"", transfer.ReasonBusy, transfer.ReasonChanged, transfer.ReasonNotFound}
	for range 1000 { // files, of which the series know nothing
		for _, r := range reasons {
			m.Transferred(transfer.Done, r, 1, transfer.Took{Whole: time.Second, Source: time.Second, Target: time.Second})
			m.Listed(transfer.Failed, r, time.Second)
			m.Retried(transfer.SideSource, r)
		}
	}
	if faults, err := testutil.GatherAndLint(registry); len(faults) > 0 || err != nil {
		t.Errorf("names: %v, %v", faults, err)
	}
	if n, err := testutil.GatherAndCount(registry); n > 50 || err != nil {
		t.Errorf("%d series, %v", n, err)
	}
}
