package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
)

// The tests stand on two addresses of loopback: public is allowed, as one of the
// internet is, inside is not.
const (
	public = "127.0.0.1"
	inside = "127.0.0.2"
)

// hostile is a name whose address changes, and a server inside that must not be
// reached by it, on the port of the Nextcloud.
type hostile struct {
	*bench
	reached atomic.Int64
}

func newHostile(t *testing.T, host string, answer func(question int) string) *hostile {
	t.Helper()
	h := &hostile{bench: newBench(t, noBroker)}
	h.settings.AllowedRanges = []netip.Prefix{netip.MustParsePrefix(public + "/32")}
	source, err := url.Parse(h.source)
	if err != nil {
		t.Fatal(err)
	}
	names.Set(host, func(question int) []string { return []string{answer(question)} })
	h.source = "http://" + net.JoinHostPort(host, source.Port()) + source.Path
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", net.JoinHostPort(inside, source.Port()))
	if err != nil {
		t.Skipf("no second address on loopback: %v", err)
	}
	server := &httptest.Server{Listener: listener, Config: &http.Server{ //nolint:gosec // for one test
		Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { h.reached.Add(1) }),
	}}
	server.Start()
	t.Cleanup(server.Close)
	h.start(t)
	return h
}

// wantNoAnswer asks with the name for the Nextcloud.
func (h *hostile) wantNoAnswer(t *testing.T) {
	t.Helper()
	res, body := h.ask(t, "POST", "/preflight", h.orderText(t, nil))
	if res.StatusCode != http.StatusBadGateway || !strings.Contains(body, "the server does not answer") {
		t.Errorf("status %d: %s", res.StatusCode, body)
	}
	if n := h.reached.Load(); n != 0 {
		t.Errorf("the server inside was reached %d times", n)
	}
}

func TestANameThatIsPublicWhenSomebodyLooksReachesNothingInside(t *testing.T) {
	t.Parallel()
	const host = "rebind-look.test"
	h := newHostile(t, host, func(question int) string {
		if question == 1 {
			return "1.1.1.1"
		}
		return inside
	})
	first, err := names.Resolver().LookupHost(t.Context(), host)
	if err != nil || len(first) != 1 || first[0] != "1.1.1.1" {
		t.Fatalf("the first look shows %v, %v", first, err)
	}
	h.wantNoAnswer(t)
	if names.Asked(host) < 2 {
		t.Error("the program did not resolve the name by itself")
	}
}

// TestANameThatMovesAfterTheLoginCheckReachesNothingInside has the login check
// pass, after which files are looked at by a connection of its own.
func TestANameThatMovesAfterTheLoginCheckReachesNothingInside(t *testing.T) {
	t.Parallel()
	const host = "rebind-login.test"
	h := newHostile(t, host, func(question int) string {
		if question == 1 {
			return public
		}
		return inside
	})
	h.wantNoAnswer(t)
	if asked := h.nextcloud.Stats().Requests; asked["GET"] != 1 || asked["PROPFIND"] != 0 {
		t.Errorf("the Nextcloud was asked %v", asked)
	}
}
