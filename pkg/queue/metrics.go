package queue

import (
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	publishes  *prometheus.CounterVec
	deliveries *prometheus.CounterVec
	age        *prometheus.HistogramVec
	connects   *prometheus.CounterVec
	connected  *prometheus.GaugeVec
	messages   *prometheus.GaugeVec
}

// measureEvery is the time between two looks at how many messages wait.
const measureEvery = 15 * time.Second

// newMetrics registers the metrics, or finds those that another publisher or
// consumer of the process registered before. A nil registerer is allowed.
func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		publishes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "queue_publishes_total", Help: "Messages given to the broker, by result.",
		}, []string{"connection", "result"}),
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "queue_deliveries_total", Help: "Messages taken from a queue, by verdict.",
		}, []string{"queue", "verdict"}),
		age: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "queue_message_age_seconds", Help: "Time from publishing to delivery.",
			Buckets: []float64{1, 2, 5, 10, 30, 60, 300, 900, 3600, 4 * 3600, 24 * 3600},
		}, []string{"queue"}),
		connects: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "queue_connects_total", Help: "Connections made to the broker.",
		}, []string{"connection"}),
		connected: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "queue_connected", Help: "1 while there is a usable connection to the broker.",
		}, []string{"connection"}),
		messages: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "queue_messages", Help: "Messages that wait in a queue, the dead letters' included, as a consumer sees it now and then.",
		}, []string{"queue"}),
	}
	err := errors.Join(
		register(r, &m.publishes), register(r, &m.deliveries), register(r, &m.age),
		register(r, &m.connects), register(r, &m.connected), register(r, &m.messages),
	)
	if err != nil {
		return nil, err
	}
	return m, nil
}

func register[C prometheus.Collector](r prometheus.Registerer, c *C) error {
	if r == nil {
		return nil
	}
	err := r.Register(*c)
	var before prometheus.AlreadyRegisteredError
	if errors.As(err, &before) {
		*c, _ = before.ExistingCollector.(C)
		return nil
	}
	if err != nil {
		return fmt.Errorf("register queue metrics: %w", err)
	}
	return nil
}

// observeAge notes how old a message is; clocks that disagree make no negative
// ages.
func (m *metrics) observeAge(queue string, published time.Time) {
	if published.IsZero() {
		return
	}
	m.age.WithLabelValues(queue).Observe(max(0, time.Since(published).Seconds()))
}
