package worker

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"example.org/ncm/services/migrator/internal/transfer"
)

const (
	// overviewAge is how long what was read of the ledger is shown again, however
	// often a worker is scraped.
	overviewAge = 15 * time.Second
	// overviewWait bounds the reading, below the usual limit of a scrape.
	overviewWait = 5 * time.Second
)

// Overviews reads what all migrations together are like.
type Overviews interface {
	Overview(ctx context.Context) (transfer.Overview, error)
}

// overviewMetrics are the gauges that come from the ledger. Every worker shows
// the same numbers: a query takes their maximum, not their sum.
type overviewMetrics struct {
	ledger Overviews
	logger *slog.Logger

	mu   sync.Mutex // held while the ledger is read: scrapes at once share one answer
	read time.Time
	last *transfer.Overview // nil: the ledger did not answer
}

// RegisterOverview registers the metrics of the ledger.
func RegisterOverview(reg prometheus.Registerer, ledger Overviews, logger *slog.Logger) {
	reg.MustRegister(&overviewMetrics{ledger: ledger, logger: logger})
}

var (
	ledgerUp       = ledgerGauge("migrator_ledger_up", "1 when the ledger answered the last time that its metrics were read.")
	ledgerSize     = ledgerGauge("migrator_ledger_size_bytes", "Size of the ledger's tables with their indexes.")
	byState        = ledgerGauge("migrator_migrations", "Migrations in the ledger, by state.", "state")
	byPause        = ledgerGauge("migrator_migrations_paused", "Active migrations that wait for a side that is away, by reason.", "reason")
	waitingNow     = ledgerGauge("migrator_migrations_waiting", "Migrations that are due and have no worker.")
	longestWait    = ledgerGauge("migrator_longest_wait_seconds", "The longest time that a migration has been due without a worker.")
	longestStall   = ledgerGauge("migrator_longest_stall_seconds", "The longest time that a migration with a worker has got no entry done.")
	mirrorLag      = ledgerGauge("migrator_mirror_lag_seconds", "The longest time that a tracking document has been behind the ledger.")
	everyState     = []transfer.State{transfer.StatePending, transfer.StateRunning, transfer.StateCompleted, transfer.StateFailed, transfer.StateCanceled}
	overviewGauges = []*prometheus.Desc{ledgerUp, ledgerSize, byState, byPause, waitingNow, longestWait, longestStall, mirrorLag}
)

func ledgerGauge(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

// Describe implements prometheus.Collector.
func (m *overviewMetrics) Describe(descs chan<- *prometheus.Desc) {
	for _, d := range overviewGauges {
		descs <- d
	}
}

// Collect implements prometheus.Collector. While the ledger is away its gauges
// are left out rather than frozen.
func (m *overviewMetrics) Collect(metrics chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	o := m.overview()
	if o == nil {
		gauge(ledgerUp, 0)
		return
	}
	gauge(ledgerUp, 1)
	gauge(ledgerSize, float64(o.Bytes))
	for _, s := range everyState {
		gauge(byState, float64(o.States[s]), string(s))
	}
	for reason, n := range o.Paused {
		gauge(byPause, float64(n), string(reason))
	}
	gauge(waitingNow, float64(o.Waiting))
	gauge(longestWait, o.Wait.Seconds())
	gauge(longestStall, o.Stalled.Seconds())
	gauge(mirrorLag, o.MirrorLag.Seconds())
}

func (m *overviewMetrics) overview() *transfer.Overview {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.read.IsZero() && time.Since(m.read) < overviewAge {
		return m.last
	}
	ctx, cancel := context.WithTimeout(context.Background(), overviewWait)
	defer cancel()
	o, err := m.ledger.Overview(ctx)
	m.read, m.last = time.Now(), &o
	if err != nil {
		m.last = nil
		m.logger.WarnContext(ctx, "metrics of the ledger not read", "error", err)
	}
	return m.last
}
