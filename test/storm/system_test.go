package storm_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"example.org/ncm/test/rig"
)

// leaseTTL is short, so that pauses last longer than a lease and holders are often
// taken for dead who are not.
const leaseTTL = "6s"

// system is what all rounds share: servers, simulators and the trigger.
type system struct {
	t                *testing.T
	rig              *rig.Rig
	postgres, broker *server
	trigger          *rig.Trigger
	file             string // the migrator's
	all              []*migrator
}

func newSystem(t *testing.T) *system {
	t.Helper()
	own, postgres := backends.OwnPostgres(t)
	own, broker := own.OwnRabbitMQ(t)
	s := &system{t: t, rig: own.New(t)}
	s.postgres = &server{t: t, name: "postgres", own: postgres, link: rig.NewLink(t, s.rig.LedgerAddr())}
	s.broker = &server{t: t, name: "rabbitmq", own: broker, link: s.rig.Broker}
	s.file = buildMigrator(t, s.rig.Root())
	s.trigger = s.rig.StartTrigger(nil)
	return s
}

// startMigrator starts one more process and does not wait.
func (s *system) startMigrator() *migrator {
	s.t.Helper()
	ops := pickAddr(s.t)
	m := startMigrator(s.t, fmt.Sprintf("migrator-%d", len(s.all)+1), s.file, ops, s.environ(ops))
	s.all = append(s.all, m)
	return m
}

// environ is what a migrator is started with. An entry gets far more passes than
// usual: the storm may spoil one file again and again, and here every file has to
// arrive.
func (s *system) environ(ops string) []string {
	cozy := strings.TrimPrefix(s.rig.CozyURL, "http://")
	return []string{
		"LOG_LEVEL=info", "OPS_ADDR=" + ops,
		"DATABASE_URL=" + strings.Replace(s.rig.Ledger.URL, s.rig.LedgerAddr(), s.postgres.link.Addr, 1), "DATABASE_CONNS=6", "RABBITMQ_URL=" + s.rig.BrokerURL(),
		"SLOTS=2", "TRANSFERS=4", "LISTERS=2", "ATTEMPTS=50", "LEASE_TTL=" + leaseTTL, "SLICE_TIME=10s",
		"INSTANCE_SUFFIXES=" + rig.InstanceSuffix, "INSTANCE_SCHEME=http", "STACK_ADDRESS=" + rig.InstanceSuffix + "=" + cozy,
		"STACK_ADMIN_URL=" + s.rig.AdminURL, "STACK_ADMIN_USER=admin", "STACK_ADMIN_PASSWORD=" + rig.AdminPassword,
		"ALLOW_HTTP_NEXTCLOUD=true", "ALLOWED_PRIVATE_RANGES=127.0.0.0/8",
	}
}

// pickAddr chooses below the range out of which systems serve connections.
func pickAddr(t *testing.T) string {
	t.Helper()
	for range 100 {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(20000+rand.IntN(12000)))
		listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", addr)
		if err == nil {
			_ = listener.Close()
			return addr
		}
	}
	t.Fatal("no free port")
	return ""
}

// latency is what the stack waits before each request.
func (s *system) latency(ms int) {
	s.order(http.MethodPut, s.rig.AdminURL+"/_sim/latency", map[string]int{"ms": ms})
}

// maintenance is the Nextcloud's mode of that name.
func (s *system) maintenance(on bool) {
	s.t.Helper()
	root, err := url.Parse(s.rig.NextcloudURL)
	if err != nil {
		s.t.Fatalf("read the Nextcloud's URL: %v", err)
	}
	root.Path = "/_sim/maintenance"
	s.order(http.MethodPost, root.String(), map[string]bool{"on": on})
}

func (s *system) order(method, address string, body any) {
	s.t.Helper()
	content, err := json.Marshal(body)
	if err != nil {
		s.t.Fatalf("encode order: %v", err)
	}
	request, err := http.NewRequestWithContext(s.t.Context(), method, address, bytes.NewReader(content))
	if err != nil {
		s.t.Fatalf("make order: %v", err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		s.t.Fatalf("order: %v", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode/100 != 2 {
		s.t.Fatalf("%s %s %s: %s", method, address, content, answer.Status)
	}
}

// ledger connects to the database by a way that no fault reaches.
func (s *system) ledger() *pgx.Conn {
	s.t.Helper()
	conn, err := pgx.Connect(s.t.Context(), s.rig.Ledger.URL)
	if err != nil {
		s.t.Fatalf("connect to the ledger: %v", err)
	}
	return conn
}
