package main

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/pkg/cozytest"
	"example.org/ncm/pkg/dnstest"
	"example.org/ncm/pkg/nextcloudtest"
	"example.org/ncm/pkg/stack"
	"example.org/ncm/services/migrator/internal/postgres"
	"example.org/ncm/services/migrator/internal/postgrestest"
	"example.org/ncm/services/migrator/internal/transfer"
	"example.org/ncm/services/migrator/internal/worker"
)

// names are the host names that the program under test can resolve.
var names *dnstest.Server //nolint:gochecknoglobals // as the resolver of the process

func TestMain(m *testing.M) {
	var err error
	if names, err = dnstest.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "migrator:", err)
		os.Exit(1)
	}
	net.DefaultResolver = names.Resolver()
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent())
}

const (
	host        = "alice.cozy.test"
	user        = "alice"
	appPassword = "planted-app-password"
)

// world is one Nextcloud, one Cozy, a ledger, and the settings that reach them.
type world struct {
	nextcloud *nextcloudtest.Server
	cozy      *cozytest.Stack
	instance  *cozytest.Instance
	ledger    *postgres.Ledger
	cfg       *RunConfig
	account   string
	logs      *logBuffer
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldOn(t, postgrestest.Ledger(t))
}

func newWorldOn(t *testing.T, ledger *postgres.Ledger) *world {
	t.Helper()
	w := &world{logs: &logBuffer{}, ledger: ledger}
	w.nextcloud = nextcloudtest.New(nextcloudtest.Config{Dir: t.TempDir(), SubPath: "/cloud"})
	if err := w.nextcloud.AddUser(nextcloudtest.User{
		ID: user, Password: "login-password", AppPasswords: []nextcloudtest.AppPassword{{Token: appPassword}},
	}); err != nil {
		t.Fatal(err)
	}
	source := httptest.NewServer(w.nextcloud)
	t.Cleanup(source.Close)
	w.cozy = cozytest.New(cozytest.Config{Dir: t.TempDir(), AdminUser: "admin", AdminPassword: "planted-admin-password"})
	w.instance = w.cozy.AddInstance(host, cozytest.InstanceOptions{})
	target, admin := httptest.NewServer(w.cozy), httptest.NewServer(w.cozy.AdminHandler())
	t.Cleanup(target.Close)
	t.Cleanup(admin.Close)
	w.account, _, _ = w.instance.PutDoc(contract.DoctypeAccounts, "", contract.Account{
		AccountType: contract.AccountTypeNextcloud, WebDAVUserID: user,
		Auth: contract.AccountAuth{URL: source.URL + "/cloud/", Login: user, Password: appPassword},
	})
	w.cfg = &RunConfig{SidesConfig: SidesConfig{
		Settings: stack.Settings{
			InstanceSuffixes: []string{".cozy.test"}, InstanceScheme: "http",
			StackAddress:  []string{".cozy.test=" + target.Listener.Addr().String()},
			StackAdminURL: admin.URL, StackAdminUser: "admin", StackAdminPassword: "planted-admin-password",
		},
		Report:    string(worker.ReportNever),
		Transfers: 8, Listers: 2, Requests: 16, AllowHTTP: true, AllowedRanges: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
	}}
	return w
}

