package rig

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/exec"
)

// Own is a server that tests have to themselves: what is done to it disturbs no
// other test. Its address stays the same through restarts.
type Own struct {
	container testcontainers.Container
	port      string
	proxy     *Proxy
}

// own puts a fixed address before a container and removes it when the test ends.
func own(t testing.TB, s *server, port string) *Own {
	t.Helper()
	o := &Own{container: s.container, port: port, proxy: NewProxy(t, s.addr)}
	s.addr = o.proxy.Addr
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := o.container.Terminate(ctx, testcontainers.StopTimeout(0)); err != nil {
			t.Errorf("remove container: %v", err)
		}
	})
	return o
}

// Kill ends the server without a word to anybody.
func (o *Own) Kill(t testing.TB) {
	t.Helper()
	ctx, cancel := limited(t)
	defer cancel()
	at := time.Duration(0)
	if err := o.container.Stop(ctx, &at); err != nil {
		t.Fatalf("stop container: %v", err)
	}
}

// Start starts it again on the data it had, and returns when it answers.
func (o *Own) Start(t testing.TB) {
	t.Helper()
	ctx, cancel := limited(t)
	defer cancel()
	if err := o.container.Start(ctx); err != nil {
		t.Fatalf("start container: %v", err)
	}
	addr, err := address(ctx, o.container, o.port)
	if err != nil {
		t.Fatalf("find container: %v", err)
	}
	o.proxy.Point(addr)
}

// Run executes a command in the container, as its root.
func (o *Own) Run(t testing.TB, command ...string) {
	t.Helper()
	code, said := o.try(t, command...)
	if code != 0 {
		t.Fatalf("%v ended with code %d: %s", command, code, said)
	}
}

func (o *Own) try(t testing.TB, command ...string) (code int, said string) {
	t.Helper()
	ctx, cancel := limited(t)
	defer cancel()
	code, out, err := o.container.Exec(ctx, command, exec.Multiplexed(), exec.WithUser("root"))
	if err != nil {
		t.Fatalf("run %v: %v", command, err)
	}
	content, _ := io.ReadAll(out)
	return code, string(content)
}

// with gives backends that differ in one server. They share all else, and their
// owner ends them.
func (b *Backends) with(p *postgres, r *rabbitmq) *Backends {
	other := &Backends{root: b.root, bin: b.bin, reaper: b.reaper, postgres: p, rabbitmq: r}
	other.once.Do(func() {}) // all of it is started already
	return other
}
