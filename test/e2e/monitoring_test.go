package e2e_test

import (
	"slices"
	"testing"
	"time"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/test/monitoring"
)

// underFault are the metrics that have no series until something goes wrong.
var underFault = map[string]string{ //nolint:gochecknoglobals // never written
	"migrator_migrations_paused": "no side is away",
	"migrator_retries_total":     "nothing had to be tried again",
}

// TestEveryQueryOfTheDashboardAndOfTheAlertsFindsTheMetricsOfThePrograms runs them
// on what both show after a migration.
func TestEveryQueryOfTheDashboardAndOfTheAlertsFindsTheMetricsOfThePrograms(t *testing.T) {
	t.Parallel()
	r := backends.New(t)
	alice, cozy := r.AddUser("alice"), r.AddInstance(host)
	r.Generate(alice, "many", 40, 1000)
	migrator, trigger := r.StartMigrator(nil), r.StartTrigger(nil)
	cozy.AwaitStatus(trigger.MustStart(t, cozy, r.Order(alice)), contract.StatusCompleted, time.Minute)

	store, now := monitoring.NewStore(t), time.Now()
	for range 2 { // rates want two values
		now = now.Add(time.Minute)
		store.Scrape("trigger", trigger.Operation("/metrics").Body, now)
		store.Scrape("migrator", migrator.Operation("/metrics").Body, now)
	}
	panels := monitoring.Dashboard(t, r.Root())
	if len(panels) < 25 {
		t.Errorf("only %d panels were found", len(panels))
	}
	for _, p := range panels {
		if len(p.Targets) == 0 {
			t.Errorf("panel %q asks nothing", p.Title)
		}
		for _, target := range p.Targets {
			wantAnswers(t, store, "panel "+p.Title, target.Expr, now)
		}
	}
	for _, rule := range monitoring.Rules(t, r.Root()) {
		if _, err := store.Ask(rule.Expr, now); err != nil {
			t.Error(err)
		}
		for _, name := range monitoring.Names(t, rule.Expr) {
			wantAnswers(t, store, "alert "+rule.Alert, name, now)
		}
	}
}

// wantAnswers wants data, unless the query is about what is seen under a fault only.
func wantAnswers(t *testing.T, store *monitoring.Store, who, query string, at time.Time) {
	t.Helper()
	quiet := func(name string) bool { return underFault[name] != "" }
	answers, err := store.Ask(query, at)
	switch silent := slices.ContainsFunc(monitoring.Names(t, query), quiet); {
	case err != nil:
		t.Errorf("%s: %v", who, err)
	case len(answers) == 0 && !silent:
		t.Errorf("%s: no data for %s", who, query)
	case len(answers) > 0 && silent:
		t.Logf("%s: data without a fault for %s", who, query)
	}
}
