package main

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/pkg/cozytest"
	"example.org/ncm/services/migrator/internal/operate"
	"example.org/ncm/services/migrator/internal/postgrestest"
	"example.org/ncm/services/migrator/internal/transfer"
)

// alone is a world for migrate-once, and its arguments.
func alone(t *testing.T) (w *world, args []string) {
	t.Helper()
	database := postgrestest.URL(t)
	w = newWorldOn(t, postgrestest.Open(t, database))
	w.stackSettings(t)
	for name, value := range map[string]string{
		"DATABASE_URL": database, "ALLOW_HTTP_NEXTCLOUD": "true", "ALLOWED_PRIVATE_RANGES": "127.0.0.0/8", "NEXTCLOUD_APP_PASSWORD": appPassword,
	} {
		t.Setenv(name, value)
	}
	account, _ := w.instance.Doc(contract.DoctypeAccounts, w.account)
	auth, _ := account["auth"].(map[string]any)
	address, _ := auth["url"].(string)
	return w, []string{"migrate-once", "--nextcloud", address, "--login", user, "--instance", host, "--target", "/Nextcloud imported files"}
}

// stackSettings lets commands reach the instance.
func (w *world) stackSettings(t *testing.T) {
	t.Helper()
	for name, value := range map[string]string{
		"INSTANCE_SUFFIXES": ".cozy.test", "INSTANCE_SCHEME": "http", "STACK_ADDRESS": w.cfg.StackAddress[0],
		"STACK_ADMIN_URL": w.cfg.StackAdminURL, "STACK_ADMIN_PASSWORD": "planted-admin-password",
	} {
		t.Setenv(name, value)
	}
}

func TestMigrateOnceMovesAnAccountAndOnceMoreOnlyWhatIsNew(t *testing.T) {
	w, args := alone(t)
	w.seed(t, tree(50))
	out := mustCommand(t, args...)
	if !strings.Contains(out, "files") || !strings.Contains(out, "100%") {
		t.Errorf("printed:\n%s", out)
	}
	w.seed(t, map[string]string{"new.txt": "new"})
	mustCommand(t, args...)
	if diff := cmp.Diff(w.want(t), w.got(t)); diff != "" {
		t.Errorf("target differs (-source +target):\n%s", diff)
	}
	found, err := (operate.Operator{Ledger: w.ledger}).List(t.Context(), operate.Filter{Limit: 10})
	if err != nil || len(found) != 2 {
		t.Fatalf("%d migrations in the ledger, %v", len(found), err)
	}
	for _, m := range found {
		if doc := w.tracking(t, m.ID); doc["status"] != "completed" || m.State != transfer.StateCompleted || !m.Once {
			t.Errorf("document %v, %+v", doc["status"], m)
		}
	}
	if strings.Contains(out, appPassword) {
		t.Error("the app password is in the output")
	}
}

func TestMigrateOnceStopsCleanlyAndGoesOn(t *testing.T) {
	w, args := alone(t)
	args = append(args, "--no-document")
	w.seed(t, tree(200))
	w.cozy.Inject(cozytest.Fault{Method: "POST", PathPrefix: "/files/", QueryContains: "Type=file", Skip: 50, Delay: 200 * time.Millisecond})
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	done := make(chan error, 1)
	var out bytes.Buffer
	go func() { done <- run(ctx, args, &out) }()
	o := operate.Operator{Ledger: w.ledger}
	var first operate.Migration
	await(t, "first files", func() bool {
		found, err := o.List(t.Context(), operate.Filter{Limit: 1})
		if err == nil && len(found) == 1 {
			first = found[0]
		}
		return first.FilesDone > 5
	})
	interrupt()
	if err := <-done; exitStatus(err) != exitInterrupted || !strings.Contains(out.String(), "goes on from here") {
		t.Fatalf("exit status %d, %v\n%s", exitStatus(err), err, out.String())
	}
	if m, err := o.Find(t.Context(), first.ID); err != nil || m.Owner != "" || m.FinishedAt != nil {
		t.Fatalf("after the stop: %+v, %v", m, err)
	}
	w.cozy.ClearFaults("")
	if again := mustCommand(t, args...); !strings.Contains(again, "Going on with migration "+first.ID) {
		t.Errorf("printed:\n%s", again)
	}
	if diff := cmp.Diff(w.want(t), w.got(t)); diff != "" {
		t.Errorf("target differs (-source +target):\n%s", diff)
	}
	if _, ok := w.instance.Doc(contract.DoctypeMigrations, first.ID); ok {
		t.Error("there is a tracking document")
	}
}

func TestMigrateOnceMakesADocumentThatACrashLeftOut(t *testing.T) {
	w, args := alone(t)
	w.seed(t, tree(3))
	if _, err := w.ledger.AdmitOnce(t.Context(), transfer.Migration{ID: "left", Instance: host, SourcePath: "/"}); err != nil {
		t.Fatal(err)
	}
	mustCommand(t, args...)
	if doc := w.tracking(t, "left"); doc["status"] != "completed" {
		t.Errorf("document %v", doc)
	}
}

func TestMigrateOnceRefusesInWordsAndLeavesNothing(t *testing.T) {
	w, args := alone(t)
	nothing := func(t *testing.T) {
		t.Helper()
		if found, err := (operate.Operator{Ledger: w.ledger}).List(t.Context(), operate.Filter{Limit: 10}); err != nil || len(found) != 0 {
			t.Errorf("in the ledger: %+v, %v", found, err)
		}
	}
	t.Run("wrong password", func(t *testing.T) {
		t.Setenv("NEXTCLOUD_APP_PASSWORD", "planted-wrong-password")
		_, err := command(t, args...)
		if err == nil || !strings.Contains(err.Error(), "refuses the login") || strings.Contains(err.Error(), "planted") {
			t.Errorf("%v", err)
		}
		nothing(t)
	})
	t.Run("private address", func(t *testing.T) {
		t.Setenv("ALLOWED_PRIVATE_RANGES", "")
		if _, err := command(t, args...); err == nil || !strings.Contains(err.Error(), "ALLOWED_PRIVATE_RANGES") {
			t.Errorf("%v", err)
		}
		nothing(t)
	})
	t.Run("foreign instance", func(t *testing.T) {
		if _, err := command(t, append(args, "--instance", "alice.evil.test")...); err == nil || !strings.Contains(err.Error(), "INSTANCE_SUFFIXES") {
			t.Errorf("%v", err)
		}
		nothing(t)
	})
	t.Run("another is active", func(t *testing.T) {
		if _, err := w.ledger.Admit(t.Context(), transfer.Migration{ID: "m1", Instance: host, AccountID: "a", SourcePath: "/"}, time.Now()); err != nil {
			t.Fatal(err)
		}
		if _, err := command(t, args...); err == nil || !strings.Contains(err.Error(), "migrator cancel m1") {
			t.Errorf("%v", err)
		}
		mustCommand(t, "cancel", "m1")
	})
	t.Run("active in another ledger", func(t *testing.T) {
		id, _, _ := w.instance.PutDoc(contract.DoctypeMigrations, "", contract.NewTracking("/", "/N"))
		if _, err := command(t, args...); err == nil || !strings.Contains(err.Error(), id+" of this instance is active") {
			t.Errorf("an active document: %v", err)
		}
	})
	if _, err := command(t, append(args, "--target", "a/../b")...); err == nil || errors.Is(err, errUsage) {
		t.Errorf("an unclean target: %v", err)
	}
}
