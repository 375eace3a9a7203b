package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"example.org/ncm/pkg/config"
	"example.org/ncm/pkg/contract"
	"example.org/ncm/pkg/cozytest"
	"example.org/ncm/pkg/nextcloudtest"
	"example.org/ncm/pkg/openapitest"
	"example.org/ncm/pkg/queue"
	"example.org/ncm/pkg/stack"
	"example.org/ncm/services/trigger/internal/httpapi"
)

const (
	patience      = time.Minute
	appPassword   = "planted-app-password-8243"
	adminPassword = "planted-admin-password-5517"
)

// bench is the whole program on ports of its own, with simulated neighbours and
// a real broker.
type bench struct {
	cozy      *cozytest.Stack
	nextcloud *nextcloudtest.Server
	instance  string // of the test alone, for the broker is shared
	source    string // the Nextcloud's URL
	broker    string // URL of the broker
	settings  Config
	program   *program
	stop      func() // of the program
	log       *output
	client    *http.Client
	described *openapitest.Checker
}

// output is a log that is written and read at the same time.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// newBench makes the neighbours and the settings; start runs the program.
func newBench(t *testing.T, broker string) *bench {
	t.Helper()
	b := &bench{broker: broker, log: &output{}, instance: newInstance()}
	described, err := openapitest.New(t.Context(), httpapi.Description())
	if err != nil {
		t.Fatal(err)
	}
	b.client = &http.Client{Transport: &http.Transport{}, Timeout: patience}
	b.described = described
	b.cozy = cozytest.New(cozytest.Config{AdminUser: "admin", AdminPassword: adminPassword})
	b.cozy.AddInstance(b.instance, cozytest.InstanceOptions{})
	b.nextcloud = nextcloudtest.New(nextcloudtest.Config{Dir: t.TempDir(), SubPath: "/nc"})
	if err := b.nextcloud.AddUser(nextcloudtest.User{
		ID: "joe id", Logins: []string{"joe"}, AppPasswords: []nextcloudtest.AppPassword{{Token: appPassword, Login: "joe"}},
	}); err != nil {
		t.Fatal(err)
	}
	instances, admin := serve(t, b.cozy), serve(t, b.cozy.AdminHandler())
	b.source = serve(t, b.nextcloud) + "/nc"
	t.Cleanup(b.cozy.Close)
	t.Cleanup(b.client.CloseIdleConnections)
	b.settings = Config{
		ListenAddr: "127.0.0.1:0", OpsAddr: "127.0.0.1:0", LogLevel: "debug",
		Broker: queue.Broker{RabbitMQURL: config.Secret(broker)},
		Settings: stack.Settings{
			InstanceSuffixes: []string{"cozy.test"}, InstanceScheme: "http",
			StackAddress:  []string{".cozy.test=" + strings.TrimPrefix(instances, "http://")},
			StackAdminURL: admin, StackAdminUser: "admin", StackAdminPassword: adminPassword,
		},
		InstanceChecks: 10_000, LoginChecks: 10_000, CheckEvery: time.Second,
		AllowHTTP:     true,
		AllowedRanges: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		ShutdownTime:  10 * time.Second,
	}
	return b
}

func newInstance() string { return strings.ToLower(rand.Text()) + ".cozy.test" }

func serve(t *testing.T, handler http.Handler) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

// start runs the program until the test ends, or until the caller stops it.
func (b *bench) start(t *testing.T) (stop func()) {
	t.Helper()
	if err := b.settings.Validate(); err != nil {
		t.Fatal(err)
	}
	var err error
	if b.program, err = newProgram(t.Context(), b.settings, b.log); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- b.program.run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("run: %v", err)
			}
		case <-time.After(patience):
			t.Error("the program does not stop")
		}
	})
	t.Cleanup(stop)
	b.stop = stop
	return stop
}

// ready waits for the program to be ready.
func (b *bench) ready(t *testing.T) {
	t.Helper()
	eventually(t, "ready", func() bool { return b.ops(t, "/readyz") == http.StatusOK })
}

func (b *bench) ops(t *testing.T, path string) int {
	t.Helper()
	status, _ := b.get(t, "http://"+b.program.ops.Addr().String()+path)
	return status
}

func (b *bench) get(t *testing.T, url string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	return b.do(t, req)
}

// order is what the Settings page sends.
func (b *bench) order() map[string]string {
	return map[string]string{
		"nextcloud_url": b.source, "nextcloud_login": "joe", "nextcloud_app_password": appPassword,
		"target_dir": "/Nextcloud imported files",
	}
}

// ask sends a request for what is below the route, in the name of the settings
// page, and returns the answer with its body read.
func (b *bench) ask(t *testing.T, method, path, body string) (*http.Response, string) {
	t.Helper()
	target := "http://" + b.program.api.Addr().String() + "/remote/nextcloud/migration" + path
	req, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Host = b.instance
	req.Header.Set("Authorization", "Bearer "+b.cozy.Instance(b.instance).AppToken())
	req.Header.Set("Content-Type", "application/json")
	return b.send(t, req)
}

