package rig

import (
	"context"
	"os"
	"path/filepath"
	"testing"
)

// Rig is the system of one test. The simulated servers run from the start; triggers
// and migrators run when the test starts them.
type Rig struct {
	*Simulator
	Ledger *Ledger
	// Broker is the way of the triggers and migrators to RabbitMQ.
	Broker *Link

	t         *testing.T
	backends  *Backends
	vhost     string
	processes []*Process
}

// New makes a rig. It and all that it started are gone when the test ends; the logs
// are printed if the test failed. The simulator gets arguments of its own, such as
// -keep-contents.
func (b *Backends) New(t *testing.T, simulator ...string) *Rig {
	t.Helper()
	b.ready(t)
	r := &Rig{t: t, backends: b}
	t.Cleanup(r.report) // the first to be registered is the last to run
	vhost, err := b.rabbitmq.takeVhost(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r.vhost = vhost
	r.Ledger = b.postgres.newLedger(t)
	r.Broker = newLink(t, b.rabbitmq.addr)
	r.Simulator = r.startSimulator(simulator)
	return r
}

// Root is the root of the repository.
func (r *Rig) Root() string { return r.backends.root }

// Processes are the programs under test that were started, ended ones too, without
// the simulator.
func (r *Rig) Processes() []*Process { return r.processes }

// launch starts a program under test.
func (r *Rig) launch(name string, s spec) *Process {
	r.t.Helper()
	p := launch(r.t, name, s)
	r.processes = append(r.processes, p)
	return p
}

// tailLines of each log are printed when a test fails.
const tailLines = 40

func (r *Rig) report() {
	if !r.t.Failed() {
		return
	}
	dir := r.t.ArtifactDir()
	for _, p := range r.processes {
		r.t.Logf("end of the log of %s:\n%s", p.Name, p.Log.Tail(tailLines))
		if err := os.WriteFile(filepath.Join(dir, p.Name+".log"), []byte(p.Log.String()), 0o600); err != nil {
			r.t.Logf("keep the log of %s: %v", p.Name, err)
		}
	}
}

// limited bounds one question.
func limited(t testing.TB) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), Patience)
}
