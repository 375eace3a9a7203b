package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/pkg/cozytest"
	"example.org/ncm/pkg/nextcloudtest"
	"example.org/ncm/test/tree"
	"example.org/ncm/test/tree/treetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const targetDir = "/Nextcloud imported files"

// scene is what compose brings up, in this process: the simulators, and a
// trigger that copies by itself.
type scene struct {
	t                        *testing.T
	stack                    *cozytest.Stack
	cloud                    *nextcloudtest.Server
	cozy, nextcloud, trigger *httptest.Server
	copies                   sync.WaitGroup

	// refuse answers in place of the trigger; false lets it go on.
	refuse func(w http.ResponseWriter, r *http.Request) bool
	// spoil changes the instance and the document before they are final.
	spoil func(inst *cozytest.Instance, doc *contract.Tracking)
}

func newScene(t *testing.T) *scene {
	t.Helper()
	s := &scene{t: t, stack: cozytest.New(cozytest.Config{}), cloud: nextcloudtest.New(nextcloudtest.Config{Dir: t.TempDir()})}
	s.cozy = s.serve(withHealth(s.stack.ServeHTTP))
	s.nextcloud = s.serve(withHealth(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPut {
			s.cloud.ServeHTTP(w, r)
		} else if _, err := tree.Unpack(r.Context(), r.Body, s.cloud.Root(r.URL.Query().Get("user"))); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	}))
	s.trigger = s.serve(s.answer)
	t.Cleanup(s.copies.Wait)
	return s
}

func (s *scene) serve(h http.HandlerFunc) *httptest.Server {
	server := httptest.NewServer(h)
	s.t.Cleanup(server.Close)
	return server
}

func withHealth(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/healthz" {
			next(w, r)
		}
	}
}

// answer is the trigger.
func (s *scene) answer(w http.ResponseWriter, r *http.Request) {
	if s.refuse != nil && s.refuse(w, r) {
		return
	}
	var order map[string]string
	if err := json.NewDecoder(r.Body).Decode(&order); err != nil || r.URL.Path != "/remote/nextcloud/migration" ||
		order["nextcloud_url"] != "http://nextcloud.test/" || order["nextcloud_login"] != "alice" ||
		order["nextcloud_app_password"] == "" || order["target_dir"] != targetDir {
		s.t.Errorf("%s %s: order %v, %v", r.Method, r.URL, order, err)
	}
	inst := s.stack.Instance(r.Host)
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if inst == nil || !ok {
		http.Error(w, "no instance or no token", http.StatusNotFound)
		return
	}
	doc := contract.NewTracking("/", targetDir)
	id := s.write(inst, "", doc)
	ctx := context.WithoutCancel(r.Context()) // copies are waited for
	s.copies.Go(func() { s.migrate(ctx, inst, token, id, doc) })
	w.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(w, `{"data":{"type":"io.cozy.nextcloud.migrations","id":"`+id+`"}}`)
}

func (s *scene) write(inst *cozytest.Instance, id string, doc contract.Tracking) string {
	id, _, err := inst.PutDoc(contract.DoctypeMigrations, id, doc)
	if err != nil {
		s.t.Errorf("write the document: %v", err)
	}
	return id
}

func (s *scene) migrate(ctx context.Context, inst *cozytest.Instance, token, id string, doc contract.Tracking) {
	to := treetest.Target{Addr: strings.TrimPrefix(s.cozy.URL, "http://"), Host: inst.Host(), Token: token}
	doc.Status = contract.StatusRunning
	s.write(inst, id, doc)
	if err := treetest.Upload(ctx, to, s.cloud.Root("alice"), strings.Trim(targetDir, "/")); err != nil {
		s.t.Errorf("migrate: %v", err)
	}
	for e, err := range tree.Disk(ctx, s.cloud.Root("alice")) {
		if err == nil && !e.Folder {
			doc.Progress.FilesTotal++
			doc.Progress.BytesTotal += e.Size
		}
	}
	doc.Progress.FilesImported, doc.Progress.BytesImported = doc.Progress.FilesTotal, doc.Progress.BytesTotal
	now := time.Now()
	doc.Status, doc.FinishedAt = contract.StatusCompleted, &now
	if s.spoil != nil {
		s.spoil(inst, &doc)
	}
	s.write(inst, id, doc)
}

