package tracing

import (
	"io"
	"net/http"
	"slices"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Transport makes a span of each request to one side, from the request to the end
// of the answer's body. It holds method, host and status; paths name files, and
// queries more. The trace is not passed on: who is asked may be anybody. Without
// a provider it is next itself.
func Transport(provider trace.TracerProvider, side string, next http.RoundTripper) http.RoundTripper {
	if provider == nil {
		return next
	}
	return &transport{tracer: Tracer(provider), side: side, next: next}
}

type transport struct {
	tracer trace.Tracer
	side   string
	next   http.RoundTripper
}

// RoundTrip implements http.RoundTripper. Requests that belong to no trace begin
// none.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if !trace.SpanFromContext(req.Context()).IsRecording() {
		return t.next.RoundTrip(req)
	}
	method := Method(req.Method)
	_, span := t.tracer.Start(req.Context(), method+" "+t.side, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		attribute.String("http.request.method", method), attribute.String("server.address", req.URL.Host)))
	resp, err := t.next.RoundTrip(req)
	if err != nil {
		End(span, err)
		return nil, err
	}
	span.SetAttributes(attribute.Int("http.response.status_code", resp.StatusCode))
	if resp.StatusCode >= http.StatusBadRequest {
		span.SetStatus(codes.Error, "")
	}
	if !span.IsRecording() || resp.StatusCode == http.StatusSwitchingProtocols {
		span.End()
		return resp, nil
	}
	resp.Body = &body{ReadCloser: resp.Body, end: sync.OnceFunc(func() { span.End() })}
	return resp, nil
}

// CloseIdleConnections passes on what http.Client is asked for.
func (t *transport) CloseIdleConnections() {
	if c, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

type body struct {
	io.ReadCloser

	end func()
}

func (b *body) Close() error {
	defer b.end()
	return b.ReadCloser.Close()
}

// Method bounds what strangers can put into the name of a span or a label.
func Method(method string) string {
	known := []string{
		http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodOptions, "PROPFIND", "MKCOL", "MOVE",
	}
	if slices.Contains(known, method) {
		return method
	}
	return "other"
}
