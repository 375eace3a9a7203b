package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"example.org/ncm/test/tree"
	"example.org/ncm/test/tree/treetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

// process is the program run in this one.
type process struct {
	t      *testing.T
	sites  map[string]string // URL by name
	client *http.Client
	stop   context.CancelFunc
	ended  chan error
}

// start runs the program until its sites listen.
func start(t *testing.T, sites int, env map[string]string, args ...string) *process {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	logs, w := io.Pipe()
	p := &process{t: t, sites: map[string]string{}, stop: cancel, ended: make(chan error, 1), client: &http.Client{Transport: &http.Transport{}}}
	go func() {
		err := run(ctx, args, func(name string) string { return env[name] }, w)
		w.CloseWithError(errors.Join(err, io.EOF))
		p.ended <- err
	}()
	decoder := json.NewDecoder(logs)
	for len(p.sites) < sites {
		var line struct{ Msg, Site, Address string }
		if err := decoder.Decode(&line); err != nil {
			t.Fatalf("the program ended: %v", err)
		}
		if line.Msg == "listening" {
			p.sites[line.Site] = "http://" + line.Address
		}
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		_, _ = io.Copy(io.Discard, io.MultiReader(decoder.Buffered(), logs))
	}()
	t.Cleanup(func() {
		cancel()
		p.client.CloseIdleConnections()
		<-drained
	})
	return p
}

// wait is how the program ended after it was told to.
func (p *process) wait() error {
	p.t.Helper()
	p.stop()
	p.client.CloseIdleConnections()
	select {
	case err := <-p.ended:
		return err
	case <-time.After(patience):
		p.t.Fatal("the program does not end")
		return nil
	}
}

// ask sends a request and returns the answer's body; another status fails the
// test.
func (p *process) ask(want int, method, url string, body io.Reader, edit func(*http.Request)) []byte {
	p.t.Helper()
	request, err := http.NewRequestWithContext(p.t.Context(), method, url, body)
	if err != nil {
		p.t.Fatal(err)
	}
	if edit != nil {
		edit(request)
	}
	answer, err := p.client.Do(request)
	if err != nil {
		p.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != want {
		p.t.Fatalf("%s %s: %s %s %v, want %d", method, url, answer.Status, text, err, want)
	}
	return text
}

func login(user, password string) func(*http.Request) {
	return func(r *http.Request) {
		r.SetBasicAuth(user, password)
		r.Header.Set("Ocs-Apirequest", "true")
	}
}

func onFreePorts(t *testing.T, more ...string) []string {
	t.Helper()
	return append([]string{
		"-data", t.TempDir(), "-cozy", "127.0.0.1:0", "-admin", "127.0.0.1:0", "-nextcloud", "127.0.0.1:0,127.0.0.1:0/cloud",
		"-users", "alice:secret:app-1:app-2,bob:word", "-instances", "alice.localhost,bob.localhost=1k",
	}, more...)
}

func TestSimulatorServesBothSides(t *testing.T) {
	t.Parallel()
	p := start(t, 4, map[string]string{"SIM_ADMIN_PASSWORD": "admin-secret", "SIM_CLOUDERY_TOKEN": "cloudery-secret"}, onFreePorts(t)...)
	for name, url := range p.sites {
		if got := p.ask(http.StatusOK, http.MethodGet, url+"/healthz", nil, nil); string(got) != "ok\n" {
			t.Errorf("health of %s: %s", name, got)
		}
	}
	const user = "/ocs/v2.php/cloud/user?format=json"
	p.ask(http.StatusOK, http.MethodGet, p.sites["nextcloud"]+user, nil, login("alice", "app-2"))
	p.ask(http.StatusOK, http.MethodGet, p.sites["nextcloud-2"]+"/cloud"+user, nil, login("bob", "word"))
	p.ask(http.StatusUnauthorized, http.MethodGet, p.sites["nextcloud"]+user, nil, login("alice", "wrong"))

	source := seed(t)
	var packed bytes.Buffer
	if err := tree.Pack(t.Context(), &packed, source); err != nil {
		t.Fatal(err)
	}
	p.ask(http.StatusOK, http.MethodPut, p.sites["nextcloud"]+"/_sim/files?user=alice", &packed, nil)
	p.ask(http.StatusNotFound, http.MethodPut, p.sites["nextcloud"]+"/_sim/files?user=nobody", nil, nil)
	equal(t, source, tree.Nextcloud(t.Context(), p.client, p.sites["nextcloud"], "alice", "/"))

	token := p.ask(http.StatusOK, http.MethodPost, p.sites["admin"]+"/instances/token?Domain=alice.localhost&Audience=app&Subject=settings",
		nil, login("admin", "admin-secret"))
	to := treetest.Target{Addr: strings.TrimPrefix(p.sites["cozy"], "http://"), Host: "alice.localhost", Token: string(token)}
	if err := treetest.Upload(t.Context(), to, source, "Nextcloud"); err != nil {
		t.Fatal(err)
	}
	equal(t, source, tree.Cozy(t.Context(), p.client, p.sites["cozy"], "alice.localhost", "/Nextcloud"))

	p.ask(http.StatusOK, http.MethodPost, p.sites["admin"]+"/api/public/instances/bob.localhost/token", strings.NewReader(`{"audience":"app"}`),
		func(r *http.Request) { r.Header.Set("Authorization", "Bearer cloudery-secret") })
	p.ask(http.StatusNoContent, http.MethodDelete, p.sites["admin"]+"/_sim/stats", nil, nil)
	if err := p.wait(); err != nil {
		t.Errorf("the program ended with %v", err)
	}
}

func seed(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "files")
	if _, err := tree.Seed(t.Context(), dir, tree.Options{Big: 2_000_000}); err != nil {
		t.Fatal(err)
	}
	return dir
}

