package e2e_test

import (
	"net/http"
	"strings"
	"testing"

	"example.org/ncm/test/rig"
)

func TestTheTriggerTellsOperatorsHowItIs(t *testing.T) {
	t.Parallel()
	r := backends.New(t)
	alice, cozy := r.AddUser("alice"), r.AddInstance(host)
	r.TapMigrations()
	trigger := r.StartTrigger(nil)
	trigger.MustStart(t, cozy, r.Order(alice))

	if answer := trigger.Operation("/healthz"); answer.Status != http.StatusOK || !strings.Contains(answer.Body, `"status":"ok"`) {
		t.Errorf("/healthz is %d %s", answer.Status, answer.Body)
	}
	metrics := trigger.Operation("/metrics").Body
	for _, want := range []string{
		`trigger_http_requests_total{code="201",method="POST",route="/remote/nextcloud/migration"} 1`,
		`queue_connected{connection="trigger"} 1`,
	} {
		if !strings.Contains(metrics, want+"\n") {
			t.Errorf("/metrics has no line %s", want)
		}
	}
}

func TestReadinessFollowsTheBroker(t *testing.T) {
	t.Parallel()
	r := backends.New(t)
	trigger, migrator := r.StartTrigger(nil), r.StartMigrator(nil)
	for _, s := range []*rig.Service{trigger.Service, migrator} {
		if answer := s.Operation("/readyz"); answer.Status != http.StatusOK || !strings.Contains(answer.Body, `"rabbitmq":"ok"`) {
			t.Errorf("/readyz of %s is %d %s", s.Name, answer.Status, answer.Body)
		}
	}

	r.Broker.Cut()
	for _, s := range []*rig.Service{trigger.Service, migrator} {
		rig.Await(t, rig.Patience, s.Name+" unready", func() bool { return !s.Ready() })
		if answer := s.Operation("/readyz"); answer.Status != http.StatusServiceUnavailable || !strings.Contains(answer.Body, `"rabbitmq":"failed"`) {
			t.Errorf("/readyz of %s is %d %s without the broker", s.Name, answer.Status, answer.Body)
		}
		if answer := s.Operation("/healthz"); answer.Status != http.StatusOK {
			t.Errorf("/healthz of %s is %d without the broker: it would be restarted for nothing", s.Name, answer.Status)
		}
	}

	r.Broker.Restore(t)
	trigger.AwaitReady()
	migrator.AwaitReady()
}
