package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"example.org/ncm/pkg/cozytest"
	"example.org/ncm/pkg/queue"
	"example.org/ncm/services/migrator/internal/operate"
	"example.org/ncm/services/migrator/internal/postgrestest"
	"example.org/ncm/services/migrator/internal/transfer"
)

// ownVhost gives the URL of a virtual host at the test's broker that belongs to
// the test alone: the queues' names are fixed.
func ownVhost(t *testing.T) string {
	t.Helper()
	broker, err := url.Parse(os.Getenv("TEST_AMQP_URL"))
	control := strings.Fields(os.Getenv("TEST_RABBITMQCTL"))
	if err != nil || broker.Host == "" || len(control) == 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("TEST_AMQP_URL and TEST_RABBITMQCTL are not set: CI has to run the doctor")
		}
		t.Skip("TEST_AMQP_URL and TEST_RABBITMQCTL are not set: this test needs a RabbitMQ; make test starts one")
	}
	name := "doctor-" + uuid.NewString()
	rabbitmqctl := func(args ...string) {
		// Not the test's context: the host is removed after it has ended.
		command := append(control[1:len(control):len(control)], args...)
		if out, err := exec.CommandContext(context.Background(), control[0], command...).CombinedOutput(); err != nil {
			t.Fatalf("rabbitmqctl %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	rabbitmqctl("add_vhost", name)
	t.Cleanup(func() { rabbitmqctl("delete_vhost", name) })
	rabbitmqctl("set_permissions", "-p", name, broker.User.Username(), ".*", ".*", ".*")
	broker.Path = "/" + name
	return broker.String()
}

// management answers as the broker's management API does, with the recorded form
// of a binding; without bound the queue is only bound to the default exchange.
func management(t *testing.T, bound bool) string {
	t.Helper()
	keys := map[string]string{queue.QueueRequested: "nextcloud.migration.requested", queue.QueueCanceled: "nextcloud.migration.canceled"}
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, key := range keys {
			if !strings.HasSuffix(r.URL.Path, "/"+name+"/bindings") {
				continue
			}
			source := "migration"
			if !bound {
				source, key = "", name
			}
			fmt.Fprintf(w, `[{"source":%q,"vhost":"/","destination":%q,"destination_type":"queue","routing_key":%q,"arguments":{},"properties_key":%q}]`,
				source, name, key, key)
		}
	}))
	t.Cleanup(api.Close)
	return api.URL
}