// request admits a migration as its message would, and gives its id.
func (w *world) request(t *testing.T, sourcePath string) string {
	t.Helper()
	id, _, err := w.instance.PutDoc(contract.DoctypeMigrations, "", contract.NewTracking(sourcePath, "/Nextcloud imported files"))
	if err != nil {
		t.Fatal(err)
	}
	body := fmt.Sprintf(`{"migrationId":%q,"workplaceFqdn":%q,"accountId":%q,"sourcePath":%q,"timestamp":1}`, id, host, w.account, sourcePath)
	ends, err := openSides(&w.cfg.SidesConfig, unobserved, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	admission := worker.Admission{Ledger: w.ledger, Host: ends.hosts.Check, Sides: ends, Logger: w.logger()}
	if err := admission.Requested(t.Context(), []byte(body)); err != nil {
		t.Fatal(err)
	}
	return id
}

func (w *world) logger() *slog.Logger {
	return slog.New(slog.NewJSONHandler(w.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// start runs a worker until the returned function is called, or the test ends.
func (w *world) start(t *testing.T) (stop func()) {
	t.Helper()
	ends, err := openSides(&w.cfg.SidesConfig, unobserved, w.logger())
	if err != nil {
		t.Fatal(err)
	}
	engine := worker.New(worker.Config{
		Owner: owner(), Ledger: w.ledger, Sides: ends, Logger: w.logger(),
		Slice:   func(l transfer.Lease) transfer.Ledger { return w.ledger.Slice(l) },
		Metrics: worker.NewMetrics(prometheus.NewRegistry()),
		Slots:   2, Transfers: w.cfg.Transfers, Listers: w.cfg.Listers, Attempts: 5,
		OnChanged: transfer.OnChanged(w.cfg.OnChanged),
		Report:    worker.Report(w.cfg.Report), Remarks: w.cfg.remarks(),
		LeaseTTL: 3 * time.Second, Poll: 50 * time.Millisecond,
	})
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := engine.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	running.Go(func() {
		_ = w.ledger.Listen(ctx, postgres.Listener{Work: engine.Wake, Canceled: engine.Cancel})
	})
	stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	t.Cleanup(stop)
	return stop
}

// tracking reads the document as the Settings page sees it.
func (w *world) tracking(t *testing.T, id string) map[string]any {
	t.Helper()
	doc, ok := w.instance.Doc(contract.DoctypeMigrations, id)
	if !ok {
		t.Fatalf("tracking document %s is gone", id)
	}
	return doc
}

// awaitStatus waits for the tracking document to say a status.
func (w *world) awaitStatus(t *testing.T, id, want string) map[string]any {
	t.Helper()
	await(t, "status "+want, func() bool { return w.tracking(t, id)["status"] == want })
	return w.tracking(t, id)
}

func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline.C:
			t.Fatalf("no %s within 30 s", what)
		case <-tick.C:
		}
	}
}

// seed writes files below the user's root, with a date of their own each.
func (w *world) seed(t *testing.T, files map[string]string) {
	t.Helper()
	root, day := w.nextcloud.Root(user), 0
	for name, content := range files {
		p := filepath.Join(root, filepath.FromSlash(name))
		if strings.HasSuffix(name, "/") {
			must(t, os.MkdirAll(p, 0o755))
			continue
		}
		must(t, os.MkdirAll(filepath.Dir(p), 0o755))
		must(t, os.WriteFile(p, []byte(content), 0o644))
		day++
		at := time.Date(1999, 1, day, 3, 4, 5, 0, time.UTC)
		must(t, os.Chtimes(p, at, at))
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// want lists the source's disk in the words of a comparison.
func (w *world) want(t *testing.T) map[string]string {
	t.Helper()
	root := w.nextcloud.Root(user)
	tree := map[string]string{}
	must(t, filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == root {
			return err
		}
		rel, _ := filepath.Rel(root, p)
		if d.IsDir() {
			tree[rel] = "folder"
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		content, err := os.ReadFile(p)
		sum := md5.Sum(content)
		tree[rel] = describe(info.Size(), hex.EncodeToString(sum[:]), info.ModTime())
		return err
	}))
	return tree
}

func describe(size int64, md5 string, at time.Time) string {
	return fmt.Sprintf("%d bytes, md5 %s, of %s", size, md5, at.UTC().Truncate(time.Second).Format(time.RFC3339))
}

// got lists the instance below the target folder in the same words.
func (w *world) got(t *testing.T) map[string]string {
	t.Helper()
	tree := map[string]string{}
	for _, e := range w.instance.Entries() {
		rel, below := strings.CutPrefix(e.Path, "/Nextcloud imported files/")
		switch {
		case e.Path == "/.cozy_trash":
		case e.Trashed:
			t.Errorf("%s is in the trash", e.Path)
		case !below:
		case e.Dir:
			tree[rel] = "folder"
		default:
			tree[rel] = describe(e.Size, e.MD5, e.UpdatedAt)
		}
	}
	return tree
}

// logBuffer collects log lines from many goroutines.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func tree(n int) map[string]string {
	files := map[string]string{"empty.bin": "", "hollow/": "", "deep/er/hollow/": ""}
	for i := range n {
		files[fmt.Sprintf("folder %d/sub+%d/file #%d?&%%é😀.txt", i%5, i%3, i)] = strings.Repeat(fmt.Sprint("line ", i, "\n"), i%50)
	}
	return files
}

func TestAMigrationCopiesATreeAndSaysSo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.seed(t, tree(300))
	id := w.request(t, "/")
	w.start(t)
	doc := w.awaitStatus(t, id, "completed")
	if diff := cmp.Diff(w.want(t), w.got(t)); diff != "" {
		t.Errorf("target differs (-source +target):\n%s", diff)
	}
	progress, _ := doc["progress"].(map[string]any)
	if fmt.Sprintf("%v of %v", progress["files_imported"], progress["files_total"]) != "301 of 301" || progress["bytes_imported"] != progress["bytes_total"] {
		t.Errorf("progress %v", progress)
	}
	if errs, _ := doc["errors"].([]any); len(errs) != 0 || doc["started_at"] == nil || doc["finished_at"] == nil {
		t.Errorf("tracking document %v", doc)
	}
	for _, secret := range []string{appPassword, "planted-admin-password", "login-password", "Bearer"} {
		if strings.Contains(w.logs.String(), secret) {
			t.Errorf("%q is in the logs", secret)
		}
	}
}

