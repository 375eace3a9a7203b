package tracing_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"example.org/ncm/pkg/tracing"
)

const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func recording() (*tracetest.SpanRecorder, *trace.TracerProvider) {
	recorder := tracetest.NewSpanRecorder()
	return recorder, trace.NewTracerProvider(trace.WithSpanProcessor(recorder))
}

func TestATraceTravelsAsText(t *testing.T) {
	t.Parallel()
	if got := tracing.Parent(tracing.WithParent(t.Context(), parent)); got != parent {
		t.Errorf("%s came out as %s", parent, got)
	}
	for _, nonsense := range []string{"", "x", "00-zz-zz-01", strings.Repeat("0", 1000), "'; DROP TABLE migration"} {
		if got := tracing.Parent(tracing.WithParent(t.Context(), nonsense)); got != "" {
			t.Errorf("%.20q came out as %s", nonsense, got)
		}
	}
}

func TestABudgetBoundsTheSpansBelowIt(t *testing.T) {
	t.Parallel()
	recorder, provider := recording()
	tracer := tracing.Tracer(tracing.Limit(provider))
	ctx, slice := tracer.Start(t.Context(), "slice")
	ctx = tracing.WithBudget(ctx, 10)
	for range 1000 {
		below, span := tracer.Start(ctx, "file")
		_, lower := tracer.Start(below, "request")
		lower.End()
		span.End()
	}
	slice.End()
	if n := len(recorder.Ended()); n != 11 {
		t.Errorf("%d spans, want the slice's and 10", n)
	}
	for _, span := range recorder.Ended() {
		if span.SpanContext().TraceID() != slice.SpanContext().TraceID() {
			t.Error("a span is of another trace")
		}
	}
}

func TestASpanOfARequestHoldsNoPathNoQueryAndNoError(t *testing.T) {
	t.Parallel()
	recorder, provider := recording()
	cloud := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get(tracing.Header) != "" {
			t.Error("the trace was told to a stranger")
		}
		_, _ = io.WriteString(w, "content")
	}))
	t.Cleanup(cloud.Close)
	broken := errors.New("planted-error")
	side := tracing.Transport(provider, "source", http.DefaultTransport)
	faulty := tracing.Transport(provider, "source", failing{broken})
	tracer := tracing.Tracer(provider)
	ctx, slice := tracer.Start(t.Context(), "slice")
	for _, through := range []http.RoundTripper{side, faulty} {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, cloud.URL+"/planted-file?Name=planted-query", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth("planted-login", "planted-password")
		if resp, err := through.RoundTrip(req); err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
	}
	slice.End()
	spans := tracetest.SpanStubsFromReadOnlySpans(recorder.Ended())
	if len(spans) != 3 || spans[0].Name != "GET source" {
		t.Fatalf("spans %v, want two of requests and one of the slice", spans)
	}
	if all := fmt.Sprintf("%+v", spans); strings.Contains(all, "planted") {
		t.Errorf("something got into the spans: %s", all)
	}
}

type failing struct{ err error }

func (f failing) RoundTrip(*http.Request) (*http.Response, error) { return nil, f.err }

func TestWithoutAProviderATransportIsLeftAsItIs(t *testing.T) {
	t.Parallel()
	if got := tracing.Transport(nil, "source", http.DefaultTransport); got != http.DefaultTransport {
		t.Errorf("a %T was put before it", got)
	}
}

func TestARequestOutsideOfATraceBeginsNone(t *testing.T) {
	t.Parallel()
	recorder, provider := recording()
	req := httptest.NewRequestWithContext(tracing.WithParent(t.Context(), parent), http.MethodGet, "http://cloud.example/", http.NoBody)
	_, _ = tracing.Transport(provider, "source", failing{errors.New("away")}).RoundTrip(req)
	if n := len(recorder.Started()); n != 0 {
		t.Errorf("%d spans", n)
	}
}

func TestLogLinesNameTheirTrace(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	logger := slog.New(tracing.LogHandler(slog.NewJSONHandler(&out, nil))).With("migration", "m1")
	logger.InfoContext(tracing.WithParent(t.Context(), parent), "slice started")
	logger.InfoContext(t.Context(), "no trace")
	first, second, _ := strings.Cut(out.String(), "\n")
	if !strings.Contains(first, `"migration":"m1","trace_id":"0af7651916cd43dd8448eb211c80319c","span_id":"b7ad6b7169203331"`) {
		t.Errorf("line %s", first)
	}
	if strings.Contains(second, "trace_id") {
		t.Errorf("line %s", second)
	}
}
