package main

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"example.org/ncm/pkg/contract"
)

// TestANameThatMovedSinceTheLoginCheckReachesNothingInside has an account whose
// address was public when the trigger looked. Of two addresses of loopback one is
// allowed, as one of the internet is, the other is inside.
func TestANameThatMovedSinceTheLoginCheckReachesNothingInside(t *testing.T) {
	t.Parallel()
	const (
		moving = "rebind-account.test"
		public = "127.0.0.1"
		inside = "127.0.0.2"
	)
	w := newWorld(t)
	w.cfg.AllowedRanges = []netip.Prefix{netip.MustParsePrefix(public + "/32")}
	account, _ := w.instance.Doc(contract.DoctypeAccounts, w.account)
	auth, _ := account["auth"].(map[string]any)
	source, err := url.Parse(fmt.Sprint(auth["url"]))
	must(t, err)
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", net.JoinHostPort(inside, source.Port()))
	if err != nil {
		t.Skipf("no second address on loopback: %v", err)
	}
	var reached atomic.Int64
	server := &httptest.Server{Listener: listener, Config: &http.Server{ //nolint:gosec // for one test
		Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }),
	}}
	server.Start()
	t.Cleanup(server.Close)
	names.Set(moving, func(question int) []string {
		if question == 1 {
			return []string{public}
		}
		return []string{inside}
	})
	if first, err := names.Resolver().LookupHost(t.Context(), moving); err != nil || len(first) != 1 || first[0] != public {
		t.Fatalf("the trigger's look shows %v, %v", first, err)
	}
	source.Host = net.JoinHostPort(moving, source.Port())
	auth["url"] = source.String()
	_, _, err = w.instance.PutDoc(contract.DoctypeAccounts, w.account, account)
	must(t, err)

	id := w.request(t, "/")
	w.start(t)
	doc := w.awaitStatus(t, id, "failed")

	if reason := fmt.Sprint(doc["failure_reason"]); !strings.Contains(reason, "not one that the migration service may use") {
		t.Errorf("failure_reason %q", reason)
	}
	if n := reached.Load(); n != 0 || names.Asked(moving) < 2 {
		t.Errorf("the server inside was reached %d times after %d questions", n, names.Asked(moving))
	}
}
