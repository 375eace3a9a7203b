package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"example.org/ncm/pkg/config"
	"example.org/ncm/pkg/egress"
	"example.org/ncm/pkg/queue"
	"example.org/ncm/pkg/service"
	"example.org/ncm/pkg/tracing"
	"example.org/ncm/services/migrator/internal/pace"
	"example.org/ncm/services/migrator/internal/postgres"
	"example.org/ncm/services/migrator/internal/transfer"
	"example.org/ncm/services/migrator/internal/worker"
)

const (
	// relisten is the pause before a broken LISTEN connection is made anew.
	relisten = time.Second
	// schemaPoll is how often a worker that started before its schema looks for it.
	schemaPoll = time.Second
)

// runCommand is the worker.
type runCommand struct{}

func (*runCommand) settings() any { return new(RunConfig) }

// Run wires the parts and runs them until ctx ends.
func (*runCommand) Run(ctx context.Context, stdout io.Writer) error {
	var cfg RunConfig
	if err := config.Load("", &cfg); err != nil {
		return err
	}
	logger, err := service.NewLogger(stdout, cfg.LogLevel, "migrator")
	if err != nil {
		return err
	}
	logger.InfoContext(ctx, "settings", "settings", config.Redacted("", &cfg))
	provider, flush, err := cfg.Export.Open(ctx, "migrator", service.Version(), logger)
	if err != nil {
		return err
	}
	defer flush()
	var options []postgres.Option
	if provider != nil {
		options = append(options, postgres.Traced(provider))
	}
	ledger, err := postgres.Open(ctx, cfg.DatabaseURL.Reveal(), cfg.DatabaseConns, options...)
	if err != nil {
		return err
	}
	defer ledger.Close()
	parts, err := assemble(ctx, &cfg, ledger, provider, logger)
	if err != nil {
		return err
	}
	return service.Run(ctx, logger, cfg.ShutdownTime, parts...)
}

// assemble makes the parts, in the order in which they start.
func assemble(ctx context.Context, cfg *RunConfig, ledger *postgres.Ledger, provider trace.TracerProvider, logger *slog.Logger) ([]service.Part, error) {
	registry := service.NewRegistry()
	worker.RegisterOverview(registry, ledger, logger)
	answers := egress.NewMetrics(registry)
	ends, err := openSides(&cfg.SidesConfig, func(side string, next http.RoundTripper) http.RoundTripper {
		return tracing.Transport(provider, side, answers.Observe(side, next))
	}, logger)
	if err != nil {
		return nil, err
	}
	ends.register(registry)
	engine := worker.New(worker.Config{
		Owner:   owner(),
		Ledger:  ledger,
		Slice:   func(l transfer.Lease) transfer.Ledger { return ledger.Slice(l) },
		Sides:   ends,
		Logger:  logger,
		Metrics: worker.NewMetrics(registry),
		Tracer:  tracing.Tracer(provider),
		Slots:   cfg.Slots, Transfers: cfg.Transfers, Listers: cfg.Listers, Attempts: cfg.Attempts, Archives: cfg.Archives, Trees: cfg.Trees,
		OnChanged: transfer.OnChanged(cfg.OnChanged),
		Report:    worker.Report(cfg.Report), Remarks: cfg.remarks(),
		LeaseTTL: cfg.LeaseTTL, SliceTime: cfg.SliceTime, DrainGrace: cfg.DrainGrace,
	})
	consumer, err := newConsumer(cfg, ledger, ends, registry, provider, logger)
	if err != nil {
		return nil, err
	}
	operations := service.NewOperations(logger, registry,
		service.Check{Name: "rabbitmq", Ask: func(context.Context) error { return consumer.Ready() }},
		service.Check{Name: "postgres", Ask: ledger.Ping},
		service.Check{Name: "schema", Ask: ledger.CheckSchema})
	screen, err := newPage(ctx, cfg, ledger, ends, logger)
	if err != nil {
		return nil, err
	}
	ops, err := service.Listen(ctx, service.ServerConfig{Name: "operations", Addr: cfg.OpsAddr, Handler: withPage(operations, screen), Logger: logger})
	if err != nil {
		return nil, err
	}
	debug, err := cfg.Parts(ctx, logger)
	if err != nil {
		return nil, err
	}
	return append(debug,
		ops.Part(),
		service.Loop("listener", func(ctx context.Context) error { return listen(ctx, ledger, engine, logger) }),
		service.Loop("worker", func(ctx context.Context) error {
			if !awaitSchema(ctx, ledger, logger) {
				return nil
			}
			return engine.Run(ctx)
		}),
		service.Loop("passwords", func(ctx context.Context) error {
			if !awaitSchema(ctx, ledger, logger) {
				<-ctx.Done()
				return nil
			}
			return worker.Returns{Ledger: ledger, Sides: ends, After: cfg.ReturnPasswordAfter, Logger: logger}.Run(ctx)
		}),
		service.Loop("consumer", consumer.Run),
	), nil
}

