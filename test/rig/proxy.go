package rig

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Tamper looks at bytes that a client sends before the server gets them. While it
// waits, they wait. If it says so, the server gets them, and the client neither the
// answer nor anything else: the outcome of what it asked for is unknown to it. It
// is called by all connections at once.
type Tamper func(sent []byte) (lose bool)

// Proxy passes TCP connections on to a server, and lets a test slow down, watch or
// break what is asked of it.
type Proxy struct {
	Addr string

	mu     sync.Mutex
	server string
	tamper Tamper
	open   map[net.Conn]struct{}
	closed bool
	work   sync.WaitGroup
}

// NewProxy serves until the test ends.
func NewProxy(t testing.TB, server string) *Proxy {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("start proxy: %v", err)
	}
	p := &Proxy{Addr: listener.Addr().String(), server: server, open: make(map[net.Conn]struct{})}
	p.work.Go(func() { p.accept(listener) })
	t.Cleanup(func() {
		_ = listener.Close()
		p.close()
		p.work.Wait()
	})
	return p
}

// Tamper replaces what is done to requests; nil: nothing.
func (p *Proxy) Tamper(with Tamper) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tamper = with
}

// Point sends new connections to another address from now on.
func (p *Proxy) Point(server string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.server = server
}

func (p *Proxy) accept(listener net.Listener) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		p.work.Go(func() { p.serve(client) })
	}
}

func (p *Proxy) serve(client net.Conn) {
	p.mu.Lock()
	address := p.server
	p.mu.Unlock()
	defer client.Close()
	server, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(context.Background(), "tcp", address)
	if err != nil {
		return
	}
	defer server.Close()
	if !p.keep(client, server) {
		return
	}
	defer p.forget(client, server)
	var muted atomic.Bool
	var answers sync.WaitGroup
	answers.Go(func() {
		pass(client, server, func([]byte) bool { return !muted.Load() })
		_ = client.Close()
		_ = server.Close()
	})
	pass(server, client, func(sent []byte) bool {
		if p.lose(sent) {
			muted.Store(true)
		}
		return true
	})
	if !muted.Load() {
		_ = server.Close()
	}
	answers.Wait()
}

// pass copies until one side ends or a look at what is copied says stop.
func pass(to, from net.Conn, look func([]byte) bool) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 && !look(buffer[:n]) {
			return
		}
		if _, writeErr := to.Write(buffer[:n]); err != nil || writeErr != nil {
			return
		}
	}
}

func (p *Proxy) lose(sent []byte) bool {
	p.mu.Lock()
	tamper := p.tamper
	p.mu.Unlock()
	return tamper != nil && tamper(sent)
}

func (p *Proxy) keep(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		p.open[c] = struct{}{}
	}
	return !p.closed
}

func (p *Proxy) forget(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		delete(p.open, c)
	}
}

func (p *Proxy) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for c := range p.open {
		_ = c.Close()
	}
}
