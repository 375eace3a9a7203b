package egress_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"example.org/ncm/pkg/egress"
)

type answers func(*http.Request) (*http.Response, error)

func (a answers) RoundTrip(r *http.Request) (*http.Response, error) { return a(r) }

func TestAnswersAreCountedByClassAndThereAreFewClasses(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewPedanticRegistry()
	status, fault := 0, error(nil)
	side := egress.NewMetrics(registry).Observe("source", answers(func(*http.Request) (*http.Response, error) {
		if fault != nil {
			return nil, fault
		}
		return &http.Response{StatusCode: status, Body: http.NoBody}, nil
	}))
	ask := func(ctx context.Context) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://cloud.example/secret%20file", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if resp, err := side.RoundTrip(req); err == nil {
			_ = resp.Body.Close()
		}
	}
	for status = range 700 {
		ask(t.Context())
	}
	fault = errors.New("reset")
	ask(t.Context())
	ended, end := context.WithCancel(t.Context())
	end()
	ask(ended)

	want := map[string]float64{"1xx": 100, "2xx": 100, "3xx": 100, "4xx": 99, "5xx": 100, "429": 1, "none": 201, "canceled": 1}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		if f.GetName() != "egress_answers_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			got[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("counted %v, want %v", got, want)
	}
	if faults, err := testutil.GatherAndLint(registry); len(faults) > 0 || err != nil {
		t.Errorf("names: %v, %v", faults, err)
	}
}

func BenchmarkObserve(b *testing.B) {
	next := answers(func(*http.Request) (*http.Response, error) { return &http.Response{StatusCode: http.StatusOK}, nil })
	req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, "http://cloud.example/", http.NoBody)
	if err != nil {
		b.Fatal(err)
	}
	for name, side := range map[string]http.RoundTripper{
		"bare": next, "counted": egress.NewMetrics(prometheus.NewRegistry()).Observe("source", next),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = side.RoundTrip(req)
			}
		})
	}
}