// post asks for a migration in an instance, in the name of its settings page.
func (b *bench) post(t *testing.T, instance string, order map[string]string) (int, string) {
	t.Helper()
	return b.postAs(t, instance, b.cozy.Instance(instance).AppToken(), order)
}

func (b *bench) postAs(t *testing.T, instance, token string, order map[string]string) (int, string) {
	t.Helper()
	body, err := json.Marshal(order)
	if err != nil {
		t.Fatal(err)
	}
	target := "http://" + b.program.api.Addr().String() + "/remote/nextcloud/migration"
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Host = instance
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return b.do(t, req)
}

// do returns status 0 when there is no answer.
func (b *bench) do(t *testing.T, req *http.Request) (int, string) {
	t.Helper()
	res, text := b.send(t, req)
	return res.StatusCode, text
}

// send holds each answer of the API against its description.
func (b *bench) send(t *testing.T, req *http.Request) (*http.Response, string) {
	t.Helper()
	res, err := b.client.Do(req)
	if err != nil {
		return &http.Response{}, err.Error()
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Errorf("read answer: %v", err)
	}
	if req.URL.Host == b.program.api.Addr().String() {
		if err := b.described.Check(context.WithoutCancel(t.Context()), req.Method, req.URL, res, text); err != nil {
			t.Error(err)
		}
	}
	return res, string(text)
}

// document gives the only tracking document of an instance.
func (b *bench) document(t *testing.T, instance string) map[string]any {
	t.Helper()
	docs := b.cozy.Instance(instance).Docs(contract.DoctypeMigrations)
	if len(docs) != 1 {
		t.Fatalf("%d tracking documents, want 1: %v", len(docs), docs)
	}
	return docs[0]
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline:
			t.Fatalf("not %s after %s", what, patience)
		case <-tick.C:
		}
	}
}

func missing(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// brokerURL is a broker that other tests use at the same time.
func brokerURL(t *testing.T) string {
	t.Helper()
	broker := os.Getenv("TEST_AMQP_URL")
	if broker == "" {
		missing(t, "TEST_AMQP_URL is not set: no broker to test against")
	}
	return broker
}

// ownVirtualHost is one without the exchange and without queues.
func ownVirtualHost(t *testing.T) string {
	t.Helper()
	u, err := url.Parse(brokerURL(t))
	if err != nil {
		t.Fatal("TEST_AMQP_URL is malformed")
	}
	name := "trigger-" + rand.Text()[:10]
	rabbitmqctl(t, "add_vhost", name)
	t.Cleanup(func() { rabbitmqctl(t, "delete_vhost", name) })
	user := "guest"
	if u.User != nil {
		user = u.User.Username()
	}
	rabbitmqctl(t, "set_permissions", "-p", name, user, ".*", ".*", ".*")
	u.Path = "/" + name
	return u.String()
}

func rabbitmqctl(t *testing.T, args ...string) {
	t.Helper()
	command := strings.Fields(os.Getenv("TEST_RABBITMQCTL"))
	if len(command) == 0 {
		missing(t, "TEST_RABBITMQCTL is not set: the test needs a virtual host of its own")
	}
	command = append(command, args...)
	// Not the test's context: what was made is deleted after it has ended.
	out, err := exec.CommandContext(context.Background(), command[0], command[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("rabbitmqctl %s: %v\n%s", args[0], err, out)
	}
}

// listen binds a queue like the workers' and returns its messages.
func listen(t *testing.T, broker string) <-chan amqp.Delivery {
	t.Helper()
	conn, err := amqp.Dial(broker)
	if err != nil {
		t.Fatalf("connect to TEST_AMQP_URL: %v", err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	ch, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	name := "trigger-test-" + rand.Text()
	_, queueErr := ch.QueueDeclare(name, false, true, true, false, nil)
	err = errors.Join(
		ch.ExchangeDeclare(contract.Exchange, amqp.ExchangeTopic, true, false, false, false, nil),
		queueErr,
		ch.QueueBind(name, contract.KeyRequested, contract.Exchange, false, nil),
		ch.QueueBind(name, contract.KeyCanceled, contract.Exchange, false, nil),
	)
	if err != nil {
		t.Fatal(err)
	}
	messages, err := ch.Consume(name, "", true, true, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	return messages
}

// next is the next message for an instance; the broker has those of other tests
// too.
func next(t *testing.T, messages <-chan amqp.Delivery, instance string) (amqp.Delivery, contract.Requested) {
	t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case message := <-messages:
			requested, err := contract.DecodeRequested(message.Body)
			if err == nil && requested.WorkplaceFQDN == instance {
				return message, requested
			}
		case <-deadline:
			t.Fatal("no message")
		}
	}
}
