// Package telemetry opens the export of traces, by OpenTelemetry's own settings.
package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"example.org/ncm/pkg/config"
	"example.org/ncm/pkg/tracing"
)

// flushTime bounds the last export of a process that ends.
const flushTime = 3 * time.Second

// Export is embedded in the configuration of each service. All others that
// OpenTelemetry's SDK knows, for sampling, batches and limits, hold as well.
type Export struct {
	Endpoint string        `envconfig:"OTEL_EXPORTER_OTLP_ENDPOINT" desc:"URL of an OpenTelemetry collector that takes OTLP over HTTP; empty: no traces. Other OTEL_ settings of the SDK hold too, such as OTEL_TRACES_SAMPLER"`
	Headers  config.Secret `envconfig:"OTEL_EXPORTER_OTLP_HEADERS" desc:"headers for the collector, name=value,name=value"`
	Disabled bool          `envconfig:"OTEL_SDK_DISABLED" default:"false" desc:"no traces, whatever else is set"`
}

// Validate reports every fault of the settings together.
func (e *Export) Validate() error {
	var faults []error
	if u, err := url.Parse(e.Endpoint); e.Endpoint != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		faults = append(faults, errors.New("OTEL_EXPORTER_OTLP_ENDPOINT: not a URL such as http://collector:4318"))
	}
	if _, err := e.headers(); err != nil {
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}

func (e *Export) headers() (map[string]string, error) {
	headers := map[string]string{}
	for pair := range strings.SplitSeq(e.Headers.Reveal(), ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		name, value, ok := strings.Cut(pair, "=")
		value, err := url.PathUnescape(strings.TrimSpace(value))
		if !ok || err != nil || strings.TrimSpace(name) == "" {
			return nil, errors.New("OTEL_EXPORTER_OTLP_HEADERS: not of the form name=value,name=value")
		}
		headers[strings.TrimSpace(name)] = value
	}
	return headers, nil
}

// Open gives the provider of a service's spans, nil when traces are off. What is
// under way is exported when done is called; a collector that is away delays
// nothing else.
func (e *Export) Open(ctx context.Context, service, version string, logger *slog.Logger) (provider trace.TracerProvider, done func(), err error) {
	if e.Endpoint == "" || e.Disabled {
		return nil, func() {}, nil
	}
	headers, err := e.headers()
	if err != nil {
		return nil, nil, err
	}
	// The endpoint is read from the environment by the exporter, which knows what
	// to append to it.
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithHeaders(headers))
	if err != nil {
		return nil, nil, fmt.Errorf("open the export of traces: %w", err)
	}
	about, err := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.name", service), attribute.String("service.version", version)),
		resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil {
		return nil, nil, fmt.Errorf("describe the service in traces: %w", err)
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		logger.Warn("traces not exported", "error", err)
	}))
	own := sdk.NewTracerProvider(sdk.WithBatcher(exporter), sdk.WithResource(about))
	return tracing.Limit(own), func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTime)
		defer cancel()
		if err := own.Shutdown(ctx); err != nil {
			logger.WarnContext(ctx, "last traces not exported", "error", err)
		}
	}, nil
}
