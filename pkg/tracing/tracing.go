// Package tracing joins the spans of the services to one trace per migration:
// through messages, ledger rows and log lines. It knows the API of OpenTelemetry
// only; package telemetry opens what is behind it.
package tracing

import (
	"context"
	"sync/atomic"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/embedded"
	"go.opentelemetry.io/otel/trace/noop"
)

// Header is the name under which a trace travels.
const Header = "traceparent"

// Parent gives the trace of ctx in W3C form, empty where there is none.
func Parent(ctx context.Context) string {
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return carrier[Header]
}

// WithParent continues the trace that Parent gave. What is not of that form is
// ignored.
func WithParent(ctx context.Context, parent string) context.Context {
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{Header: parent})
}

// Tracer gives a tracer of ours; provider may be nil, which is off.
func Tracer(provider trace.TracerProvider) trace.Tracer {
	if provider == nil {
		provider = noop.NewTracerProvider()
	}
	return provider.Tracer("example.org/ncm")
}

// End ends a span and says whether its work failed. The error's text stays out of
// it: it may name files.
func End(span trace.Span, err error) {
	if err != nil {
		span.SetStatus(codes.Error, "")
	}
	span.End()
}

type budgetKey struct{}

// WithBudget lets at most n more spans be started under ctx, so that a million
// files make no million spans.
func WithBudget(ctx context.Context, n int64) context.Context {
	left := new(atomic.Int64)
	left.Store(n)
	return context.WithValue(ctx, budgetKey{}, left)
}

// Limit makes a provider keep to the budgets of WithBudget.
func Limit(next trace.TracerProvider) trace.TracerProvider { return limited{next: next} }

type limited struct {
	embedded.TracerProvider

	next trace.TracerProvider
}

// Tracer implements trace.TracerProvider.
func (l limited) Tracer(name string, options ...trace.TracerOption) trace.Tracer {
	return limitedTracer{next: l.next.Tracer(name, options...)}
}

type limitedTracer struct {
	embedded.Tracer

	next trace.Tracer
}

// Start implements trace.Tracer. A span past the budget is not recorded, and
// neither is any below it.
func (l limitedTracer) Start(ctx context.Context, name string, options ...trace.SpanStartOption) (context.Context, trace.Span) {
	if left, ok := ctx.Value(budgetKey{}).(*atomic.Int64); ok && left.Add(-1) < 0 {
		return noop.Tracer{}.Start(ctx, name)
	}
	return l.next.Start(ctx, name, options...)
}
