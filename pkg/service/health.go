package service

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const checkTimeout = 3 * time.Second

// Check is one thing a process needs before it can be of use. It is asked at
// every probe, so it answers from what is known or within a second or two.
type Check struct {
	Name string
	Ask  func(ctx context.Context) error
}

// Operations answers an operator: /healthz (alive), /readyz (checks passed, not
// stopping) and /metrics. It is safe for concurrent use.
type Operations struct {
	logger   *slog.Logger
	checks   []Check
	mux      *http.ServeMux
	stopping atomic.Bool
}

// NewOperations serves the metrics of a registry and the answers of the checks.
func NewOperations(logger *slog.Logger, metrics prometheus.Gatherer, checks ...Check) *Operations {
	o := &Operations{logger: logger, checks: checks, mux: http.NewServeMux()}
	o.mux.HandleFunc("GET /healthz", o.healthz)
	o.mux.HandleFunc("GET /readyz", o.readyz)
	o.mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}))
	return o
}

// ServeHTTP implements http.Handler.
func (o *Operations) ServeHTTP(w http.ResponseWriter, r *http.Request) { o.mux.ServeHTTP(w, r) }

// Drain is a part to be listed last, hence stopped first: it makes /readyz fail
// and waits, so that load balancers look elsewhere before the servers close.
func (o *Operations) Drain(delay time.Duration) Part {
	return Part{Name: "drain", Run: func(take, work context.Context) error {
		<-take.Done()
		o.stopping.Store(true)
		timer := time.NewTimer(delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-work.Done():
		}
		return nil
	}}
}

func (o *Operations) healthz(w http.ResponseWriter, _ *http.Request) {
	o.answer(w, http.StatusOK, map[string]string{"status": "ok", "version": Version()})
}

// readyz tells which checks fail, not why: the reason may hold internal names
// and goes to the log.
func (o *Operations) readyz(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), checkTimeout)
	defer cancel()
	status, results := http.StatusOK, map[string]string{}
	for _, c := range o.checks {
		results[c.Name] = "ok"
		if err := c.Ask(ctx); err != nil {
			o.logger.WarnContext(ctx, "not ready", "check", c.Name, "error", err)
			status, results[c.Name] = http.StatusServiceUnavailable, "failed"
		}
	}
	if o.stopping.Load() {
		status, results["process"] = http.StatusServiceUnavailable, "stopping"
	}
	o.answer(w, status, results)
}

func (o *Operations) answer(w http.ResponseWriter, status int, body map[string]string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		o.logger.Debug("probe went away", "error", err)
	}
}

// NewRegistry is a registry with the metrics every process has: of the Go
// runtime, of the process and of the build.
func NewRegistry() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	build := ThisBuild()
	registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "build_info",
			Help: "What is running; always 1.",
			ConstLabels: prometheus.Labels{
				"version": build.Version, "commit": build.Commit, "date": build.Date, "go_version": build.Go,
			},
		}, func() float64 { return 1 }),
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return registry
}
