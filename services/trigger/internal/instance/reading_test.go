package instance_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/pkg/cozy"
	"example.org/ncm/pkg/cozytest"
	"example.org/ncm/pkg/egress"
	"example.org/ncm/services/trigger/internal/instance"
	"example.org/ncm/services/trigger/internal/request"
)

func TestLoginComesWithItsPassword(t *testing.T) {
	t.Parallel()
	store, _, _ := setup(t)
	if _, err := store.Login(t.Context(), alice); !errors.Is(err, request.ErrNotFound) {
		t.Errorf("without an account: %v", err)
	}
	want := account("joe", "pw")
	if _, err := store.Save(t.Context(), alice, want); err != nil {
		t.Fatal(err)
	}
	got, err := store.Login(t.Context(), alice)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("account (-want +got):\n%s, error %v", diff, err)
	}
}

func TestDocumentsAreReadWholeAndListedWithoutWhatIsLong(t *testing.T) {
	t.Parallel()
	store, _, inst := setup(t)
	if list, err := store.List(t.Context(), alice); err != nil || len(list) != 0 {
		t.Errorf("a new instance: %v, %v", list, err)
	}
	var last string
	for _, status := range []string{"pending", "running", "completed", "failed", "canceled"} {
		id, _, err := inst.PutDoc(contract.DoctypeMigrations, "", map[string]any{
			"status": status, "source_path": "/" + status, "target_dir": "/N", "source_url": "u", "source_user_id": "joe",
			"progress": map[string]int{"files_total": 3}, "errors": []map[string]string{{"path": "/x", "message": "m", "at": "2026-01-01T00:00:00Z"}},
			"skipped": []any{}, "started_at": nil, "finished_at": nil, "errors_truncated_count": 7,
		})
		if err != nil {
			t.Fatal(err)
		}
		last = id
	}
	list, err := store.List(t.Context(), alice)
	if err != nil || len(list) != 5 {
		t.Fatalf("%d documents, %v", len(list), err)
	}
	for _, d := range list {
		if len(d.Errors) != 0 || d.Progress.FilesTotal != 3 || d.ErrorsTruncatedCount != 7 || d.SourcePath != "/"+string(d.Status) {
			t.Errorf("document %+v", d)
		}
	}
	d, err := store.Get(t.Context(), alice, last)
	if err != nil || len(d.Errors) != 1 || d.ID != last || d.Rev == "" || d.Source != (request.Source{URL: "u", UserID: "joe"}) {
		t.Errorf("document %+v, %v", d, err)
	}
	for _, id := range []string{"nope", "_all_docs", "..", ""} {
		if _, err := store.Get(t.Context(), alice, id); !errors.Is(err, request.ErrNotFound) {
			t.Errorf("%q: %v", id, err)
		}
	}
}

func TestTargetsTellFoldersFromFilesAndEmptyOnes(t *testing.T) {
	t.Parallel()
	store, _, inst := setup(t)
	inst.SetQuota(1000)
	files := filesOf(t, inst)
	dir, err := files.MakeDir(t.Context(), cozy.RootDirID, "full", cozy.Times{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := files.MakeDir(t.Context(), dir.ID, "empty", cozy.Times{}); err != nil {
		t.Fatal(err)
	}
	if _, err := files.Upload(t.Context(), cozy.Upload{DirID: dir.ID, Name: "f", Size: 5, Body: strings.NewReader("12345")}); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]request.Folder{
		"/full":       {Exists: true},
		"/full/empty": {Exists: true, Empty: true},
		"/full/f":     {Exists: true, File: true},
		"/nowhere":    {Empty: true},
	} {
		if got, err := store.Folder(t.Context(), alice, path); got != want || err != nil {
			t.Errorf("%s: %+v, %v; want %+v", path, got, err, want)
		}
	}
	if got, err := store.Space(t.Context(), alice); got != (request.Space{Used: 5, Quota: 1000}) || err != nil {
		t.Errorf("space %+v, %v", got, err)
	}
}

// filesOf is a client that may do everything in the instance.
func filesOf(t *testing.T, inst *cozytest.Instance) *cozy.Instance {
	t.Helper()
	return stackOf(t, inst, inst.AppToken()).Instance(alice)
}

func stackOf(t *testing.T, inst *cozytest.Instance, token string) *cozy.Stack {
	t.Helper()
	server := httptest.NewServer(inst)
	transport := egress.NewTransport(egress.Options{
		AllowPrivate: true,
		Addresses:    egress.AddressMap{".cozy.example": strings.TrimPrefix(server.URL, "http://")},
	})
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		server.Close()
	})
	return cozy.New(cozy.Config{HTTP: &http.Client{Transport: transport}, Scheme: "http", Tokens: cozy.Static(token)})
}

// useAll does whatever the trigger does in an instance.
func useAll(t *testing.T, store *instance.Store) error {
	t.Helper()
	ctx := t.Context()
	_, saved := store.Save(ctx, alice, account("joe", "pw"))
	_, again := store.Save(ctx, alice, account("joe", "pw2"))
	_, login := store.Login(ctx, alice)
	created, makes := store.Create(ctx, alice, request.Document{Tracking: contract.NewTracking("/", "/N")})
	_, changes := store.Change(ctx, alice, created.ID, func(d *request.Document) error {
		d.Status = contract.StatusFailed
		return nil
	})
	_, gets := store.Get(ctx, alice, created.ID)
	_, active := store.Active(ctx, alice)
	_, lists := store.List(ctx, alice)
	_, space := store.Space(ctx, alice)
	_, folder := store.Folder(ctx, alice, "/.cozy_trash")
	return errors.Join(saved, again, login, makes, changes, gets, active, lists, space, folder)
}

func TestTheScopeIsEnoughAndAllOfItIsNeeded(t *testing.T) {
	t.Parallel()
	withRules := func(t *testing.T, rules []cozytest.Rule) error {
		t.Helper()
		stack := cozytest.New(cozytest.Config{})
		t.Cleanup(stack.Close)
		inst := stack.AddInstance(alice, cozytest.InstanceOptions{Apps: []cozytest.App{{Slug: "trigger", Rules: rules}}})
		token := inst.MintToken(cozytest.TokenOptions{Subject: "trigger"})
		return useAll(t, instance.New(stackOf(t, inst, token)))
	}
	if err := withRules(t, cozytest.RulesWithout(instance.Scope, "", "")); err != nil {
		t.Fatalf("the scope is not enough: %v", err)
	}
	for item := range strings.FieldsSeq(instance.Scope) {
		doctype, verbs, _ := strings.Cut(item, ":")
		for verb := range strings.SplitSeq(verbs, ",") {
			if withRules(t, cozytest.RulesWithout(instance.Scope, doctype, verb)) == nil {
				t.Errorf("%s of %s is not needed", verb, doctype)
			}
		}
	}
}
