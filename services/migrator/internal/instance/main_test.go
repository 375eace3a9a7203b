package instance_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"go.uber.org/goleak"

	"example.org/ncm/pkg/cozy"
	"example.org/ncm/pkg/cozytest"
	"example.org/ncm/services/migrator/internal/instance"
	"example.org/ncm/services/migrator/internal/transfer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	host      = "alice.cozy.example"
	adminHost = "admin.cozy.example"
)

// bundle is one simulated instance and the adapters on it.
type bundle struct {
	cozy   *cozy.Instance
	client *http.Client
	sim    *cozytest.Stack
	inst   *cozytest.Instance
	target *instance.Target
	docs   *instance.Documents
}

func setup(t *testing.T) bundle {
	t.Helper()
	sim := cozytest.New(cozytest.Config{AdminUser: "admin", AdminPassword: "pw", AdminHost: adminHost, Dir: t.TempDir()})
	t.Cleanup(sim.Close)
	inst := sim.AddInstance(host, cozytest.InstanceOptions{})
	s := httptest.NewServer(sim)
	t.Cleanup(s.Close)
	client := clientTo(t, s)
	tokens := cozy.NewAdmin(client, "http://"+adminHost, "admin", "pw", instance.Scope)
	i := cozy.New(cozy.Config{HTTP: client, Scheme: "http", Tokens: cozy.Cached(tokens), Timeout: 5 * time.Second}).Instance(host)
	return bundle{cozy: i, client: client, sim: sim, inst: inst, target: instance.NewTarget(i, nil), docs: instance.NewDocuments(i)}
}

// clientTo sends every request to the server, whatever its host.
func clientTo(t *testing.T, s *httptest.Server) *http.Client {
	t.Helper()
	transport := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, s.Listener.Addr().String())
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// wantError checks the verdict on an error.
func wantError(t *testing.T, err error, class transfer.Class, reason transfer.Reason) {
	t.Helper()
	var e *transfer.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want a classified error", err)
	}
	if e.Class != class || e.Reason != reason || e.Side != transfer.SideTarget {
		t.Fatalf("got side %s, class %d, reason %s (%v); want target, %d, %s", e.Side, e.Class, e.Reason, err, class, reason)
	}
}
