package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	amqp "github.com/rabbitmq/amqp091-go"
	"go.uber.org/goleak"

	"example.org/ncm/pkg/configtest"
	"example.org/ncm/pkg/contract"
	"example.org/ncm/pkg/cozytest"
	"example.org/ncm/pkg/dnstest"
	"example.org/ncm/pkg/nextcloudtest"
	"example.org/ncm/services/trigger/internal/instance"
)

// names are the host names that the program under test can resolve.
var names *dnstest.Server //nolint:gochecknoglobals // as the resolver of the process

func TestMain(m *testing.M) {
	var err error
	if names, err = dnstest.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "trigger:", err)
		os.Exit(1)
	}
	net.DefaultResolver = names.Resolver()
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent())
}

func TestMigrationIsHandedOverToTheWorkers(t *testing.T) {
	t.Parallel()
	b := newBench(t, brokerURL(t))
	messages := listen(t, b.broker)
	b.start(t)
	b.ready(t)
	status, body := b.postAs(t, strings.ToUpper(b.instance), b.cozy.Instance(b.instance).AppToken(), b.order())
	if status != http.StatusCreated {
		t.Fatalf("status %d: %s", status, body)
	}
	message, requested := next(t, messages, b.instance)
	doc := b.document(t, b.instance)
	accounts := b.cozy.Instance(b.instance).Docs(contract.DoctypeAccounts)
	if len(accounts) != 1 {
		t.Fatalf("%d accounts, want 1", len(accounts))
	}
	wantBody := fmt.Sprintf(`{"migrationId":%q,"workplaceFqdn":%q,"accountId":%q,"sourcePath":"/","timestamp":%d}`,
		doc["_id"], b.instance, accounts[0]["_id"], requested.Timestamp)
	if diff := cmp.Diff(wantBody, string(message.Body)); diff != "" {
		t.Errorf("message (-want +got):\n%s", diff)
	}
	if message.Exchange != "migration" || message.RoutingKey != "nextcloud.migration.requested" ||
		message.ContentType != "application/json" || message.DeliveryMode != amqp.Persistent || message.MessageId != doc["_id"] {
		t.Errorf("message is %+v", message)
	}
	wantAnswer := fmt.Sprintf(`{"data":{"type":"io.cozy.nextcloud.migrations","id":%q,"attributes":{"status":"pending",`+
		`"target_dir":"/Nextcloud imported files","source_path":"/","progress":{"files_imported":0,"files_total":0,"bytes_imported":0,"bytes_total":0},`+
		`"errors":[],"skipped":[],"started_at":null,"finished_at":null},"meta":{"rev":%q}}}`+"\n", doc["_id"], doc["_rev"])
	if diff := cmp.Diff(wantAnswer, body); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
	auth, _ := accounts[0]["auth"].(map[string]any)
	wantAuth := map[string]any{"url": b.source + "/", "login": "joe", "password": appPassword}
	if diff := cmp.Diff(wantAuth, auth); diff != "" {
		t.Errorf("account (-want +got):\n%s", diff)
	}
	if accounts[0]["webdav_user_id"] != "joe id" || accounts[0]["name"] != "joe" {
		t.Errorf("account is %v", accounts[0])
	}
}

func TestStatusesOfRefusals(t *testing.T) {
	t.Parallel()
	b := newBench(t, brokerURL(t))
	listen(t, b.broker)
	b.nextcloud.SetBruteForce(3)
	b.start(t)
	b.ready(t)
	with := func(field, value string) map[string]string {
		order := b.order()
		order[field] = value
		return order
	}
	token := b.cozy.Instance(b.instance).AppToken()
	for _, c := range []struct {
		name, instance, token string
		order                 map[string]string
		status                int
		detail                string
	}{
		{"unknown host", "alice.evil.test", token, b.order(), 404, "Instance not found"},
		{"unknown instance", "nobody.cozy.test", token, b.order(), 404, "Instance not found"},
		{"no token", b.instance, "", b.order(), 401, "No token in request"},
		{"garbage", b.instance, "garbage", b.order(), 400, "Invalid JWT token"},
		{"no url", b.instance, token, with("nextcloud_url", ""), 400, "nextcloud_url is required"},
		{"unclean target", b.instance, token, with("target_dir", "x"), 400, "target_dir must be a clean absolute path"},
		{"unreachable", b.instance, token, with("nextcloud_url", "http://127.0.0.1:1"), 502, "nextcloud unreachable"},
		{"private", b.instance, token, with("nextcloud_url", "http://10.0.0.1"), 502, "nextcloud unreachable"},
		{"not a Nextcloud", b.instance, token, with("nextcloud_url", strings.TrimSuffix(b.source, "/nc")), 502, "nextcloud unreachable"},
		{"wrong password", b.instance, token, with("nextcloud_app_password", "wrong"), 401, "nextcloud credentials are invalid"},
		{"good", b.instance, token, b.order(), 201, ""},
		{"second", b.instance, token, b.order(), 409, "a nextcloud migration is already in progress"},
	} {
		status, body := b.postAs(t, c.instance, c.token, c.order)
		if status != c.status || !strings.Contains(body, c.detail) {
			t.Errorf("%s: status %d, body %s", c.name, status, body)
		}
	}
}