// diagnose runs the checks at a time that this machine believes in.
func diagnose(t *testing.T, instance string, now func() time.Time) map[string]operate.Finding {
	t.Helper()
	findings := map[string]operate.Finding{}
	healthy, err := operate.Examine(t.Context(), (&doctorCommand{Instance: instance}).checks(now), func(f operate.Finding) error {
		findings[f.Check] = f
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	wrong := false
	for _, f := range findings {
		wrong = wrong || f.Verdict == operate.Wrong
	}
	if healthy == wrong {
		t.Errorf("healthy %v, findings %v", healthy, findings)
	}
	return findings
}

// TestTheDoctorSaysWhatIsWrongAndWhatToDo breaks a working set-up in one way after
// the other, on a real PostgreSQL and RabbitMQ.
func TestTheDoctorSaysWhatIsWrongAndWhatToDo(t *testing.T) {
	database, broker := postgrestest.URL(t), ownVhost(t)
	w := newWorldOn(t, postgrestest.Open(t, database))
	scoped := "scoped.cozy.test"
	w.cozy.AddInstance(scoped, cozytest.InstanceOptions{Apps: []cozytest.App{{Slug: "settings", Rules: []cozytest.Rule{
		{Title: "files", Type: "io.cozy.files", Verbs: []string{"GET"}},
		{Title: "accounts", Type: "io.cozy.accounts"},
		{Title: "migrations", Type: "io.cozy.nextcloud.migrations"},
	}}}})
	for name, value := range map[string]string{
		"DATABASE_URL": database, "RABBITMQ_URL": broker,
		"INSTANCE_SUFFIXES": ".cozy.test", "INSTANCE_SCHEME": "http", "STACK_ADDRESS": w.cfg.StackAddress[0],
		"STACK_ADMIN_URL": w.cfg.StackAdminURL, "STACK_ADMIN_USER": "admin", "STACK_ADMIN_PASSWORD": "planted-admin-password",
		"RABBITMQ_MANAGEMENT_URL": management(t, true),
	} {
		t.Setenv(name, value)
	}
	unbound, behind := management(t, false), postgrestest.EmptyURL(t)
	early := diagnose(t, host, time.Now) // before any migrator was there

	consume(t, w, broker)

	broken := map[string]struct {
		env      map[string]string
		instance string
		off      time.Duration
		check    string
		says     string
		advises  string
	}{
		"wrong password of the database": {
			env: map[string]string{"DATABASE_URL": strings.Replace(database, ":test@", ":planted-secret@", 1)}, check: "postgres", advises: "the password of DATABASE_URL",
		},
		"database away": {
			env: map[string]string{"DATABASE_URL": "postgres://u:planted-secret@127.0.0.1:1/x"}, check: "postgres", advises: "does not answer",
		},
		"schema behind": {
			env: map[string]string{"DATABASE_URL": behind}, check: "schema", says: "at version 0", advises: "migrator schema",
		},
		"clock off": {off: 10 * time.Minute, check: "clock", says: "10m0", advises: "NTP"},
		"broker away": {
			env: map[string]string{"RABBITMQ_URL": "amqp://u:planted-secret@127.0.0.1:1/"}, check: "rabbitmq", advises: "does not answer",
		},
		"wrong password of the broker": {
			env: map[string]string{"RABBITMQ_URL": strings.Replace(broker, ":test@", ":planted-secret@", 1)}, check: "rabbitmq", advises: "the password of RABBITMQ_URL",
		},
		"queue not bound": {
			env: map[string]string{"RABBITMQ_MANAGEMENT_URL": unbound}, check: "bindings", says: "migrator.nextcloud.requested by nextcloud.migration.requested", advises: "restart a migrator",
		},
		"token without scope": {
			instance: scoped, check: "token", says: "io.cozy.files:DELETE io.cozy.files:PATCH io.cozy.files:POST io.cozy.settings:GET", advises: "grant the scope",
		},
		"wrong password of the issuer": {
			env: map[string]string{"STACK_ADMIN_PASSWORD": "planted-secret"}, check: "token", says: "answers 401", advises: "STACK_ADMIN_PASSWORD",
		},
		"no such instance": {instance: "nobody.cozy.test", check: "token", says: "no instance", advises: "name"},
		"foreign instance": {instance: "alice.evil.test", check: "token", says: "INSTANCE_SUFFIXES", advises: "suffix"},
		"setting missing":  {env: map[string]string{"INSTANCE_SUFFIXES": ""}, check: "settings", says: "INSTANCE_SUFFIXES", advises: "correct"},
	}
	for name, tc := range broken {
		t.Run(name, func(t *testing.T) {
			for key, value := range tc.env {
				t.Setenv(key, value)
			}
			instance := host
			if tc.instance != "" {
				instance = tc.instance
			}
			found := diagnose(t, instance, func() time.Time { return time.Now().Add(tc.off) })
			for check, f := range found {
				if check == tc.check {
					if f.Verdict != operate.Wrong || !strings.Contains(f.Detail, tc.says) || !strings.Contains(f.Advice, tc.advises) {
						t.Errorf("%+v", f)
					}
				} else if f.Verdict != operate.OK && f.Verdict != operate.Skipped {
					t.Errorf("beside it: %+v", f)
				}
			}
			if text := fmt.Sprint(found); strings.Contains(text, "planted") {
				t.Errorf("a secret is in %s", text)
			}
		})
	}
	if f := early["rabbitmq"]; f.Verdict != operate.Wrong || !strings.Contains(f.Detail, "exchange migration does not exist") || !strings.Contains(f.Advice, "start a migrator") {
		t.Errorf("queues missing: %+v", f)
	}

	t.Run("nothing works on what waits", func(t *testing.T) {
		t.Setenv("LEASE_TTL", "3s")
		if _, err := w.ledger.Admit(t.Context(), transfer.Migration{ID: "m", Instance: host, AccountID: "a", SourcePath: "/"}, time.Now()); err != nil {
			t.Fatal(err)
		}
		await(t, "finding", func() bool { return diagnose(t, host, time.Now)["work"].Verdict == operate.Wrong })
		if _, err := w.ledger.Cancel(t.Context(), "m", host); err != nil {
			t.Fatal(err)
		}
	})

	out, err := command(t, "doctor", "--instance", host, "--json")
	if err != nil {
		t.Errorf("a healthy set-up: %v\n%s", err, out)
	}
	for line := range strings.Lines(out) {
		var f operate.Finding
		if err := json.Unmarshal([]byte(line), &f); err != nil || f.Verdict != operate.OK {
			t.Errorf("%s: %v", line, err)
		}
	}
	t.Setenv("RABBITMQ_URL", "amqp://u:p@127.0.0.1:1/")
	if out, err := command(t, "doctor"); exitStatus(err) != exitFailed || err == nil || !strings.Contains(out, "WRONG    rabbitmq") {
		t.Errorf("exit status %d, %v\n%s", exitStatus(err), err, out)
	}
}

// consume has the queues of a broker declared and consumed until the test ends.
func consume(t *testing.T, w *world, broker string) {
	t.Helper()
	consumer, err := queue.NewConsumer(queue.ConsumerConfig{
		URL: broker, Name: "doctor's", Topology: queue.NewTopology(0, false), Logger: w.logger(), Registerer: prometheus.NewRegistry(),
		Handler: func(context.Context, queue.Delivery) queue.Verdict { return queue.Done() },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = consumer.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
	await(t, "consumer", func() bool { return consumer.Ready() == nil })
}
