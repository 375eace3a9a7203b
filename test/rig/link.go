package rig

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
)

// Link is a TCP connection to a shared server that one test may cut without
// taking the server away from the others.
type Link struct {
	Addr   string
	server string

	mu       sync.Mutex
	listener net.Listener
	open     map[net.Conn]struct{}
	pipes    sync.WaitGroup
}

func newLink(t testing.TB, server string) *Link {
	t.Helper()
	l := &Link{Addr: "127.0.0.1:0", server: server, open: make(map[net.Conn]struct{})}
	l.Restore(t)
	t.Cleanup(func() { l.Cut(); l.pipes.Wait() })
	return l
}

// Cut breaks what is connected and refuses whoever comes.
func (l *Link) Cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.listener != nil {
		_ = l.listener.Close()
		l.listener = nil
	}
	for conn := range l.open {
		_ = conn.Close()
	}
	clear(l.open)
}

// Restore makes the server reachable again, at the same address.
func (l *Link) Restore(t testing.TB) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", l.Addr)
	if err != nil {
		t.Fatalf("restore link: %v", err)
	}
	l.listener, l.Addr = listener, listener.Addr().String()
	l.pipes.Go(func() { l.accept(listener) })
}

func (l *Link) accept(listener net.Listener) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		if err := l.connect(listener, client); err != nil {
			_ = client.Close()
		}
	}
}

// connect joins a client to the server, unless the link was cut meanwhile.
func (l *Link) connect(listener net.Listener, client net.Conn) error {
	server, err := new(net.Dialer).DialContext(context.Background(), "tcp", l.server)
	if err != nil {
		return fmt.Errorf("reach the server: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.listener != listener {
		_ = server.Close()
		return net.ErrClosed
	}
	for _, way := range [][2]net.Conn{{client, server}, {server, client}} {
		l.open[way[0]] = struct{}{}
		l.pipes.Go(func() {
			_, _ = io.Copy(way[0], way[1])
			_ = way[0].Close()
			_ = way[1].Close()
		})
	}
	return nil
}