// config is that of a demo of the scene with a tree that is smaller than small.
func (s *scene) config(more ...string) *config {
	s.t.Helper()
	args := append([]string{
		"-cozy", s.cozy.URL, "-nextcloud", s.nextcloud.URL, "-trigger", s.trigger.URL, "-nextcloud-url", "http://nextcloud.test/",
		"-dir", s.t.TempDir(), "-small", "-big", "2M", "-poll", "20ms", "-wait", "10s",
	}, more...)
	cfg, err := parse(args, func(string) string { return "" }, io.Discard)
	if err != nil {
		s.t.Fatal(err)
	}
	cfg.files = 20
	return cfg
}

// play runs the demo against the scene.
func (s *scene) play(ctx context.Context, more ...string) (code int, stdout, stderr string) {
	s.t.Helper()
	var out, fault strings.Builder
	code = play(ctx, s.config(more...), &out, &fault)
	return code, out.String(), fault.String()
}

func wantIn(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in:\n%s", part, text)
		}
	}
}

func TestDemoEndsWellWhenAllIsEqual(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	code, out, fault := s.play(t.Context())
	if code != 0 {
		t.Fatalf("exit status %d: %s\n%s", code, fault, out)
	}
	wantIn(t, out, "20 of Go's source", "Settings page of alice.localhost", "100%  completed:", "MD5", "files/s",
		s.cozy.URL+"/_sim/tree?host=alice.localhost", "Every file and folder of the source is in the target", "make demo-down")
}

func TestDemoTakesANewInstanceEachTime(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.stack.AddInstance("alice.localhost", cozytest.InstanceOptions{})
	if code, out, fault := s.play(t.Context()); code != 0 {
		t.Errorf("exit status %d: %s\n%s", code, fault, out)
	}
	if s.stack.Instance("alice-2.localhost") == nil {
		t.Error("no second instance")
	}
}

func TestDemoFailsWhenAnythingDiffers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(inst *cozytest.Instance, doc *contract.Tracking)
		want  []string
	}{
		"target": {func(inst *cozytest.Instance, _ *contract.Tracking) {
			remove(t, inst, targetDir+"/names/%2F")
		}, []string{`missing        "names/%2F"`, "differences above"}},
		"sums": {func(_ *cozytest.Instance, doc *contract.Tracking) {
			doc.Progress.FilesImported--
		}, []string{"document's files_imported is", "differences above"}},
		"errors": {func(_ *cozytest.Instance, doc *contract.Tracking) {
			doc.Errors = []contract.Failure{{Path: "/x", Message: "did not work"}}
		}, []string{`failed "/x": did not work`, "lists 1 entries"}},
		"skipped": {func(_ *cozytest.Instance, doc *contract.Tracking) {
			doc.Skipped = []contract.Skip{{Path: "/y", Reason: "locked"}}
		}, []string{`skipped "/y": locked`}},
		"status": {func(_ *cozytest.Instance, doc *contract.Tracking) {
			doc.Status, doc.FailureReason = contract.StatusFailed, "the quota is full"
		}, []string{"ended as failed: the quota is full", "logs migrator-1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			s.spoil = c.spoil
			code, out, fault := s.play(t.Context())
			if code != exitFailed {
				t.Errorf("exit status %d", code)
			}
			wantIn(t, out+fault, c.want...)
			wantIn(t, fault, "make demo-down")
		})
	}
}

// remove deletes a file of an instance as its owner would.
func remove(t *testing.T, inst *cozytest.Instance, path string) {
	t.Helper()
	e, ok := inst.Lookup(path)
	if !ok {
		t.Errorf("no %q", path)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodDelete, "/files/"+e.ID, http.NoBody)
	r.Header.Set("Authorization", "Bearer "+inst.AppToken())
	w := httptest.NewRecorder()
	if inst.ServeHTTP(w, r); w.Code >= http.StatusMultipleChoices {
		t.Errorf("remove %q: %d %s", path, w.Code, w.Body)
	}
}

