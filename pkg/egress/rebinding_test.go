package egress_test

import (
	"errors"
	"net/http"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"example.org/ncm/pkg/dnstest"
	"example.org/ncm/pkg/egress"
)

// names is a name server that knows one host.
func names(t *testing.T, host string, answer func(question int) []string) *dnstest.Server {
	t.Helper()
	s, err := dnstest.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	s.Set(host, answer)
	return s
}

// TestARebindingNameGainsNothing has a name that is public when somebody looks
// and this machine when it is dialled.
func TestARebindingNameGainsNothing(t *testing.T) {
	t.Parallel()
	var reached atomic.Bool
	s := server(t, func(http.ResponseWriter, *http.Request) { reached.Store(true) })
	known := names(t, "rebind.example", func(question int) []string {
		if question == 1 {
			return []string{"1.1.1.1"}
		}
		return []string{"127.0.0.1"}
	})
	first, err := known.Resolver().LookupNetIP(t.Context(), "ip4", "rebind.example")
	if err != nil || len(first) != 1 || !egress.Permits(nil, first[0]) {
		t.Fatalf("the first look shows %v, %v; want a public address", first, err)
	}
	c := client(t, egress.Options{Resolver: known.Resolver(), Dial: time.Second})

	_, err = try(t, c, "http://rebind.example:"+portOf(t, s.URL)+"/")

	if asked := known.Asked("rebind.example"); !errors.Is(err, egress.ErrForbiddenAddress) || reached.Load() || asked < 2 {
		t.Errorf("GET = %v, reached %v after %d questions; want ErrForbiddenAddress", err, reached.Load(), asked)
	}
}

func TestEachAddressOfANameIsJudged(t *testing.T) {
	t.Parallel()
	var reached atomic.Bool
	s := server(t, func(http.ResponseWriter, *http.Request) { reached.Store(true) })
	known := names(t, "many.example", func(int) []string { return []string{"10.0.0.1", "169.254.169.254", "127.0.0.1"} })
	c := client(t, egress.Options{Resolver: known.Resolver(), Dial: time.Second})

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
	known := names(t, "moving.example", func(question int) []string {
		if question == 1 {
			return []string{"127.0.0.1"}
		}
		return []string{"127.0.0.2"}
	})
	c := client(t, egress.Options{
		Resolver: known.Resolver(), Dial: time.Second, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")},
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
