package worker

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"example.org/ncm/services/migrator/internal/transfer"
)

// Metrics of a worker and its engine. No label holds what a user named.
type Metrics struct {
	entries   *prometheus.CounterVec
	bytes     prometheus.Counter
	transfer  prometheus.Histogram
	waiting   map[transfer.Side]prometheus.Counter
	archives  prometheus.Histogram
	archived  map[bool]prometheus.Counter // by whether they came
	retries   *prometheus.CounterVec
	listings  prometheus.Histogram
	slices    *prometheus.CounterVec
	sliceTime prometheus.Histogram
	slots     prometheus.Gauge
	busy      prometheus.Gauge
	takeovers prometheus.Counter
	mirrors   prometheus.Counter
}

var _ transfer.Metrics = (*Metrics)(nil)

// NewMetrics registers the metrics.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	f := promauto.With(reg)
	waiting := f.NewCounterVec(prometheus.CounterOpts{
		Name: "migrator_transfer_wait_seconds_total",
		Help: "Time that transfers waited for a side: the source's answers and bytes, the target to take them and to answer.",
	}, []string{"side"})
	archived := f.NewCounterVec(prometheus.CounterOpts{
		Name: "migrator_archived_files_total", Help: "Files that archives of the source were asked for: came, or missing and asked for by themselves.",
	}, []string{"result"})
	return &Metrics{
		archives: f.NewHistogram(prometheus.HistogramOpts{
			Name: "migrator_archive_duration_seconds", Help: "Time to read one archive of small files from the source.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 10),
		}),
		archived: map[bool]prometheus.Counter{
			true: archived.WithLabelValues("came"), false: archived.WithLabelValues("missing"),
		},
		entries: f.NewCounterVec(prometheus.CounterOpts{
			Name: "migrator_entries_total", Help: "Files and folders that got a result, by result and reason.",
		}, []string{"kind", "result", "reason"}),
		bytes: f.NewCounter(prometheus.CounterOpts{
			Name: "migrator_copied_bytes_total", Help: "Bytes of files copied and verified.",
		}),
		transfer: f.NewHistogram(prometheus.HistogramOpts{
			Name: "migrator_transfer_duration_seconds", Help: "Time of one file, retries in place included.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 10),
		}),
		waiting: map[transfer.Side]prometheus.Counter{
			transfer.SideSource: waiting.WithLabelValues(string(transfer.SideSource)),
			transfer.SideTarget: waiting.WithLabelValues(string(transfer.SideTarget)),
		},
		retries: f.NewCounterVec(prometheus.CounterOpts{
			Name: "migrator_retries_total", Help: "Errors that were tried again, by side and reason.",
		}, []string{"side", "reason"}),
		listings: f.NewHistogram(prometheus.HistogramOpts{
			Name: "migrator_listing_duration_seconds", Help: "Time of one folder, retries in place included.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 10),
		}),
		slices: f.NewCounterVec(prometheus.CounterOpts{
			Name: "migrator_slices_total", Help: "Slices by how they ended.",
		}, []string{"end"}),
		sliceTime: f.NewHistogram(prometheus.HistogramOpts{
			Name: "migrator_slice_duration_seconds", Help: "Time of one slice.",
			Buckets: prometheus.ExponentialBuckets(0.1, 4, 10),
		}),
		slots: f.NewGauge(prometheus.GaugeOpts{
			Name: "migrator_slots", Help: "Migrations that this worker can work on at once.",
		}),
		busy: f.NewGauge(prometheus.GaugeOpts{
			Name: "migrator_slots_busy", Help: "Slots that hold a lease.",
		}),
		takeovers: f.NewCounter(prometheus.CounterOpts{
			Name: "migrator_takeovers_total", Help: "Leases taken after their holder let them run out.",
		}),
		mirrors: f.NewCounter(prometheus.CounterOpts{
			Name: "migrator_mirror_failures_total", Help: "Writes of a tracking document that failed.",
		}),
	}
}

// Transferred implements transfer.Metrics.
func (m *Metrics) Transferred(o transfer.Outcome, r transfer.Reason, size int64, took transfer.Took) {
	m.entries.WithLabelValues("file", string(o), string(r)).Inc()
	m.bytes.Add(float64(size))
	m.transfer.Observe(took.Whole.Seconds())
	m.waiting[transfer.SideSource].Add(took.Source.Seconds())
	m.waiting[transfer.SideTarget].Add(took.Target.Seconds())
}

// Archived implements transfer.Metrics. The source was waited for meanwhile.
func (m *Metrics) Archived(asked, came int, took time.Duration) {
	m.archives.Observe(took.Seconds())
	m.archived[true].Add(float64(came))
	m.archived[false].Add(float64(asked - came))
	m.waiting[transfer.SideSource].Add(took.Seconds())
}

// Recognized implements transfer.Metrics.
func (m *Metrics) Recognized(files int) {
	m.entries.WithLabelValues("file", string(transfer.Done), "recognized").Add(float64(files))
}

// Retried implements transfer.Metrics.
func (m *Metrics) Retried(side transfer.Side, r transfer.Reason) {
	m.retries.WithLabelValues(string(side), string(r)).Inc()
}

// Listed implements transfer.Metrics.
func (m *Metrics) Listed(o transfer.Outcome, r transfer.Reason, took time.Duration) {
	m.entries.WithLabelValues("folder", string(o), string(r)).Inc()
	m.listings.Observe(took.Seconds())
}

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