func TestAStoppedWorkerHandsOverAtOnceAndNothingIsSentTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.seed(t, tree(300))
	id := w.request(t, "/")
	w.cozy.Inject(cozytest.Fault{Method: "POST", PathPrefix: "/files/", QueryContains: "Type=file", Skip: 50, Delay: 200 * time.Millisecond})
	stop := w.start(t)
	await(t, "first files", func() bool { s, _, _ := w.ledger.Snapshot(t.Context(), id); return s.FilesDone > 20 })
	stop()
	s, _, err := w.ledger.Snapshot(t.Context(), id)
	if err != nil || s.FilesDone == s.FilesTotal {
		t.Fatalf("the first worker did all of it: %+v, %v", s, err)
	}
	w.cozy.ClearFaults("")
	w.start(t)
	w.awaitStatus(t, id, "completed")
	if diff := cmp.Diff(w.want(t), w.got(t)); diff != "" {
		t.Errorf("target differs (-source +target):\n%s", diff)
	}
}

func TestACancellationEndsARunningMigrationWithinASecond(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.seed(t, tree(300))
	id := w.request(t, "/")
	w.cozy.Inject(cozytest.Fault{Method: "POST", PathPrefix: "/files/", QueryContains: "Type=file", Delay: 50 * time.Millisecond})
	w.start(t)
	await(t, "first files", func() bool { s, _, _ := w.ledger.Snapshot(t.Context(), id); return s.FilesDone > 5 })
	asked := time.Now()
	if _, err := w.ledger.Cancel(t.Context(), id, host); err != nil {
		t.Fatal(err)
	}
	doc := w.awaitStatus(t, id, "canceled")
	t.Logf("canceled after %v", time.Since(asked))
	files := 0
	for _, what := range w.got(t) {
		if what != "folder" {
			files++
		}
	}
	if progress, _ := doc["progress"].(map[string]any); fmt.Sprint(progress["files_imported"]) != fmt.Sprint(files) || doc["canceled_at"] == nil {
		t.Errorf("%v counted, %d files are there; canceled at %v", progress["files_imported"], files, doc["canceled_at"])
	}
}

func TestARefusedLoginFailsTheMigrationWithAReason(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.seed(t, tree(10))
	w.nextcloud.Revoke(appPassword, 0)
	id := w.request(t, "/")
	w.start(t)
	doc := w.awaitStatus(t, id, "failed")
	if reason, _ := doc["failure_reason"].(string); !strings.Contains(reason, "app password") {
		t.Errorf("failure reason %q", reason)
	}
}

func TestAMissingSourcePathIsAClearFailure(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.request(t, "/no such folder")
	w.start(t)
	doc := w.awaitStatus(t, id, "failed")
	if reason, _ := doc["failure_reason"].(string); !strings.Contains(reason, "does not exist") {
		t.Errorf("failure reason %q", reason)
	}
}

func TestAnExpiredTokenIsReplacedOnTheWay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.seed(t, tree(200))
	id := w.request(t, "/")
	w.cozy.Inject(cozytest.Fault{Method: "POST", PathPrefix: "/files/", QueryContains: "Type=file", Delay: 5 * time.Millisecond})
	w.start(t)
	await(t, "first files", func() bool { s, _, _ := w.ledger.Snapshot(t.Context(), id); return s.FilesDone > 20 })
	w.instance.ExpireTokens()
	doc := w.awaitStatus(t, id, "completed")
	if diff := cmp.Diff(w.want(t), w.got(t)); diff != "" {
		t.Errorf("target differs (-source +target):\n%s", diff)
	}
	if errs, _ := doc["errors"].([]any); len(errs) != 0 {
		t.Errorf("errors %v", errs)
	}
}

// done is how many files a migration has copied, as the ledger knows.
func (w *world) done(t *testing.T, id string) int64 {
	t.Helper()
	s, _, err := w.ledger.Snapshot(t.Context(), id)
	must(t, err)
	return s.FilesDone
}

// content reads a file of the instance.
func (w *world) content(t *testing.T, path string) string {
	t.Helper()
	f, err := w.instance.Open(path)
	must(t, err)
	defer f.Close()
	content, err := io.ReadAll(f)
	must(t, err)
	return string(content)
}