func TestDemoWaitsForTheBroker(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	calls := 0
	// The login is checked at each try, which the trigger allows only so often.
	refusals := []int{http.StatusServiceUnavailable, http.StatusTooManyRequests}
	s.refuse = func(w http.ResponseWriter, _ *http.Request) bool {
		calls++
		if calls > len(refusals) {
			return false
		}
		w.WriteHeader(refusals[calls-1])
		return true
	}
	code, out, fault := s.play(t.Context())
	if code != 0 || calls != 3 {
		t.Errorf("exit status %d after %d calls: %s", code, calls, fault)
	}
	wantIn(t, out, "Waiting up to 10s for the trigger")
}

func TestRefusalsTellWhatToDo(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]string{
		http.StatusNotFound:   "INSTANCE_SUFFIXES",
		http.StatusConflict:   "earlier migration",
		http.StatusBadGateway: "ALLOWED_PRIVATE_RANGES",
		http.StatusForbidden:  "logs trigger",
	} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			s.refuse = func(w http.ResponseWriter, _ *http.Request) bool {
				w.WriteHeader(status)
				_, _ = io.WriteString(w, `{"errors":[{"detail":"the reason"}]}`)
				return true
			}
			_, err := newSides(s.config(), io.Discard).start(t.Context(), owner{instance: "alice.localhost", token: "secret-token"}, "secret-password")
			if err == nil {
				t.Fatal("no error")
			}
			wantIn(t, err.Error(), "the reason", want)
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("error %q shows a secret", err)
			}
		})
	}
}

func TestDemoTellsThatNothingRuns(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.nextcloud.Close()
	code, _, fault := s.play(t.Context(), "-wait", "50ms")
	if code != exitFailed {
		t.Errorf("exit status %d", code)
	}
	wantIn(t, fault, "simulator does not answer", "make demo")
}

func TestDemoStopsAtCtrlC(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	ctx, interrupt := context.WithCancel(t.Context())
	s.refuse = func(_ http.ResponseWriter, r *http.Request) bool {
		_, _ = io.Copy(io.Discard, r.Body) // until then the server does not see the caller leave
		interrupt()
		<-r.Context().Done()
		return true
	}
	code, _, fault := s.play(ctx)
	if code != exitInterrupted {
		t.Errorf("exit status %d", code)
	}
	wantIn(t, fault, "interrupted", "make demo-down")
}

func TestDemoStopsAtCtrlCWhileItWatches(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	ctx, interrupt := context.WithCancel(t.Context())
	s.spoil = func(_ *cozytest.Instance, doc *contract.Tracking) {
		doc.Status = contract.StatusRunning
		interrupt()
	}
	dir := t.TempDir()
	code, out, fault := s.play(ctx, "-dir", dir)
	if code != exitInterrupted {
		t.Errorf("exit status %d: %s", code, fault)
	}
	if !strings.HasSuffix(out, "\n") || strings.Contains(out, "Comparing") {
		t.Errorf("output ends in %q", out[max(0, len(out)-100):])
	}
	wantIn(t, fault, "interrupted", "make demo-down")
	for e, err := range tree.Disk(t.Context(), dir) {
		t.Errorf("left %q, %v", e.Path, err)
	}
}

func TestDemoGivesUpInTime(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.spoil = func(_ *cozytest.Instance, doc *contract.Tracking) { doc.Status = contract.StatusRunning }
	code, _, fault := s.play(t.Context(), "-timeout", "1s")
	if code != exitFailed {
		t.Errorf("exit status %d", code)
	}
	wantIn(t, fault, "did not end in time", "-timeout")
}

func TestDemoLeavesNothingOnDisk(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	dir := t.TempDir()
	if code, _, fault := s.play(t.Context(), "-dir", dir); code != 0 {
		t.Fatalf("exit status %d: %s", code, fault)
	}
	for e, err := range tree.Disk(t.Context(), dir) {
		t.Errorf("left %q, %v", e.Path, err)
	}
}

func TestPortsComeFromTheSettingsOfCompose(t *testing.T) {
	t.Parallel()
	env := map[string]string{"TRIGGER_PORT": "1", "COZY_PORT": "3", "DEMO_BIG": "7k", "DEMO_NEXTCLOUD": "http://x"}
	c, err := parse(nil, func(name string) string { return env[name] }, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if c.trigger != "http://127.0.0.1:1" || c.cozy != "http://127.0.0.1:3" || c.nextcloud != "http://x" || c.big != 7000 {
		t.Errorf("settings %+v", c)
	}
}
