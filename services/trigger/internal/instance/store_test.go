package instance_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/pkg/cozy"
	"example.org/ncm/pkg/cozytest"
	"example.org/ncm/pkg/egress"
	"example.org/ncm/services/trigger/internal/instance"
	"example.org/ncm/services/trigger/internal/request"
)

const alice = "alice.cozy.example"

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// setup is a store of a simulated stack with one instance.
func setup(t *testing.T) (*instance.Store, *cozytest.Stack, *cozytest.Instance) {
	t.Helper()
	stack := cozytest.New(cozytest.Config{})
	inst := stack.AddInstance(alice, cozytest.InstanceOptions{
		Apps: []cozytest.App{
			{Slug: "noperm", Rules: []cozytest.Rule{{Title: "contacts", Type: "io.cozy.contacts"}}},
			{Slug: "reader", Rules: []cozytest.Rule{{Title: "m", Type: contract.DoctypeMigrations, Verbs: []string{"GET"}}}},
		},
	})
	server := httptest.NewServer(stack)
	transport := egress.NewTransport(egress.Options{
		AllowPrivate: true,
		Addresses:    egress.AddressMap{".cozy.example": strings.TrimPrefix(server.URL, "http://")},
	})
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		server.Close()
		stack.Close()
	})
	return instance.New(cozy.New(cozy.Config{
		HTTP:   &http.Client{Transport: transport},
		Scheme: "http",
		Tokens: cozy.Static(inst.AppToken()),
	})), stack, inst
}

func TestMayTellsTokensApart(t *testing.T) {
	t.Parallel()
	store, _, inst := setup(t)
	for name, c := range map[string]struct {
		token string
		want  request.Code
	}{
		"settings":      {inst.AppToken(), ""},
		"konnector":     {inst.MintToken(cozytest.TokenOptions{Audience: cozytest.AudienceKonnector}), ""},
		"garbage":       {"garbage", request.CodeInvalidToken},
		"not a header":  {"gar\nbage", request.CodeInvalidToken},
		"expired":       {inst.MintToken(cozytest.TokenOptions{TTL: -time.Minute}), request.CodeExpiredToken},
		"not installed": {inst.MintToken(cozytest.TokenOptions{Subject: "notinstalled"}), request.CodeNoApplication},
		"no permission": {inst.MintToken(cozytest.TokenOptions{Subject: "noperm"}), request.CodeForbidden},
		"only GET":      {inst.MintToken(cozytest.TokenOptions{Subject: "reader"}), request.CodeForbidden},
		"empty scope":   {inst.MintToken(cozytest.TokenOptions{Audience: cozytest.AudienceCLI}), request.CodeMalformedScope},
		"scope with POST": {inst.MintToken(cozytest.TokenOptions{
			Audience: cozytest.AudienceCLI, Scope: contract.DoctypeMigrations + ":POST",
		}), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := store.May(t.Context(), alice, c.token, request.RightAsk)
			if c.want == "" && err != nil {
				t.Fatal(err)
			}
			if c.want != "" && request.CodeOf(err) != c.want {
				t.Errorf("error %v, want %s", err, c.want)
			}
		})
	}
}

func TestMayTellsInstancesApart(t *testing.T) {
	t.Parallel()
	store, _, inst := setup(t)
	token := inst.AppToken()
	if err := store.May(t.Context(), "bob.cozy.example", token, request.RightAsk); request.CodeOf(err) != request.CodeNoInstance {
		t.Errorf("unknown instance: %v", err)
	}
	inst.SetBlocked(true)
	for _, reason := range []string{"", cozytest.BlockedUnpaid} {
		inst.SetBlockingReason(reason)
		if err := store.May(t.Context(), alice, token, request.RightAsk); request.CodeOf(err) != request.CodeBlockedInstance {
			t.Errorf("instance blocked for %q: %v", reason, err)
		}
	}
}

func TestMayDoesNotBlameTheCallerForAFaultOfTheStack(t *testing.T) {
	t.Parallel()
	store, stack, inst := setup(t)
	stack.Inject(cozytest.Fault{PathPrefix: "/permissions", Status: http.StatusBadGateway})
	if err := store.May(t.Context(), alice, inst.AppToken(), request.RightAsk); request.CodeOf(err) != request.CodeInternal {
		t.Errorf("error %v, want an internal one", err)
	}
}

func account(login, password string) contract.Account {
	return contract.Account{
		AccountType: contract.AccountTypeNextcloud, Name: login, WebDAVUserID: login + "_uid",
		Auth: contract.AccountAuth{URL: "https://cloud.example/", Login: login, Password: password},
	}
}

