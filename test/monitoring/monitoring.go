// Package monitoring reads deploy/monitoring and asks its queries with Prometheus'
// own parser, engine and storage.
package monitoring

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/util/teststorage"
)

// Rules are the alerts of deploy/monitoring/rules.yaml, as Prometheus reads it.
func Rules(t testing.TB, root string) []rulefmt.Rule {
	t.Helper()
	groups, faults := rulefmt.ParseFile(filepath.Join(root, "deploy/monitoring/rules.yaml"), false, model.LegacyValidation,
		parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
	if len(faults) > 0 {
		t.Fatalf("rules: %v", errors.Join(faults...))
	}
	var all []rulefmt.Rule
	for _, g := range groups.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

// Panel is one of the dashboard with its queries.
type Panel struct {
	Type    string
	Title   string
	Targets []struct{ Expr string }
}

// Dashboard gives the panels of deploy/monitoring/dashboard.json that show
// something, with Grafana's variables filled in.
func Dashboard(t testing.TB, root string) []Panel {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, "deploy/monitoring/dashboard.json"))
	if err != nil {
		t.Fatal(err)
	}
	var board struct{ Panels []Panel }
	if err := json.Unmarshal([]byte(strings.ReplaceAll(string(content), "$__rate_interval", "5m")), &board); err != nil {
		t.Fatalf("dashboard: %v", err)
	}
	var shown []Panel
	for _, p := range board.Panels {
		if p.Type != "row" {
			shown = append(shown, p)
		}
	}
	return shown
}

// Names are the metrics that a query is about.
func Names(t testing.TB, query string) []string {
	t.Helper()
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	var names []string
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		if s, ok := node.(*parser.VectorSelector); ok {
			names = append(names, s.Name)
		}
		return nil
	})
	return names
}

// Store holds series and answers queries about them.
type Store struct {
	t       testing.TB
	storage *teststorage.TestStorage
	engine  *promql.Engine
}

// NewStore makes an empty store.
func NewStore(t testing.TB) *Store {
	t.Helper()
	return newStore(t, teststorage.New(t))
}

// Load makes a store of series in the notation of Prometheus' own tests, one value
// a minute from the start of the epoch.
func Load(t testing.TB, series string) *Store {
	t.Helper()
	return newStore(t, promqltest.LoadedStorage(t, "load 1m\n"+series))
}

func newStore(t testing.TB, storage *teststorage.TestStorage) *Store {
	return &Store{t: t, storage: storage, engine: promqltest.NewTestEngine(t, false, 0, promqltest.DefaultMaxSamplesPerQuery)}
}

// Scrape adds what a process showed at /metrics at a time, as the named job.
func (s *Store) Scrape(job, metrics string, at time.Time) {
	s.t.Helper()
	into := s.storage.Appender(context.WithoutCancel(s.t.Context()))
	p := textparse.NewPromParser([]byte(metrics), labels.NewSymbolTable(), false)
	for {
		entry, err := p.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			s.t.Fatalf("read metrics of %s: %v", job, err)
		}
		if entry != textparse.EntrySeries {
			continue
		}
		var found labels.Labels
		p.Labels(&found)
		_, _, value := p.Series()
		series := labels.NewBuilder(found).Set("job", job).Set("instance", job+":8081").Labels()
		if _, err := into.Append(0, series, at.UnixMilli(), value); err != nil {
			s.t.Fatalf("keep %s: %v", series, err)
		}
	}
	if err := into.Commit(); err != nil {
		s.t.Fatal(err)
	}
}

// Ask gives the answer to a query at a time.
func (s *Store) Ask(query string, at time.Time) (promql.Vector, error) {
	ctx := context.WithoutCancel(s.t.Context())
	q, err := s.engine.NewInstantQuery(ctx, s.storage, nil, query, at)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", query, err)
	}
	defer q.Close()
	v, err := q.Exec(ctx).Vector()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", query, err)
	}
	return append(promql.Vector(nil), v...), nil // the query's memory is used again
}

// Fires says whether an alert fires at a time: its query has had an answer with
// the same labels for as long as the rule demands, looked at each minute.
func (s *Store) Fires(rule rulefmt.Rule, at time.Time) bool {
	s.t.Helper()
	since := map[string]time.Time{}
	for now := time.Unix(0, 0); !now.After(at); now = now.Add(time.Minute) {
		v, err := s.Ask(rule.Expr, now)
		if err != nil {
			s.t.Fatal(err)
		}
		active := map[string]time.Time{}
		for _, sample := range v {
			series := sample.Metric.String()
			active[series] = now
			if before, ok := since[series]; ok {
				active[series] = before
			}
		}
		since = active
	}
	for _, began := range since {
		if at.Sub(began) >= time.Duration(rule.For) {
			return true
		}
	}
	return false
}
