// Package dnstest is a name server of a test's own on loopback, whose answers may
// change from one question to the next.
package dnstest

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"golang.org/x/net/dns/dnsmessage"
)

// Server answers questions for IPv4 addresses; names that it was not told do not
// exist. It is safe for concurrent use.
type Server struct {
	conn net.PacketConn
	done chan struct{}

	mu    sync.Mutex
	names map[string]*name
}

type name struct {
	answer func(question int) (addresses []string)
	asked  int
}

// Start takes a port and answers until Close.
func Start() (*Server, error) {
	conn, err := new(net.ListenConfig).ListenPacket(context.Background(), "udp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	s := &Server{conn: conn, done: make(chan struct{}), names: map[string]*name{}}
	go s.serve()
	return s, nil
}

// Close ends the server and waits for its end.
func (s *Server) Close() {
	_ = s.conn.Close()
	<-s.done
}

// Set makes a host known. answer gets the number of the question for it, from 1.
func (s *Server) Set(host string, answer func(question int) (addresses []string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.names[host+"."] = &name{answer: answer}
}

// Asked counts the questions for a host.
func (s *Server) Asked(host string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n, ok := s.names[host+"."]; ok {
		return n.asked
	}
	return 0
}

// Resolver asks this server alone.
func (s *Server) Resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", s.conn.LocalAddr().String())
	}}
}

func (s *Server) serve() {
	defer close(s.done)
	buf := make([]byte, 1500)
	for {
		n, from, err := s.conn.ReadFrom(buf)
		if err != nil {
			return
		}
		_, _ = s.conn.WriteTo(s.reply(buf[:n]), from)
	}
}

func (s *Server) reply(question []byte) []byte {
	var m dnsmessage.Message
	if m.Unpack(question) != nil || len(m.Questions) != 1 {
		return nil
	}
	m.Response, m.Authoritative, m.Additionals = true, true, nil
	m.Answers, m.RCode = s.answers(m.Questions[0])
	reply, err := m.Pack()
	if err != nil {
		return nil
	}
	return reply
}

func (s *Server) answers(q dnsmessage.Question) ([]dnsmessage.Resource, dnsmessage.RCode) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, ok := s.names[q.Name.String()]
	if !ok {
		return nil, dnsmessage.RCodeNameError
	}
	if q.Type != dnsmessage.TypeA {
		return nil, dnsmessage.RCodeSuccess
	}
	n.asked++
	var all []dnsmessage.Resource
	for _, address := range n.answer(n.asked) {
		all = append(all, dnsmessage.Resource{
			Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class},
			Body:   &dnsmessage.AResource{A: netip.MustParseAddr(address).As4()},
		})
	}
	return all, dnsmessage.RCodeSuccess
}