// read gives a document as a reader of JSON sees it.
func read(t *testing.T, inst *cozytest.Instance, doctype, id string) map[string]any {
	t.Helper()
	doc, ok := inst.Doc(doctype, id)
	if !ok {
		t.Fatalf("there is no document %s", id)
	}
	text, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	var plain map[string]any
	if err := json.Unmarshal(text, &plain); err != nil {
		t.Fatal(err)
	}
	return plain
}

func TestSaveKeepsOneAccountAndForeignFields(t *testing.T) {
	t.Parallel()
	store, _, inst := setup(t)
	for _, other := range []map[string]any{
		{"account_type": "bank", "auth": map[string]any{"login": "x"}},
		{"note": "no type at all"},
	} {
		if _, _, err := inst.PutDoc(contract.DoctypeAccounts, "", other); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := store.Find(t.Context(), alice); !errors.Is(err, request.ErrNotFound) {
		t.Fatalf("found an account where none is: %v", err)
	}
	first, err := store.Save(t.Context(), alice, account("joe", "pw1"))
	if err != nil {
		t.Fatal(err)
	}
	doc, _ := inst.Doc(contract.DoctypeAccounts, first)
	doc["state"] = "x"
	doc["auth"].(map[string]any)["realm"] = "y"
	if _, _, err := inst.PutDoc(contract.DoctypeAccounts, first, doc); err != nil {
		t.Fatal(err)
	}
	second, err := store.Save(t.Context(), alice, account("ann", "pw2"))
	if err != nil || second != first {
		t.Fatalf("saved as %s, error %v, want it as %s", second, err, first)
	}
	got := read(t, inst, contract.DoctypeAccounts, first)
	for _, system := range []string{"_id", "_rev", "_type", "cozyMetadata"} {
		delete(got, system)
	}
	want := map[string]any{
		"account_type": "nextcloud", "name": "ann", "webdav_user_id": "ann_uid", "state": "x",
		"auth": map[string]any{"url": "https://cloud.example/", "login": "ann", "password": "pw2", "realm": "y"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("account (-want +got):\n%s", diff)
	}
	if found, err := store.Find(t.Context(), alice); err != nil || found != first {
		t.Errorf("found %q, error %v", found, err)
	}
}

func TestSaveBeginsAgainWhenAnotherWriterWasFaster(t *testing.T) {
	t.Parallel()
	store, stack, inst := setup(t)
	if _, err := store.Save(t.Context(), alice, account("joe", "pw")); err != nil {
		t.Fatal(err)
	}
	conflict := cozytest.Fault{
		Method: http.MethodPut, PathPrefix: "/data/io.cozy.accounts/", Times: 2,
		Status: http.StatusConflict, ContentType: "application/json",
		Body: `{"error":"conflict","ok":false,"reason":"Document update conflict.","status":"409"}`,
	}
	stack.Inject(conflict)
	id, err := store.Save(t.Context(), alice, account("joe", "new"))
	if err != nil {
		t.Fatal(err)
	}
	doc, _ := inst.Doc(contract.DoctypeAccounts, id)
	if got := doc["auth"].(map[string]any)["password"]; got != "new" {
		t.Errorf("password %v, want the new one", got)
	}
	conflict.Times = 0
	stack.Inject(conflict)
	if _, err := store.Save(t.Context(), alice, account("joe", "newer")); err == nil {
		t.Error("no error although another writer is always faster")
	}
}

func TestDocumentsAreFoundWhileTheyAreActive(t *testing.T) {
	t.Parallel()
	store, _, inst := setup(t)
	if active, err := store.Active(t.Context(), alice); err != nil || len(active) != 0 {
		t.Fatalf("new instance: %v, error %v", active, err)
	}
	now := time.Now().UTC()
	created, err := store.Create(t.Context(), alice, request.Document{
		Tracking: contract.NewTracking("/Photos", "/NC"), CreatedAt: &now,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, status := range []contract.Status{contract.StatusRunning, contract.StatusCompleted, contract.StatusFailed, contract.StatusCanceled} {
		tracking := contract.NewTracking("/", "/x")
		tracking.Status = status
		if _, _, err := inst.PutDoc(contract.DoctypeMigrations, string(status), tracking); err != nil {
			t.Fatal(err)
		}
	}
	deleting := map[string]any{"status": "completed", "source_deleting_at": now, "source_path": "/"}
	if _, _, err := inst.PutDoc(contract.DoctypeMigrations, "deleting", deleting); err != nil {
		t.Fatal(err)
	}
	active, err := store.Active(t.Context(), alice)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]contract.Status{}
	for _, d := range active {
		got[d.ID] = d.Status
	}
	want := map[string]contract.Status{
		created.ID: contract.StatusPending, "running": contract.StatusRunning, "deleting": contract.StatusCompleted,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("active documents (-want +got):\n%s", diff)
	}
	for _, d := range active {
		if d.ID == created.ID && (!d.CreatedAt.Equal(now) || d.RequestedAt != nil || d.SourcePath != "/Photos" || d.Rev != created.Rev) {
			t.Errorf("document read back is %+v", d)
		}
	}
}

func TestChangeKeepsWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	store, _, inst := setup(t)
	before := map[string]any{
		"status": "pending", "source_path": "/", "target_dir": "/x", "errors": []any{}, "skipped": []any{},
		"progress": map[string]any{"files_imported": 0.0, "speed": 3.0}, "started_at": nil, "foo": map[string]any{"a": 1.0},
	}
	if _, _, err := inst.PutDoc(contract.DoctypeMigrations, "m", before); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 23, 11, 0, 0, 5, time.UTC)
	changed, err := store.Change(t.Context(), alice, "m", func(d *request.Document) error {
		d.Status, d.FinishedAt = contract.StatusFailed, &at
		d.Errors = append(d.Errors, contract.Failure{Message: "no", At: at})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	got := read(t, inst, contract.DoctypeMigrations, "m")
	if got["_rev"] != changed.Rev {
		t.Errorf("revision %v was returned as %s", got["_rev"], changed.Rev)
	}
	for _, system := range []string{"_id", "_rev", "_type"} {
		delete(got, system)
	}
	const text = "2026-11-23T11:00:00.000000005Z"
	before["status"], before["finished_at"] = "failed", text
	before["errors"] = []any{map[string]any{"path": "", "message": "no", "at": text}}
	if diff := cmp.Diff(before, got); diff != "" {
		t.Errorf("document (-want +got):\n%s", diff)
	}
}

func TestChangeTakesAwayWhatIsEmptied(t *testing.T) {
	t.Parallel()
	store, _, inst := setup(t)
	doc := map[string]any{"status": "completed", "source_deleting_at": "2026-11-23T11:00:00Z", "of_others": 1}
	if _, _, err := inst.PutDoc(contract.DoctypeMigrations, "m", doc); err != nil {
		t.Fatal(err)
	}
	_, err := store.Change(t.Context(), alice, "m", func(d *request.Document) error {
		if d.SourceDeletingAt == nil {
			t.Error("the field is not read")
		}
		d.SourceDeletingAt = nil
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	got := read(t, inst, contract.DoctypeMigrations, "m")
	if _, still := got["source_deleting_at"]; still || got["of_others"] == nil || got["status"] != "completed" {
		t.Errorf("document %v", got)
	}
}

func TestChangeOfManyAtOnceLosesNone(t *testing.T) {
	t.Parallel()
	store, _, inst := setup(t)
	if _, _, err := inst.PutDoc(contract.DoctypeMigrations, "m", contract.NewTracking("/", "/x")); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			_, err := store.Change(t.Context(), alice, "m", func(d *request.Document) error {
				d.Errors = append(d.Errors, contract.Failure{Message: "x"})
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	doc, _ := inst.Doc(contract.DoctypeMigrations, "m")
	if got := len(doc["errors"].([]any)); got != 4 {
		t.Errorf("%d changes are there, want 4", got)
	}
}

func TestChangeSaysWhatCannotBeChanged(t *testing.T) {
	t.Parallel()
	store, _, inst := setup(t)
	_, err := store.Change(t.Context(), alice, "nope", func(*request.Document) error { return nil })
	if !errors.Is(err, request.ErrNotFound) {
		t.Errorf("unknown document: %v", err)
	}
	_, rev, err := inst.PutDoc(contract.DoctypeMigrations, "m", contract.NewTracking("/", "/x"))
	if err != nil {
		t.Fatal(err)
	}
	refusal := errors.New("no")
	_, err = store.Change(t.Context(), alice, "m", func(*request.Document) error { return refusal })
	if !errors.Is(err, refusal) {
		t.Errorf("error %v, want the one of the change", err)
	}
	if doc, _ := inst.Doc(contract.DoctypeMigrations, "m"); doc["_rev"] != rev {
		t.Error("the document was written although the change was refused")
	}
}
