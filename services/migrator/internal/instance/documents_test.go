package instance_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/pkg/cozytest"
	"example.org/ncm/services/migrator/internal/instance"
	"example.org/ncm/services/migrator/internal/transfer"
)

func allowed() error { return nil }

// track stores a tracking document as another client would and gives its id.
func (b bundle) track(t *testing.T, fields map[string]any) string {
	t.Helper()
	id, _, err := b.inst.PutDoc(contract.DoctypeMigrations, "", fields)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func (b bundle) tracked(t *testing.T, id string) map[string]any {
	t.Helper()
	doc, ok := b.inst.Doc(contract.DoctypeMigrations, id)
	if !ok {
		t.Fatalf("document %s is not there", id)
	}
	raw, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	var plain map[string]any
	if err := json.Unmarshal(raw, &plain); err != nil {
		t.Fatal(err)
	}
	return plain
}

func running(p *contract.Tracking) bool {
	p.Status = contract.StatusRunning
	return true
}

func TestAccountComesWithItsPassword(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id, _, err := b.inst.PutDoc(contract.DoctypeAccounts, "", map[string]any{
		"account_type": "nextcloud", "webdav_user_id": "alice",
		"auth": map[string]any{"url": "https://nc.example/", "login": "al", "password": "s3cr3t"},
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := b.docs.Account(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	want := contract.Account{
		AccountType: "nextcloud", Name: "al", WebDAVUserID: "alice", // the stack names it by its login
		Auth: contract.AccountAuth{URL: "https://nc.example/", Login: "al", Password: "s3cr3t"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("account (-want +got):\n%s", diff)
	}
}

func TestAccountThatIsMissingOrIncompleteStopsTheMigration(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.docs.Account(t.Context(), "nope")
	wantError(t, err, transfer.MigrationStops, transfer.ReasonLoginRefused)
	for reason, auth := range map[transfer.Reason]map[string]any{
		transfer.ReasonLoginRefused:  {"login": "al", "password": "s3cr3t"},
		transfer.ReasonAccessRefused: {"url": "https://nc.example/", "login": "al"},
	} {
		id, _, err := b.inst.PutDoc(contract.DoctypeAccounts, "", map[string]any{"auth": auth})
		if err != nil {
			t.Fatal(err)
		}
		_, err = b.docs.Account(t.Context(), id)
		wantError(t, err, transfer.MigrationStops, reason)
	}
}

func TestTrackingReadsADocumentOfTheStacksOwnRoute(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.track(t, map[string]any{
		"status": "pending", "target_dir": "/Nextcloud", "source_path": "/", "errors": []any{}, "skipped": []any{},
		"progress":   map[string]any{"files_imported": 0, "files_total": 0, "bytes_imported": 0, "bytes_total": 0},
		"started_at": nil, "finished_at": nil,
	})
	got, rev, err := b.docs.Tracking(t.Context(), id)
	if err != nil || !strings.HasPrefix(rev, "1-") {
		t.Fatalf("rev %q, %v", rev, err)
	}
	if diff := cmp.Diff(contract.NewTracking("/", "/Nextcloud"), got); diff != "" {
		t.Errorf("document (-want +got):\n%s", diff)
	}
	_, _, err = b.docs.Tracking(t.Context(), "nope")
	wantError(t, err, transfer.MigrationStops, transfer.ReasonWithdrawn)
	if !errors.Is(err, transfer.ErrNotFound) {
		t.Errorf("%v does not wrap ErrNotFound", err)
	}
}

func TestWriteTrackingKeepsWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.track(t, map[string]any{
		"status": "pending", "target_dir": "/Nextcloud", "source_path": "/", "errors": nil,
		"progress":       map[string]any{"files_imported": 1, "eta": "soon"},
		"started_at":     "2026-01-01T02:00:00+02:00",
		"failure_reason": "old", "foreign": map[string]any{"a": []any{1.0, nil}},
	})
	outcome, err := b.docs.WriteTracking(t.Context(), id, allowed, func(p *contract.Tracking) bool {
		p.Status = contract.StatusRunning
		p.Progress.FilesImported = 2
		p.FailureReason = ""
		p.SchemaVersion = contract.SchemaVersion
		return true
	})
	if err != nil || outcome != instance.Written {
		t.Fatalf("outcome %d, %v", outcome, err)
	}
	got := b.tracked(t, id)
	for _, name := range []string{"_id", "_rev", "_type"} {
		delete(got, name)
	}
	want := map[string]any{
		"status": "running", "target_dir": "/Nextcloud", "source_path": "/", "errors": []any{}, "skipped": []any{},
		"progress":   map[string]any{"files_imported": 2.0, "eta": "soon"},
		"started_at": "2026-01-01T02:00:00+02:00", "schema_version": 2.0,
		"foreign": map[string]any{"a": []any{1.0, nil}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("document (-want +got):\n%s", diff)
	}
}

func TestWriteTrackingMergesAnewOverAnotherClientsWrite(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.track(t, map[string]any{"status": "pending"})
	calls := 0
	outcome, err := b.docs.WriteTracking(t.Context(), id, func() error {
		if calls == 1 { // between our read and our write
			doc := b.tracked(t, id)
			doc["cancel_requested"] = true
			if _, _, err := b.inst.PutDoc(contract.DoctypeMigrations, id, doc); err != nil {
				return err
			}
		}
		return nil
	}, func(p *contract.Tracking) bool {
		calls++
		return running(p)
	})
	if err != nil || outcome != instance.Written || calls != 2 {
		t.Fatalf("outcome %d, %v, %d calls", outcome, err, calls)
	}
	got := b.tracked(t, id)
	if got["status"] != "running" || got["cancel_requested"] != true {
		t.Errorf("got %v", got)
	}
}

func TestWriteTrackingGivesUpWhenSomebodyElseAlwaysWrites(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.track(t, map[string]any{"status": "pending"})
	b.sim.Inject(cozytest.Fault{
		Method: http.MethodPut, PathPrefix: "/data/", Status: 409, ContentType: "application/json",
		Body: `{"error":"conflict","ok":false,"reason":"Document update conflict.","status":"409"}`,
	})
	_, err := b.docs.WriteTracking(t.Context(), id, allowed, running)
	wantError(t, err, transfer.Again, transfer.ReasonBusy)
}

func TestWriteTrackingWritesNothingWithoutTheRightTo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.track(t, map[string]any{"status": "pending"})
	lost := errors.New("lease lost")
	_, err := b.docs.WriteTracking(t.Context(), id, func() error { return lost }, running)
	if err != lost { //nolint:errorlint // it has to come back as it is
		t.Errorf("got %v", err)
	}
	if got := b.tracked(t, id); got["status"] != "pending" {
		t.Errorf("got %v", got)
	}
}

func TestWriteTrackingWritesOnlyChanges(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.track(t, map[string]any{"status": "running", "errors": []any{}, "skipped": []any{}})
	for _, update := range []func(*contract.Tracking) bool{
		running,
		func(p *contract.Tracking) bool { p.Status = contract.StatusFailed; return false },
	} {
		if outcome, err := b.docs.WriteTracking(t.Context(), id, allowed, update); err != nil || outcome != instance.Unchanged {
			t.Errorf("outcome %d, %v", outcome, err)
		}
	}
	if rev, _ := b.tracked(t, id)["_rev"].(string); !strings.HasPrefix(rev, "1-") {
		t.Errorf("revision %s: something was written", rev)
	}
}

func TestWriteTrackingOfADeletedDocumentIsWithdrawn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.docs.WriteTracking(t.Context(), "nope", allowed, running)
	wantError(t, err, transfer.MigrationStops, transfer.ReasonWithdrawn)

	id := b.track(t, map[string]any{"status": "pending"})
	b.sim.Inject(cozytest.Fault{
		Method: http.MethodPut, PathPrefix: "/data/", Status: 404, ContentType: "application/json",
		Body: `{"error":"not_found","ok":false,"reason":"deleted","status":"404"}`,
	})
	_, err = b.docs.WriteTracking(t.Context(), id, allowed, running)
	wantError(t, err, transfer.MigrationStops, transfer.ReasonWithdrawn)
}

func TestWriteTrackingReplacesSpoiledFields(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.track(t, map[string]any{
		"status": "running", "progress": "half", "started_at": "yesterday", "errors": "none", "target_dir": "/N",
	})
	outcome, err := b.docs.WriteTracking(t.Context(), id, allowed, func(p *contract.Tracking) bool {
		p.Status = contract.StatusCompleted
		return true
	})
	if err != nil || outcome != instance.Written {
		t.Fatalf("outcome %d, %v", outcome, err)
	}
	got := b.tracked(t, id)
	if got["status"] != "completed" || got["target_dir"] != "/N" || got["started_at"] != nil {
		t.Errorf("got %v", got)
	}
	if _, ok := got["progress"].(map[string]any); !ok {
		t.Errorf("progress is %v", got["progress"])
	}
}

func TestWriteTrackingTakesTwoMegabytes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.track(t, map[string]any{"status": "running"})
	outcome, err := b.docs.WriteTracking(t.Context(), id, allowed, func(p *contract.Tracking) bool {
		for range contract.MaxListed {
			p.Errors = append(p.Errors, contract.Failure{Path: strings.Repeat("p", 1000), Message: strings.Repeat("m", 1000)})
		}
		return true
	})
	if err != nil || outcome != instance.Written {
		t.Fatalf("outcome %d, %v", outcome, err)
	}
	got, _, err := b.docs.Tracking(t.Context(), id)
	if err != nil || len(got.Errors) != contract.MaxListed {
		t.Errorf("%d errors, %v", len(got.Errors), err)
	}
}

func TestDocumentsClassifyTheStacksTrouble(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.track(t, map[string]any{"status": "pending"})
	for _, method := range []string{http.MethodGet, http.MethodPut} {
		fault := b.sim.Inject(cozytest.Fault{Method: method, PathPrefix: "/data/", Status: 503, RetryAfter: "3"})
		_, err := b.docs.WriteTracking(t.Context(), id, allowed, running)
		wantError(t, err, transfer.Again, transfer.ReasonBusy)
		if wait := transfer.AsError(err).RetryAfter; wait != 3*time.Second {
			t.Errorf("%s: wait %v", method, wait)
		}
		fault.Remove()
	}
	b.inst.SetGone(true)
	_, err := b.docs.WriteTracking(t.Context(), id, allowed, running)
	wantError(t, err, transfer.MigrationStops, transfer.ReasonInstanceGone)
}