func TestThrottledLoginIsNotAWrongPassword(t *testing.T) {
	t.Parallel()
	b := newBench(t, brokerURL(t))
	b.nextcloud.SetBruteForce(1)
	b.start(t)
	b.ready(t)
	wrong := b.order()
	wrong["nextcloud_app_password"] = "wrong"
	eventually(t, "throttled", func() bool {
		status, _ := b.post(t, b.instance, wrong)
		return status == http.StatusBadGateway
	})
	status, body := b.post(t, b.instance, b.order())
	if status != http.StatusBadGateway || !strings.Contains(body, "too many attempts") {
		t.Errorf("status %d, body %s", status, body)
	}
}

func TestOfTwoRequestsAtOnceOneIsServed(t *testing.T) {
	t.Parallel()
	b := newBench(t, brokerURL(t))
	messages := listen(t, b.broker)
	b.start(t)
	b.ready(t)
	b.cozy.SetLatency(time.Millisecond)
	met := 0 // rounds in which the look before found nothing for both
	for round := range 100 {
		instance := newInstance()
		b.cozy.AddInstance(instance, cozytest.InstanceOptions{})
		var statuses [2]int
		var both sync.WaitGroup
		for i := range statuses {
			both.Go(func() { statuses[i], _ = b.post(t, instance, b.order()) })
		}
		both.Wait()
		slices.Sort(statuses[:])
		if statuses != [2]int{http.StatusCreated, http.StatusConflict} {
			t.Fatalf("round %d: statuses %v", round, statuses)
		}
		if accounts := b.cozy.Instance(instance).Docs(contract.DoctypeAccounts); len(accounts) != 1 {
			t.Fatalf("round %d: %d accounts", round, len(accounts))
		}
		_, requested := next(t, messages, instance)
		docs, active := b.cozy.Instance(instance).Docs(contract.DoctypeMigrations), map[string]bool{}
		met += len(docs) - 1
		for _, doc := range docs {
			if doc["status"] == string(contract.StatusPending) {
				active[fmt.Sprint(doc["_id"])] = true
			}
		}
		if len(active) != 1 || !active[requested.MigrationID] {
			t.Fatalf("round %d: active are %v, the message is for %s", round, active, requested.MigrationID)
		}
	}
	if met == 0 {
		t.Error("no two requests ever met: nothing was tested")
	}
	t.Logf("in %d of 100 rounds both created a document", met)
}

func TestUnroutableMessageFailsTheDocument(t *testing.T) {
	t.Parallel()
	b := newBench(t, ownVirtualHost(t))
	b.start(t)
	b.ready(t)
	const detail = "migration service is unavailable, please retry later"
	status, body := b.post(t, b.instance, b.order())
	if status != http.StatusServiceUnavailable || !strings.Contains(body, detail) {
		t.Fatalf("status %d, body %s", status, body)
	}
	doc := b.document(t, b.instance)
	failures, _ := doc["errors"].([]any)
	if doc["status"] != "failed" || doc["finished_at"] == nil || len(failures) != 1 {
		t.Fatalf("document is %v", doc)
	}
	want := map[string]any{"path": "", "message": detail, "at": doc["finished_at"]}
	if diff := cmp.Diff(want, failures[0]); diff != "" {
		t.Errorf("failure (-want +got):\n%s", diff)
	}
	// A failed migration is in nobody's way.
	listen(t, b.broker)
	if status, body = b.post(t, b.instance, b.order()); status != http.StatusCreated {
		t.Errorf("with a queue: status %d, body %s", status, body)
	}
}