func openSides(cfg *SidesConfig, observe func(string, http.RoundTripper) http.RoundTripper, logger *slog.Logger) (*sides, error) {
	stack, hosts, err := cfg.Settings.Open(cfg.Mode.scope(), cfg.Transfers+cfg.Listers, observe, logger)
	if err != nil {
		return nil, err
	}
	return &sides{
		mode:  cfg.Mode,
		stack: stack,
		hosts: hosts,
		source: observe("source", egress.NewTransport(egress.Options{
			Allow: cfg.AllowedRanges, MaxIdleConnsPerHost: max(cfg.SourceTransfers, cfg.Transfers) + cfg.Listers, Downloads: true,
		})),
		kinds:    cfg.KindsConfig,
		requests: cfg.Requests,
		sources:  pace.NewServers(cfg.SourceTransfers),
		targets:  pace.NewServers(cfg.Transfers),
		checkURL: cfg.checkSourceURL,
		logger:   logger,
	}, nil
}

// owner names this process among all workers and its own earlier lives.
func owner() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return host + "/" + uuid.NewString()
}

func newConsumer(
	cfg *RunConfig, ledger *postgres.Ledger, ends *sides, reg prometheus.Registerer, provider trace.TracerProvider, logger *slog.Logger,
) (*queue.Consumer, error) {
	admission := worker.Admission{Ledger: ledger, Host: ends.hosts.Check, Sides: ends, Logger: logger}
	authorities, err := cfg.TLS()
	if err != nil {
		return nil, err
	}
	return queue.NewConsumer(queue.ConsumerConfig{
		URL:      cfg.RabbitMQURL.Reveal(),
		TLS:      authorities,
		Name:     "migrator",
		Topology: queue.NewTopology(cfg.DeliveryLimit, cfg.PassiveTopology),
		Handler: func(ctx context.Context, d queue.Delivery) queue.Verdict {
			handle := admission.Requested
			if d.Queue == queue.QueueCanceled {
				handle = admission.Canceled
			}
			return verdict(handle(ctx, d.Body))
		},
		Ready:      ledger.CheckSchema,
		Logger:     logger,
		Registerer: reg,
		Tracing:    provider,
	})
}

// verdict is what the broker is told of an admission.
func verdict(err error) queue.Verdict {
	switch {
	case err == nil:
		return queue.Done()
	case errors.Is(err, worker.ErrDead):
		return queue.Dead(err.Error())
	default:
		return queue.Later(err.Error())
	}
}

// awaitSchema returns when the ledger has the schema that this binary needs, so
// that workers may be started before, or while, the schema is applied. It gives
// false when ctx ends first.
func awaitSchema(ctx context.Context, ledger *postgres.Ledger, logger *slog.Logger) bool {
	for told := false; ; told = true {
		err := ledger.CheckSchema(ctx)
		if err == nil {
			return true
		}
		if !told {
			logger.WarnContext(ctx, "waiting for the ledger's schema", "error", err)
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(schemaPoll):
		}
	}
}

// listen passes the ledger's notifications to the worker for as long as it runs.
func listen(ctx context.Context, ledger *postgres.Ledger, w *worker.Worker, logger *slog.Logger) error {
	for {
		err := ledger.Listen(ctx, postgres.Listener{Work: w.Wake, Canceled: w.Cancel})
		if ctx.Err() != nil {
			return nil
		}
		logger.WarnContext(ctx, "ledger's notifications are away", "error", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(relisten):
		}
	}
}
