package main

import (
	"io"
	"net"
	"net/url"
	"sync"
	"testing"

	"example.org/ncm/pkg/config"
)

// gate stands between the program and the broker. Closed, it ends what is open
// and refuses what comes.
type gate struct {
	url     config.Secret
	backend string

	mu     sync.Mutex
	shut   bool
	conns  map[net.Conn]bool
	copies sync.WaitGroup
}

func newGate(t *testing.T, broker string) *gate {
	t.Helper()
	u, err := url.Parse(broker)
	if err != nil {
		t.Fatal("TEST_AMQP_URL is malformed")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{backend: u.Host, conns: map[net.Conn]bool{}}
	u.Host = listener.Addr().String()
	g.url = config.Secret(u.String())
	g.copies.Go(func() { g.accept(listener) })
	t.Cleanup(func() {
		_ = listener.Close()
		g.close()
		g.copies.Wait()
	})
	return g
}

func (g *gate) accept(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		g.copies.Go(func() { g.forward(conn) })
	}
}

func (g *gate) forward(conn net.Conn) {
	defer conn.Close()
	back, err := net.Dial("tcp", g.backend)
	if err != nil {
		return
	}
	defer back.Close()
	if !g.admit(conn, back) {
		return
	}
	g.copies.Go(func() {
		_, _ = io.Copy(conn, back)
		_ = conn.Close()
	})
	_, _ = io.Copy(back, conn)
}

func (g *gate) admit(conns ...net.Conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, conn := range conns {
		g.conns[conn] = true
	}
	return !g.shut
}

func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = true
	for conn := range g.conns {
		_ = conn.Close()
		delete(g.conns, conn)
	}
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = false
}
