package service_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"example.org/ncm/pkg/service"
)

const patience = 10 * time.Second

// serving runs a server and returns its URL, the way to stop it and its end.
func serving(t *testing.T, grace time.Duration, h http.Handler) (url string, stop func(), end <-chan error) {
	t.Helper()
	s, err := service.Listen(t.Context(), service.ServerConfig{Name: "api", Addr: "127.0.0.1:0", Handler: h, Logger: quiet()})
	if err != nil {
		t.Fatalf("Listen: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- service.Run(ctx, quiet(), grace, s.Part()) }()
	t.Cleanup(cancel)
	return "http://" + s.Addr().String(), cancel, done
}

func get(t *testing.T, url string) (string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatalf("make request: %v", err)
	}
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := c.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

func receive[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("never came: %s", what)
		panic("unreachable")
	}
}

func TestServerLetsRequestsInHandEnd(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}, 1), make(chan struct{})
	url, stop, end := serving(t, time.Minute, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		entered <- struct{}{}
		<-release
		_, _ = io.WriteString(w, "whole")
	}))
	answer := make(chan string, 1)
	go func() {
		body, _ := get(t, url)
		answer <- body
	}()
	receive(t, "request", entered)

	stop()
	close(release)

	if got := receive(t, "answer", answer); got != "whole" {
		t.Errorf("answer = %q, want whole", got)
	}
	if err := receive(t, "end", end); err != nil {
		t.Errorf("Run = %v, want nil", err)
	}
}

func TestServerCutsRequestsAfterTheGrace(t *testing.T) {
	t.Parallel()
	entered, causes := make(chan struct{}, 1), make(chan error, 1)
	url, stop, end := serving(t, 50*time.Millisecond, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		entered <- struct{}{}
		<-r.Context().Done()
		causes <- context.Cause(r.Context())
	}))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = get(t, url)
	}()
	receive(t, "request", entered)

	stop()

	if cause := receive(t, "cause", causes); !errors.Is(cause, service.ErrGraceOver) {
		t.Errorf("cause = %v, want ErrGraceOver", cause)
	}
	if err := receive(t, "end", end); !errors.Is(err, service.ErrGraceOver) {
		t.Errorf("Run = %v, want ErrGraceOver", err)
	}
	<-ended
}

func TestListenFailsAtOnceOnATakenPort(t *testing.T) {
	t.Parallel()
	taken := httptest.NewServer(http.NotFoundHandler())
	defer taken.Close()

	_, err := service.Listen(t.Context(), service.ServerConfig{
		Name: "api", Addr: strings.TrimPrefix(taken.URL, "http://"), Logger: quiet(),
	})

	if err == nil || !strings.Contains(err.Error(), "api") {
		t.Errorf("Listen = %v, want an error that names the server", err)
	}
}

func ask(ctx context.Context, h http.Handler, path string) (status int, body string) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, path, nil))
	return w.Code, w.Body.String()
}

func TestReadyzTellsWhichCheckFailsButNotWhy(t *testing.T) {
	t.Parallel()
	var fault error
	o := service.NewOperations(quiet(), service.NewRegistry(),
		service.Check{Name: "broker", Ask: func(context.Context) error { return fault }},
		service.Check{Name: "ledger", Ask: func(context.Context) error { return nil }})

	if status, body := ask(t.Context(), o, "/readyz"); status != http.StatusOK || body != `{"broker":"ok","ledger":"ok"}`+"\n" {
		t.Errorf("/readyz = %d %s, want all ok", status, body)
	}
	fault = errors.New("dial tcp 10.0.0.9: refused")
	if status, body := ask(t.Context(), o, "/readyz"); status != http.StatusServiceUnavailable || body != `{"broker":"failed","ledger":"ok"}`+"\n" {
		t.Errorf("/readyz = %d %s, want 503 that names the broker", status, body)
	}
	if status, _ := ask(t.Context(), o, "/healthz"); status != http.StatusOK {
		t.Errorf("/healthz = %d, want 200 whatever the checks say", status)
	}
}

func TestMetricsAreServed(t *testing.T) {
	t.Parallel()
	o := service.NewOperations(quiet(), service.NewRegistry())

	if status, body := ask(t.Context(), o, "/metrics"); status != http.StatusOK || !strings.Contains(body, "go_goroutines") {
		t.Errorf("/metrics = %d with %d bytes, want the runtime's metrics", status, len(body))
	}
}

func TestDrainMakesReadyzFailBeforeOthersStop(t *testing.T) {
	t.Parallel()
	o := service.NewOperations(quiet(), service.NewRegistry())
	ctx, cancel := context.WithCancel(t.Context())
	statusAtStop := 0
	server := service.Part{Name: "server", Run: func(take, _ context.Context) error {
		<-take.Done()
		statusAtStop, _ = ask(take, o, "/readyz")
		return nil
	}}
	cancel()

	err := service.Run(ctx, quiet(), time.Minute, server, o.Drain(time.Millisecond))

	if err != nil || statusAtStop != http.StatusServiceUnavailable {
		t.Errorf("Run = %v, /readyz was %d; want 503 by then", err, statusAtStop)
	}
}

func TestLoggerWritesJSONFromItsLevelUp(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	logger, err := service.NewLogger(&out, "warn", "trigger")
	if err != nil {
		t.Fatalf("NewLogger: %v", err)
	}

	logger.Info("hidden")
	logger.Warn("shown", "name", "a\n{\"level\":\"ERROR\"}")

	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("log = %q: %v, want one JSON line", out.String(), err)
	}
	if line["msg"] != "shown" || line["service"] != "trigger" || line["version"] != service.Version() {
		t.Errorf("line = %v, want message, service and version", line)
	}
	if _, err := service.NewLogger(&out, "loud", "trigger"); err == nil {
		t.Error("NewLogger with level loud = nil, want an error")
	}
}
