package egress_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"example.org/ncm/pkg/egress"
)

// nameServer answers questions for IPv4 addresses on loopback; answers gets the
// number of the question, from 1.
func nameServer(t *testing.T, answers func(question int64) []string) (*net.Resolver, *atomic.Int64) {
	t.Helper()
	conn, err := new(net.ListenConfig).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	asked, done := new(atomic.Int64), make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			reply := answerDNS(buf[:n], func() []string { return answers(asked.Add(1)) })
			_, _ = conn.WriteTo(reply, from)
		}
	}()
	t.Cleanup(func() {
		_ = conn.Close()
		<-done
	})
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}, asked
}

func answerDNS(question []byte, addresses func() []string) []byte {
	var m dnsmessage.Message
	if m.Unpack(question) != nil || len(m.Questions) != 1 {
		return nil
	}
	m.Response, m.Authoritative, m.Additionals = true, true, nil
	q := m.Questions[0]
	if q.Type == dnsmessage.TypeA {
		for _, address := range addresses() {
			m.Answers = append(m.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class},
				Body:   &dnsmessage.AResource{A: netip.MustParseAddr(address).As4()},
			})
		}
	}
	reply, err := m.Pack()
	if err != nil {
		return nil
	}
	return reply
}

// TestARebindingNameGainsNothing has a name that is public when somebody looks
// and this machine when it is dialled.
func TestARebindingNameGainsNothing(t *testing.T) {
	t.Parallel()
	var reached atomic.Bool
	s := server(t, func(http.ResponseWriter, *http.Request) { reached.Store(true) })
	resolver, asked := nameServer(t, func(question int64) []string {
		if question == 1 {
			return []string{"1.1.1.1"}
		}
		return []string{"127.0.0.1"}
	})
	first, err := resolver.LookupNetIP(t.Context(), "ip4", "rebind.example")
	if err != nil || len(first) != 1 || !egress.Permits(nil, first[0]) {
		t.Fatalf("the first look shows %v, %v; want a public address", first, err)
	}
	c := client(t, egress.Options{Resolver: resolver, Dial: time.Second})

	_, err = try(t, c, "http://rebind.example:"+portOf(t, s.URL)+"/")

	if !errors.Is(err, egress.ErrForbiddenAddress) || reached.Load() || asked.Load() < 2 {
		t.Errorf("GET = %v, reached %v after %d questions; want ErrForbiddenAddress", err, reached.Load(), asked.Load())
	}
}

func TestEachAddressOfANameIsJudged(t *testing.T) {
	t.Parallel()
	var reached atomic.Bool
	s := server(t, func(http.ResponseWriter, *http.Request) { reached.Store(true) })
	resolver, _ := nameServer(t, func(int64) []string { return []string{"10.0.0.1", "169.254.169.254", "127.0.0.1"} })
	c := client(t, egress.Options{Resolver: resolver, Dial: time.Second})

	_, err := try(t, c, "http://many.example:"+portOf(t, s.URL)+"/")

	if !errors.Is(err, egress.ErrForbiddenAddress) || reached.Load() {
		t.Errorf("GET = %v, reached %v; want ErrForbiddenAddress", err, reached.Load())
	}
}

// TestANewConnectionIsJudgedAgain has a name that was allowed when it was first
// dialled and moves away for the next connection.
func TestANewConnectionIsJudgedAgain(t *testing.T) {
	t.Parallel()
	var reached atomic.Int64
	s := server(t, func(w http.ResponseWriter, _ *http.Request) {
		reached.Add(1)
		w.Header().Set("Connection", "close")
	})
	resolver, _ := nameServer(t, func(question int64) []string {
		if question == 1 {
			return []string{"127.0.0.1"}
		}
		return []string{"127.0.0.2"}
	})
	c := client(t, egress.Options{
		Resolver: resolver, Dial: time.Second, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")},
	})
	url := "http://moving.example:" + portOf(t, s.URL) + "/"
	if _, err := try(t, c, url); err != nil {
		t.Fatalf("first GET: %v", err)
	}

	_, err := try(t, c, url)

	if !errors.Is(err, egress.ErrForbiddenAddress) || reached.Load() != 1 {
		t.Errorf("second GET = %v, reached %d times; want ErrForbiddenAddress", err, reached.Load())
	}
}