func TestBrokerMayComeAndGo(t *testing.T) {
	t.Parallel()
	broker := brokerURL(t)
	listen(t, broker)
	b := newBench(t, broker)
	gate := newGate(t, broker)
	b.settings.RabbitMQURL = gate.url
	b.start(t)
	b.ready(t)
	gate.close()
	eventually(t, "without a broker", func() bool { return b.ops(t, "/readyz") == http.StatusServiceUnavailable })
	if status := b.ops(t, "/healthz"); status != http.StatusOK {
		t.Errorf("/healthz is %d without a broker", status)
	}
	b.nextcloud.ResetStats()
	status, body := b.post(t, b.instance, b.order())
	if asked := b.nextcloud.Stats().Requests["GET"]; status != http.StatusServiceUnavailable || asked != 0 {
		t.Errorf("status %d, the Nextcloud was asked %d times for nothing, body %s", status, asked, body)
	}
	if docs := b.cozy.Instance(b.instance).Docs(contract.DoctypeMigrations); len(docs) != 0 {
		t.Errorf("%d documents for nothing", len(docs))
	}
	gate.open()
	b.ready(t)
	if status, body = b.post(t, b.instance, b.order()); status != http.StatusCreated {
		t.Errorf("status %d when the broker is back, body %s", status, body)
	}
}

func TestOperationsAreNotOnTheInstances(t *testing.T) {
	t.Parallel()
	b := newBench(t, "amqp://guest:guest@127.0.0.1:1/")
	b.start(t)
	for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+b.program.api.Addr().String()+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = b.instance
		if status, _ := b.do(t, req); status != http.StatusNotFound {
			t.Errorf("%s of an instance is %d", path, status)
		}
	}
	eventually(t, "alive", func() bool { return b.ops(t, "/healthz") == http.StatusOK })
	if status := b.ops(t, "/readyz"); status != http.StatusServiceUnavailable {
		t.Errorf("/readyz is %d without a broker", status)
	}
	_, metrics := b.get(t, "http://"+b.program.ops.Addr().String()+"/metrics")
	for _, name := range []string{`trigger_http_requests_total{code="404"`, "trigger_http_request_duration_seconds_bucket", "queue_connected", "go_goroutines"} {
		if !strings.Contains(metrics, name) {
			t.Errorf("metric %s is missing", name)
		}
	}
}

func TestStopFinishesTheRequestInHand(t *testing.T) {
	t.Parallel()
	b := newBench(t, brokerURL(t))
	listen(t, b.broker)
	stop := b.start(t)
	b.ready(t)
	asked := b.nextcloud.Inject(nextcloudtest.Fault{PathPrefix: "/ocs/", Delay: 300 * time.Millisecond})
	answered := make(chan int, 1)
	go func() {
		status, _ := b.post(t, b.instance, b.order())
		answered <- status
	}()
	eventually(t, "asking", func() bool { return asked.Hits() > 0 })
	stop()
	if status := <-answered; status != http.StatusCreated {
		t.Errorf("status %d for a request in hand at the stop", status)
	}
}

func TestSecretsStayInTheAccount(t *testing.T) {
	t.Parallel()
	b := newBench(t, brokerURL(t))
	messages := listen(t, b.broker)
	b.start(t)
	b.ready(t)
	token := b.cozy.Instance(b.instance).AppToken()
	var seen bytes.Buffer
	wrong := b.order()
	wrong["nextcloud_login"] = "nobody"
	unreachable := b.order()
	unreachable["nextcloud_url"] = "http://joe:" + appPassword + "@127.0.0.1:1/"
	for _, order := range []map[string]string{wrong, unreachable, b.order(), b.order()} {
		_, body := b.postAs(t, b.instance, token, order)
		seen.WriteString(body)
	}
	message, _ := next(t, messages, b.instance)
	seen.Write(message.Body)
	_, metrics := b.get(t, "http://"+b.program.ops.Addr().String()+"/metrics")
	seen.WriteString(metrics)
	documents, err := json.Marshal(b.cozy.Instance(b.instance).Docs(contract.DoctypeMigrations))
	if err != nil {
		t.Fatal(err)
	}
	seen.Write(documents)
	seen.WriteString(b.log.String())
	for name, secret := range map[string]string{
		"app password": appPassword, "token": token, "admin password": adminPassword, "login": "Basic ",
	} {
		if strings.Contains(seen.String(), secret) {
			t.Errorf("the %s got out", name)
		}
	}
	if !strings.Contains(b.log.String(), "migration requested") {
		t.Error("nothing was logged")
	}
}

