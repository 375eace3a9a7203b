package worker

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"example.org/ncm/services/migrator/internal/transfer"
)

// Metrics of a worker and its engine. No label holds what a user named.
type Metrics struct {
	entries   *prometheus.CounterVec
	bytes     prometheus.Counter
	transfer  prometheus.Histogram
	retries   *prometheus.CounterVec
	listings  prometheus.Histogram
	slices    *prometheus.CounterVec
	sliceTime prometheus.Histogram
	busy      prometheus.Gauge
	takeovers prometheus.Counter
	mirrors   prometheus.Counter
}

var _ transfer.Metrics = (*Metrics)(nil)

// NewMetrics registers the metrics.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		entries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "migrator_files_total", Help: "Files that got a result, by result and reason.",
		}, []string{"result", "reason"}),
		bytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "migrator_copied_bytes_total", Help: "Bytes of files copied and verified.",
		}),
		transfer: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "migrator_transfer_seconds", Help: "Time of one file, retries in place included.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 10),
		}),
		retries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "migrator_retries_total", Help: "Errors that were tried again, by side and reason.",
		}, []string{"side", "reason"}),
		listings: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "migrator_listing_seconds", Help: "Time to list one folder.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 10),
		}),
		slices: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "migrator_slices_total", Help: "Slices by how they ended.",
		}, []string{"end"}),
		sliceTime: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "migrator_slice_seconds", Help: "Time of one slice.",
			Buckets: prometheus.ExponentialBuckets(0.1, 4, 10),
		}),
		busy: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "migrator_slots_busy", Help: "Slots that hold a lease.",
		}),
		takeovers: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "migrator_takeovers_total", Help: "Leases taken after their holder let them run out.",
		}),
		mirrors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "migrator_mirror_failures_total", Help: "Writes of a tracking document that failed.",
		}),
	}
	reg.MustRegister(m.entries, m.bytes, m.transfer, m.retries, m.listings, m.slices, m.sliceTime, m.busy, m.takeovers, m.mirrors)
	return m
}

// Transferred implements transfer.Metrics.
func (m *Metrics) Transferred(o transfer.Outcome, r transfer.Reason, size int64, took time.Duration) {
	m.entries.WithLabelValues(string(o), string(r)).Inc()
	m.bytes.Add(float64(size))
	m.transfer.Observe(took.Seconds())
}

// Retried implements transfer.Metrics.
func (m *Metrics) Retried(side transfer.Side, r transfer.Reason) {
	m.retries.WithLabelValues(string(side), string(r)).Inc()
}

// Listed implements transfer.Metrics.
func (m *Metrics) Listed(_ int, took time.Duration) { m.listings.Observe(took.Seconds()) }

func (m *Metrics) claimed(takenOver bool) {
	m.busy.Inc()
	if takenOver {
		m.takeovers.Inc()
	}
}

func (m *Metrics) sliceEnded(end string, took time.Duration) {
	m.busy.Dec()
	m.slices.WithLabelValues(end).Inc()
	m.sliceTime.Observe(took.Seconds())
}

func (m *Metrics) mirrorFailed() { m.mirrors.Inc() }
