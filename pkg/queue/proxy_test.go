package queue_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
)

// proxy stands between a client and the broker and breaks what passes.
type proxy struct {
	url      string
	target   string
	listener net.Listener
	wait     sync.WaitGroup
	plugged  chan struct{} // closed: clients' messages stop here

	mu     sync.Mutex
	refuse bool
	pairs  map[*pair]struct{}
}

// pair is one connection through the proxy.
type pair struct {
	client, broker net.Conn
	frozen         chan struct{} // closed: the broker's answers stop here
	gone           chan struct{} // closed at the end
}

func newProxy(t *testing.T, brokerURL string) *proxy {
	t.Helper()
	u, err := url.Parse(brokerURL)
	if err != nil {
		t.Fatalf("parse TEST_AMQP_URL: %v", err)
	}
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	return startProxy(t, u, listener)
}

// newTLSProxy speaks TLS to clients and plainly to the broker.
func newTLSProxy(t *testing.T, brokerURL string) (*proxy, *x509.CertPool) {
	t.Helper()
	u, err := url.Parse(brokerURL)
	if err != nil {
		t.Fatalf("parse TEST_AMQP_URL: %v", err)
	}
	owner := httptest.NewTLSServer(nil)
	t.Cleanup(owner.Close)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: owner.TLS.Certificates})
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(owner.Certificate())
	u.Scheme = "amqps"
	return startProxy(t, u, listener), roots
}

func startProxy(t *testing.T, u *url.URL, listener net.Listener) *proxy {
	t.Helper()
	p := &proxy{target: u.Host, listener: listener, plugged: make(chan struct{}), pairs: map[*pair]struct{}{}}
	u.Host = listener.Addr().String()
	p.url = u.String()
	p.wait.Go(p.accept)
	t.Cleanup(func() {
		_ = listener.Close()
		p.cut()
		p.wait.Wait()
	})
	return p
}

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.wait.Go(func() { p.serve(client) })
	}
}

func (p *proxy) serve(client net.Conn) {
	defer func() { _ = client.Close() }()
	broker, err := new(net.Dialer).DialContext(context.Background(), "tcp", p.target)
	if err != nil {
		return
	}
	defer func() { _ = broker.Close() }()
	c := &pair{client: client, broker: broker, frozen: make(chan struct{}), gone: make(chan struct{})}
	if !p.add(c) {
		return
	}
	p.wait.Go(func() {
		p.requests(c)
		_ = broker.Close()
		_ = client.Close()
	})
	c.answers()
}

// requests copies from the client to the broker until plugged.
func (p *proxy) requests(c *pair) {
	buf := make([]byte, 4096)
	for {
		n, err := c.client.Read(buf)
		select {
		case <-p.plugged:
			<-c.gone
			return
		default:
		}
		if _, werr := c.broker.Write(buf[:n]); err != nil || werr != nil {
			return
		}
	}
}

// answers copies from the broker to the client until frozen.
func (c *pair) answers() {
	buf := make([]byte, 4096)
	for {
		n, err := c.broker.Read(buf)
		select {
		case <-c.frozen:
			<-c.gone
			return
		default:
		}
		if _, werr := c.client.Write(buf[:n]); err != nil || werr != nil {
			return
		}
	}
}

func (p *proxy) add(c *pair) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refuse {
		return false
	}
	p.pairs[c] = struct{}{}
	return true
}

// cut breaks all connections there are.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.pairs {
		_ = c.client.Close()
		_ = c.broker.Close()
		close(c.gone)
		delete(p.pairs, c)
	}
}

// freeze keeps back the answers on all connections there are; new ones work.
func (p *proxy) freeze() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.pairs {
		close(c.frozen)
	}
}

// refuseNew turns new connections away, or no longer.
func (p *proxy) refuseNew(refuse bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = refuse
}

// plug stops reading from clients, as a broker does that has no memory left.
func (p *proxy) plug() { close(p.plugged) }

func withUser(t *testing.T, brokerURL, user, password string) string {
	t.Helper()
	u, err := url.Parse(brokerURL)
	if err != nil {
		t.Fatalf("parse TEST_AMQP_URL: %v", err)
	}
	u.User = url.UserPassword(user, password)
	return u.String()
}