func TestRunTakesItsSettingsFromTheEnvironment(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "rabbitmq-url")
	if err := os.WriteFile(secret, []byte("amqp://guest:planted-broker-password@127.0.0.1:1/\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"LISTEN_ADDR": "127.0.0.1:0", "OPS_ADDR": "127.0.0.1:0", "DRAIN_DELAY": "1ms",
		"RABBITMQ_URL_FILE": secret, "INSTANCE_SUFFIXES": "cozy.test", "DEV_TOKEN": "planted-token",
	} {
		t.Setenv(name, value)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var out output
	done := make(chan error, 1)
	go func() { done <- run(ctx, nil, &out) }()
	eventually(t, "running", func() bool { return strings.Contains(out.String(), `"part":"drain"`) })
	cancel()
	if err := <-done; err != nil {
		t.Errorf("run: %v", err)
	}
	if strings.Contains(out.String(), "planted") {
		t.Errorf("a secret is in the log:\n%s", out.String())
	}
}

func TestFaultsAreReportedTogetherAndWithoutSecrets(t *testing.T) {
	for name, value := range map[string]string{
		"RABBITMQ_URL": "http://planted-secret/", "LOG_LEVEL": "loud", "DRAIN_DELAY": "1h",
		"ALLOWED_PRIVATE_RANGES": "nowhere", "INSTANCE_SCHEME": "ftp",
	} {
		t.Setenv(name, value)
	}
	err := run(t.Context(), nil, new(bytes.Buffer))
	if err == nil {
		t.Fatal("faulty settings were accepted")
	}
	for _, name := range []string{
		"RABBITMQ_URL", "LOG_LEVEL", "SHUTDOWN_TIME", "ALLOWED_PRIVATE_RANGES", "INSTANCE_SCHEME", "INSTANCE_SUFFIXES", "DEV_TOKEN",
	} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not reported in:\n%v", name, err)
		}
	}
	if strings.Contains(err.Error(), "planted-secret") {
		t.Errorf("a secret is in the report:\n%v", err)
	}
}

func TestFlagsAnswerWithoutSettings(t *testing.T) {
	t.Parallel()
	for flag, want := range map[string]string{"--help": "RABBITMQ_URL", "-h": "LISTEN_ADDR", "--version": "\n"} {
		var out bytes.Buffer
		if err := run(t.Context(), []string{flag}, &out); err != nil || !strings.Contains(out.String(), want) {
			t.Errorf("%s: error %v, output %q", flag, err, out.String())
		}
	}
	for _, args := range [][]string{{"--nope"}, {"serve"}} {
		if err := run(t.Context(), args, new(bytes.Buffer)); err == nil {
			t.Errorf("%v is accepted", args)
		}
	}
}

// TestDeps names what must never be linked into the binary.
func TestDeps(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	linked := strings.Fields(string(out))
	for dep, reason := range map[string]string{
		"testing":                                "test support belongs in tests",
		"example.org/ncm/pkg/cozytest":           "simulators belong in tests",
		"example.org/ncm/pkg/nextcloudtest":      "simulators belong in tests",
		"github.com/jackc/pgx/v5":                "the trigger keeps no state",
		"github.com/studio-b12/gowebdav":         "files are the migrator's business",
		"github.com/coder/websocket":             "only the simulators speak it",
		"example.org/ncm/migrations":             "the ledger is the migrator's",
		"github.com/getkin/kin-openapi/openapi3": "only tests read the description",
	} {
		if slices.Contains(linked, dep) {
			t.Errorf("%s is linked: %s", dep, reason)
		}
	}
	if !slices.Contains(linked, "example.org/ncm/services/trigger/internal/request") {
		t.Error("the list is not the one of this program")
	}
}

const operations = "../../../../docs/OPERATIONS.md"

func TestTheSettingsAreDocumented(t *testing.T) {
	t.Parallel()
	configtest.Documented(t, operations, "trigger", []configtest.Command{{Name: "trigger", Spec: new(Config)}})
}

func TestTheScopesAreDocumented(t *testing.T) {
	t.Parallel()
	docs, err := os.ReadFile(operations)
	if err != nil {
		t.Fatal(err)
	}
	for item := range strings.FieldsSeq(instance.Scope) {
		if !strings.Contains(string(docs), "`"+item+"`") {
			t.Errorf("docs/OPERATIONS.md does not name the scope %s", item)
		}
	}
}
