package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"example.org/ncm/pkg/config"
	"example.org/ncm/pkg/egress"
	"example.org/ncm/pkg/queue"
	"example.org/ncm/pkg/service"
	"example.org/ncm/pkg/tracing"
	"example.org/ncm/services/trigger/internal/httpapi"
	"example.org/ncm/services/trigger/internal/instance"
	"example.org/ncm/services/trigger/internal/limit"
	"example.org/ncm/services/trigger/internal/nextcloud"
	"example.org/ncm/services/trigger/internal/request"
)

// instanceConns is how many connections to one instance are kept; a user who
// clicks needs one.
const instanceConns = 2

// program is the wired service with its ports taken, ready to run.
type program struct {
	logger    *slog.Logger
	publisher *queue.Publisher
	desk      *request.Desk
	checks    *service.Operations
	ops, api  *service.Server
	drain     time.Duration
	grace     time.Duration
	debug     []service.Part
	tracing   trace.TracerProvider // nil: off
	flush     func()
}

func newProgram(ctx context.Context, c Config, stdout io.Writer) (*program, error) {
	logger, err := service.NewLogger(stdout, c.LogLevel, "trigger")
	if err != nil {
		return nil, fmt.Errorf("make logger: %w", err)
	}
	registry := service.NewRegistry()
	p := &program{logger: logger, drain: c.DrainDelay, grace: c.ShutdownTime}
	p.tracing, p.flush, err = c.Export.Open(ctx, "trigger", service.Version(), logger)
	if err != nil {
		return nil, fmt.Errorf("read settings: %w", err)
	}
	authorities, err := c.TLS()
	if err != nil {
		return nil, fmt.Errorf("read settings: %w", err)
	}
	p.publisher, err = queue.NewPublisher(queue.PublisherConfig{
		URL: c.RabbitMQURL.Reveal(), TLS: authorities, Name: "trigger", Logger: logger, Registerer: registry, Tracing: p.tracing,
	})
	if err != nil {
		return nil, fmt.Errorf("RABBITMQ_URL: %w", err)
	}
	handler, err := p.newHandler(c, registry)
	if err != nil {
		return nil, err
	}
	p.checks = service.NewOperations(logger, registry, service.Check{
		Name: "rabbitmq",
		Ask:  func(context.Context) error { return p.publisher.Ready() },
	})
	if err := p.listen(ctx, c, handler); err != nil {
		return nil, err
	}
	if p.debug, err = c.Parts(ctx, logger); err != nil {
		return nil, fmt.Errorf("read settings: %w", err)
	}
	logger.Info("starting", "settings", config.Redacted("", &c), "api", p.api.Addr().String(), "ops", p.ops.Addr().String())
	return p, nil
}

func (p *program) listen(ctx context.Context, c Config, handler http.Handler) (err error) {
	p.api, err = service.Listen(ctx, service.ServerConfig{
		Name: "api", Addr: c.ListenAddr, Handler: handler, Logger: p.logger,
	})
	if err != nil {
		return fmt.Errorf("LISTEN_ADDR: %w", err)
	}
	p.ops, err = service.Listen(ctx, service.ServerConfig{
		Name: "operations", Addr: c.OpsAddr, Handler: p.checks, Logger: p.logger,
	})
	if err != nil {
		return fmt.Errorf("OPS_ADDR: %w", err)
	}
	return nil
}

// run serves until ctx ends. Parts stop from the last to the first: requests in
// hand still need the broker, and operators see the process to its end.
func (p *program) run(ctx context.Context) error {
	defer p.flush()
	return service.Run(ctx, p.logger, p.grace, append(p.debug, //nolint:wrapcheck // names the parts
		service.Loop("publisher", p.publisher.Run),
		p.ops.Part(),
		p.api.Part(),
		service.Loop("deletions", func(ctx context.Context) error {
			<-ctx.Done()
			p.desk.StopErasing() // they may take longer than a stop
			return nil
		}),
		p.checks.Drain(p.drain),
	)...)
}

// newHandler wires the domain and its adapters.
func (p *program) newHandler(c Config, metrics prometheus.Registerer) (http.Handler, error) {
	answers := egress.NewMetrics(metrics)
	observe := func(side string, next http.RoundTripper) http.RoundTripper {
		return tracing.Transport(p.tracing, side, answers.Observe(side, next))
	}
	client, hosts, err := c.Settings.Open(instance.Scope, instanceConns, observe, p.logger)
	if err != nil {
		return nil, fmt.Errorf("open stack: %w", err)
	}
	store := instance.New(client)
	logins := nextcloud.New(sourceConfig(c, 0, observe))
	p.desk = request.New(request.Deps{
		Permissions: store,
		Limits: limit.New(
			limit.Rate{Burst: c.InstanceChecks, Every: c.CheckEvery},
			limit.Rate{Burst: c.LoginChecks, Every: c.CheckEvery},
		),
		Logins:            logins,
		Passwords:         logins,
		Sources:           nextcloud.NewSources(sourceConfig(c, nextcloud.MaxWait, observe)),
		Accounts:          store,
		Documents:         store,
		Targets:           store,
		Queue:             outbox{p.publisher},
		Logger:            p.logger,
		ExchangePasswords: c.ExchangePassword,
		DeleteUnchecked:   c.DeleteUnchecked,
	})
	handler, err := httpapi.New(httpapi.Config{
		Desk: p.desk, Hosts: hosts, Scheme: c.InstanceScheme, Logger: p.logger, Metrics: metrics, Tracing: p.tracing,
	})
	if err != nil {
		return nil, fmt.Errorf("make API: %w", err)
	}
	return handler, nil
}

// sourceConfig is how hosts are reached that users type. wait is the longest for
// the header of an answer, zero the default.
func sourceConfig(c Config, wait time.Duration, observe func(string, http.RoundTripper) http.RoundTripper) nextcloud.Config {
	return nextcloud.Config{
		Client: &http.Client{
			Transport:     observe("source", egress.NewTransport(egress.Options{Allow: c.AllowedRanges, Headers: wait})),
			CheckRedirect: egress.CheckRedirect,
		},
		AllowHTTP: c.AllowHTTP,
	}
}