func equal(t *testing.T, source string, target func(func(tree.Entry, error) bool)) {
	t.Helper()
	report, err := tree.Compare(tree.Disk(t.Context(), source), target)
	if err != nil {
		t.Fatal(err)
	}
	if report.Differences() > 0 || report.FilesCompared < 200 {
		var table strings.Builder
		_ = report.WriteTable(&table)
		t.Errorf("the trees differ:\n%s", &table)
	}
}

func TestSimulatorKeepsQuotasAndContents(t *testing.T) {
	t.Parallel()
	args := onFreePorts(t, "-keep-contents", "-admin-password", "pw")
	p := start(t, 4, nil, args...)
	token := string(p.ask(http.StatusOK, http.MethodPost, p.sites["admin"]+"/instances/token?Domain=bob.localhost&Audience=app&Subject=settings", nil, login("admin", "pw")))
	as := func(r *http.Request) {
		r.Host = "bob.localhost"
		r.Header.Set("Authorization", "Bearer "+token)
	}
	const upload = "/files/io.cozy.files.root-dir?Type=file&Name="
	p.ask(http.StatusCreated, http.MethodPost, p.sites["cozy"]+upload+"small", strings.NewReader("hello"), as)
	p.ask(http.StatusRequestEntityTooLarge, http.MethodPost, p.sites["cozy"]+upload+"large", bytes.NewReader(make([]byte, 1001)), as)
	if got := p.ask(http.StatusOK, http.MethodGet, p.sites["cozy"]+"/files/download?Path=/small", nil, as); string(got) != "hello" {
		t.Errorf("downloaded %q", got)
	}
}

func TestSimulatorEndsWhileRequestsHang(t *testing.T) {
	t.Parallel()
	p := start(t, 4, nil, onFreePorts(t, "-shutdown-grace", "10ms")...)
	p.ask(http.StatusNoContent, http.MethodPost, p.sites["nextcloud"]+"/_sim/faults", strings.NewReader(`{"hang":true,"times":-1}`), nil)
	hanging := make(chan struct{})
	go func() {
		defer close(hanging)
		request, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodGet, p.sites["nextcloud"]+"/status.php", http.NoBody)
		if err == nil {
			var answer *http.Response
			if answer, err = p.client.Do(request); err == nil {
				err = answer.Body.Close()
			}
		}
		if err != nil && !errors.Is(err, io.EOF) {
			t.Logf("the hanging request: %v", err)
		}
	}()
	for { // until the request is there
		var stats struct {
			InFlight int64 `json:"in_flight"`
		}
		if err := json.Unmarshal(p.ask(http.StatusOK, http.MethodGet, p.sites["nextcloud"]+"/_sim/stats", nil, nil), &stats); err != nil {
			t.Fatal(err)
		}
		if stats.InFlight > 0 {
			break
		}
	}
	if err := p.wait(); err != nil {
		t.Errorf("the program ended with %v", err)
	}
	<-hanging
}

func TestSimulatorRefusesBadSettings(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		env  map[string]string
		want string
	}{
		"argument":    {args: []string{"serve"}, want: `unknown argument "serve"`},
		"user":        {args: []string{"-users", "secret-alone"}, want: "read user 1: want id:password"},
		"user id":     {args: []string{"-users", "../x:y"}, want: "cannot be a user id"},
		"quota":       {args: []string{"-instances", "a.localhost=many"}, want: "read quota of a.localhost"},
		"environment": {env: map[string]string{"SIM_TOKEN_TTL": "soon"}, want: "SIM_TOKEN_TTL"},
		"address":     {args: []string{"-cozy", "127.0.0.1:0", "-admin", "nowhere:x"}, want: "listen for admin"},
		"level":       {args: []string{"-log-level", "loud"}, want: "parse log level"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"-data", t.TempDir()}, c.args...)
			err := run(t.Context(), args, func(name string) string { return c.env[name] }, io.Discard)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("error %v shows a password", err)
			}
		})
	}
}
