package egress

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Metrics counts the answers that a process gets, by whom it asked and class of
// answer. Safe for concurrent use.
type Metrics struct {
	answers *prometheus.CounterVec
	seconds *prometheus.HistogramVec
}

// NewMetrics registers the metrics.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	f := promauto.With(reg)
	return &Metrics{
		answers: f.NewCounterVec(prometheus.CounterOpts{
			Name: "egress_answers_total",
			Help: "Answers to requests of ours, by side and class: 2xx to 5xx without 429, 429, none (no answer), canceled (we gave up).",
		}, []string{"side", "class"}),
		seconds: f.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "egress_answer_duration_seconds",
			Help:    "Time from a request to the head of its answer, the sending of its body included.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 9),
		}, []string{"side"}),
	}
}

// classes of answers; the index of a status' first digit comes first.
var classes = [...]string{1: "1xx", 2: "2xx", 3: "3xx", 4: "4xx", 5: "5xx", 6: "429", 7: "none", 8: "canceled"}

const (
	classBusy = iota + 6
	classNone
	classCanceled
)

// Observe counts what goes through next to one side, of which there are few.
func (m *Metrics) Observe(side string, next http.RoundTripper) http.RoundTripper {
	o := &observed{next: next, seconds: m.seconds.WithLabelValues(side)}
	for i, class := range classes {
		if class != "" {
			o.answers[i] = m.answers.WithLabelValues(side, class)
		}
	}
	return o
}

// observed holds the counters themselves: looking them up by label costs more
// than counting.
type observed struct {
	next    http.RoundTripper
	answers [len(classes)]prometheus.Counter
	seconds prometheus.Observer
}

// RoundTrip implements http.RoundTripper.
func (o *observed) RoundTrip(req *http.Request) (*http.Response, error) {
	began := time.Now()
	resp, err := o.next.RoundTrip(req)
	o.seconds.Observe(time.Since(began).Seconds())
	o.answers[classOf(req, resp, err)].Inc()
	return resp, err
}

func classOf(req *http.Request, resp *http.Response, err error) int {
	switch {
	case err != nil && req.Context().Err() != nil:
		return classCanceled
	case err != nil:
		return classNone
	case resp.StatusCode == http.StatusTooManyRequests:
		return classBusy
	case resp.StatusCode < 100 || resp.StatusCode > 599:
		return classNone
	default:
		return resp.StatusCode / 100
	}
}

// CloseIdleConnections passes on what http.Client is asked for.
func (o *observed) CloseIdleConnections() {
	if c, ok := o.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}
