package rig

import (
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"example.org/ncm/pkg/openapitest"
)

// Env are settings of a service by their environment variables.
type Env map[string]string

// Service is a trigger or migrator with its address for operators.
type Service struct {
	*Process
	ops string
	rig *Rig
}

// Trigger is a running trigger.
type Trigger struct {
	*Service
	api       string
	described *openapitest.Checker
}

// StartTrigger starts a trigger and returns when it is ready. Settings given
// replace those of the rig.
func (r *Rig) StartTrigger(settings Env) *Trigger {
	r.t.Helper()
	env := r.settings(Env{
		"LISTEN_ADDR": "127.0.0.1:0", "OPS_ADDR": "127.0.0.1:0", "DRAIN_DELAY": "0s",
		// Tests ask more often than people do.
		"LOGIN_CHECKS_PER_INSTANCE": "10000", "LOGIN_CHECKS_PER_LOGIN": "10000",
	}, settings)
	p := r.launch(fmt.Sprintf("trigger-%d", len(r.processes)), spec{path: r.backends.bin.trigger, env: env})
	started := r.awaitLine(p, "starting")
	api, _ := started["api"].(string)
	ops, _ := started["ops"].(string)
	trigger := &Trigger{Service: &Service{Process: p, ops: ops, rig: r}, api: "http://" + api}
	trigger.AwaitReady()
	trigger.described = trigger.description()
	return trigger
}

// StartMigrator starts a migrator and returns when it is ready, its queues bound.
// Settings given replace those of the rig.
func (r *Rig) StartMigrator(settings Env) *Service {
	r.t.Helper()
	migrator := r.LaunchMigrator(settings)
	migrator.AwaitReady()
	return migrator
}

// LaunchMigrator starts a migrator and does not wait until it is ready.
func (r *Rig) LaunchMigrator(settings Env) *Service {
	r.t.Helper()
	ops := pickAddr(r.t)
	env := r.settings(Env{"OPS_ADDR": ops, "DATABASE_URL": r.Ledger.URL, "DATABASE_CONNS": "6"}, settings)
	p := r.launch(fmt.Sprintf("migrator-%d", len(r.processes)), spec{path: r.backends.bin.migrator, args: []string{"run"}, env: env})
	return &Service{Process: p, ops: ops, rig: r}
}

// RunMigrator starts a command of the migrator, with the settings of a worker.
func (r *Rig) RunMigrator(settings Env, args ...string) *Process {
	r.t.Helper()
	env := r.settings(Env{"DATABASE_URL": r.Ledger.URL, "DATABASE_CONNS": "6"}, settings)
	return r.launch(fmt.Sprintf("migrator-%d-%s", len(r.processes), args[0]), spec{path: r.backends.bin.migrator, args: args, env: env})
}

// settings are those that both services share, and what is special.
func (r *Rig) settings(special ...Env) Env {
	env := Env{
		"LOG_LEVEL":              "debug",
		"RABBITMQ_URL":           r.BrokerURL(),
		"INSTANCE_SUFFIXES":      InstanceSuffix + ",localhost:*",
		"INSTANCE_SCHEME":        "http",
		"STACK_ADDRESS":          InstanceSuffix + "=" + r.cozyAddr + ",.localhost=" + r.cozyAddr,
		"STACK_ADMIN_URL":        r.AdminURL,
		"STACK_ADMIN_USER":       adminUser,
		"STACK_ADMIN_PASSWORD":   AdminPassword,
		"ALLOW_HTTP_NEXTCLOUD":   "true",
		"ALLOWED_PRIVATE_RANGES": "127.0.0.0/8",
	}
	for _, s := range special {
		maps.Copy(env, s)
	}
	return env
}

// awaitLine waits for a message in a program's log.
func (r *Rig) awaitLine(p *Process, message string) (line map[string]any) {
	r.t.Helper()
	Await(r.t, Patience, p.Name+" logging "+message, func() bool {
		if !p.Running() {
			r.t.Fatalf("%s ended at once: %v\n%s", p.Name, p.err, p.Log)
		}
		lines := p.Log.All(message)
		if len(lines) > 0 {
			line = lines[0]
		}
		return line != nil
	})
	return line
}

// AwaitReady returns when /readyz says so.
func (s *Service) AwaitReady() {
	s.rig.t.Helper()
	Await(s.rig.t, Patience, s.Name+" ready", func() bool {
		if !s.Running() {
			s.rig.t.Fatalf("%s ended before it was ready: %v", s.Name, s.err)
		}
		return s.Ready()
	})
}

// Ready asks /readyz.
func (s *Service) Ready() bool {
	answer, err := ask(s.rig.t, s.operation("/readyz"))
	return err == nil && answer.Status == http.StatusOK
}

// Operation asks the address for operators: /healthz, /readyz or /metrics.
func (s *Service) Operation(path string) Answer {
	s.rig.t.Helper()
	return mustAsk(s.rig.t, s.operation(path))
}

// Operate does an action of the operator's page.
func (s *Service) Operate(t testing.TB, token, action string) Answer {
	t.Helper()
	return mustAsk(t, Request{Method: http.MethodPost, URL: "http://" + s.ops + "/operator/api/" + action, Token: token})
}

// OperationsURL is the address for operators.
func (s *Service) OperationsURL() string { return "http://" + s.ops }

// Metric reads the value of a metric without labels.
func (s *Service) Metric(name string) float64 {
	s.rig.t.Helper()
	for line := range strings.Lines(s.Operation("/metrics").Body) {
		value, ok := strings.CutPrefix(strings.TrimSpace(line), name+" ")
		if !ok {
			continue
		}
		number, err := strconv.ParseFloat(value, 64)
		if err != nil {
			s.rig.t.Fatalf("read metric %s: %v", name, err)
		}
		return number
	}
	s.rig.t.Fatalf("%s has no metric %s", s.Name, name)
	return 0
}

func (s *Service) operation(path string) Request {
	return Request{Method: http.MethodGet, URL: "http://" + s.ops + path}
}
