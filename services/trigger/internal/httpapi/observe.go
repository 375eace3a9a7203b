package httpapi

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"example.org/ncm/pkg/tracing"
)

const requestIDHeader = "X-Request-Id"

type requestIDKey struct{}

// withRequestID takes over the id that a proxy gave a request, or gives one.
func withRequestID(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get(requestIDHeader)
		if !saneID(id) {
			id = uuid.NewString()
		}
		w.Header().Set(requestIDHeader, id)
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), requestIDKey{}, id)))
	})
}

func requestIDOf(r *http.Request) string {
	id, _ := r.Context().Value(requestIDKey{}).(string)
	return id
}

// saneID keeps what strangers send from growing or forging log lines.
func saneID(id string) bool {
	if id == "" || len(id) > 64 {
		return false
	}
	return !slices.ContainsFunc([]byte(id), func(b byte) bool {
		letter := 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9'
		return !letter && b != '-' && b != '_' && b != '.'
	})
}

// note collects what inner handlers know for the access log.
type note struct {
	instance string
	err      error
}

type noteKey struct{}

// noteOf is the note of a request; outside of the middleware it is dropped.
func noteOf(r *http.Request) *note {
	if n, ok := r.Context().Value(noteKey{}).(*note); ok {
		return n
	}
	return &note{}
}

// observer writes one log line, counts each request and makes it a span.
type observer struct {
	logger   *slog.Logger
	tracer   trace.Tracer
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

func newObserver(logger *slog.Logger, metrics prometheus.Registerer, tracer trace.Tracer) (*observer, error) {
	o := &observer{
		logger: logger,
		tracer: tracer,
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "trigger_http_requests_total", Help: "Requests answered.",
		}, []string{"route", "method", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "trigger_http_request_duration_seconds", Help: "Time from a request's header to the end of its answer.",
			Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		}, []string{"route", "method", "code"}),
	}
	for _, c := range []prometheus.Collector{o.requests, o.duration} {
		if err := metrics.Register(c); err != nil {
			return nil, fmt.Errorf("register request metrics: %w", err)
		}
	}
	return o, nil
}

func (o *observer) middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start, n := time.Now(), &note{}
		r, span := o.begin(r.WithContext(context.WithValue(r.Context(), noteKey{}, n)))
		ww := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
		defer func() {
			o.done(r, ww, n, time.Since(start))
			describe(span, r, ww.Status(), n)
			span.End()
		}()
		next.ServeHTTP(ww, r)
	})
}

// begin starts a request's span. Anybody may call: the trace that a caller names
// is linked, and decides nothing about ours.
func (o *observer) begin(r *http.Request) (*http.Request, trace.Span) {
	options := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindServer)}
	theirs := trace.SpanContextFromContext(tracing.WithParent(r.Context(), r.Header.Get(tracing.Header)))
	if theirs.IsValid() {
		options = append(options, trace.WithLinks(trace.Link{SpanContext: theirs}))
	}
	ctx, span := o.tracer.Start(r.Context(), methodOf(r), options...)
	return r.WithContext(ctx), span
}

func describe(span trace.Span, r *http.Request, status int, n *note) {
	if !span.IsRecording() {
		return
	}
	span.SetName(methodOf(r) + " " + routeOf(r))
	span.SetAttributes(
		attribute.String("http.request.method", methodOf(r)), attribute.String("http.route", routeOf(r)),
		attribute.Int("http.response.status_code", status), attribute.String("instance", n.instance))
	if status >= http.StatusInternalServerError {
		span.SetStatus(codes.Error, "")
	}
}

func (o *observer) done(r *http.Request, w middleware.WrapResponseWriter, n *note, took time.Duration) {
	route, method, status := routeOf(r), methodOf(r), w.Status()
	labels := []string{route, method, statusText(status)}
	o.requests.WithLabelValues(labels...).Inc()
	o.duration.WithLabelValues(labels...).Observe(took.Seconds())

	attrs := []slog.Attr{
		slog.String("method", method), slog.String("route", route), slog.Int("status", status),
		slog.Int("bytes", w.BytesWritten()), slog.Duration("duration", took),
		slog.String("instance", n.instance), slog.String("request_id", requestIDOf(r)),
	}
	if n.err != nil {
		attrs = append(attrs, slog.Any("error", n.err))
	}
	o.logger.LogAttrs(r.Context(), levelOf(status), "request answered", attrs...)
}

// levelOf tells what an operator can do something about from what callers and
// their Nextclouds do wrong.
func levelOf(status int) slog.Level {
	switch status {
	case http.StatusInternalServerError:
		return slog.LevelError
	case http.StatusServiceUnavailable:
		return slog.LevelWarn
	default:
		return slog.LevelInfo
	}
}

// routeOf is the pattern of the route, of which there are few; paths are many.
func routeOf(r *http.Request) string {
	pattern := chi.RouteContext(r.Context()).RoutePattern()
	if pattern != "" && pattern != "/*" { // all that is mounted
		return pattern
	}
	return "none"
}

// methodOf bounds what strangers can put into labels.
func methodOf(r *http.Request) string {
	known := []string{
		http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut,
		http.MethodPatch, http.MethodDelete, http.MethodOptions,
	}
	if slices.Contains(known, r.Method) {
		return r.Method
	}
	return "other"
}

func statusText(status int) string { return strconv.Itoa(status) }

// recoverPanics keeps a fault of ours from looking like a broken connection.
func (s *server) recoverPanics(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() { //nolint:contextcheck // it is the request's
			fault := recover()
			if fault == nil {
				return
			}
			if fault == http.ErrAbortHandler { //nolint:errorlint // compared as net/http does
				panic(fault)
			}
			s.logger.ErrorContext(r.Context(), "handler panicked",
				"panic", fmt.Sprint(fault), "stack", string(debug.Stack()), "request_id", requestIDOf(r))
			s.fail(w, r, fmt.Errorf("handler panicked"))
		}()
		next.ServeHTTP(w, r)
	})
}
