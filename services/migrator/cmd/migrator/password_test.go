package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/pkg/nextcloudtest"
	"example.org/ncm/services/migrator/internal/postgrestest"
	"example.org/ncm/services/migrator/internal/worker"
)

// issue makes the account's password one that was made for a migration.
func (w *world) issue(t *testing.T, id, password string) {
	t.Helper()
	var account contract.Account
	doc, _ := w.instance.Doc(contract.DoctypeAccounts, w.account)
	auth, _ := doc["auth"].(map[string]any)
	account.AccountType, account.WebDAVUserID = contract.AccountTypeNextcloud, user
	account.Auth = contract.AccountAuth{URL: fmt.Sprint(auth["url"]), Login: user}
	account.Issue(id, password)
	if _, _, err := w.instance.PutDoc(contract.DoctypeAccounts, w.account, account); err != nil {
		t.Fatal(err)
	}
}

// returning gives passwords back until the returned function is called.
func (w *world) returning(t *testing.T, after time.Duration) (stop func()) {
	t.Helper()
	ends, err := openSides(&w.cfg.SidesConfig, unobserved, w.logger())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = worker.Returns{Ledger: w.ledger, Sides: ends, After: after, Logger: w.logger()}.Run(ctx) })
	stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	t.Cleanup(stop)
	return stop
}

// newLedgerWorld is a world whose ledger can be asked past the migrator.
func newLedgerWorld(t *testing.T) (*world, *pgx.Conn) {
	t.Helper()
	url := postgrestest.URL(t)
	conn, err := pgx.Connect(t.Context(), url)
	must(t, err)
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return newWorldOn(t, postgrestest.Open(t, url)), conn
}

// awaitRow waits until a migration's row is as wanted.
func awaitRow(t *testing.T, ledger *pgx.Conn, id, when string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		var looked bool
		err := ledger.QueryRow(t.Context(), "SELECT "+when+" FROM migration WHERE id = $1", id).Scan(&looked)
		if err != nil {
			t.Fatal(err)
		}
		if looked {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("nobody looked")
		}
		time.Sleep(50 * time.Millisecond) //nolint:forbidigo // between two looks
	}
}

func TestAnAppPasswordIsGivenBackWhenItsMigrationIsOver(t *testing.T) {
	t.Parallel()
	w, ledger := newLedgerWorld(t)
	w.seed(t, map[string]string{"a": "content"})
	id := w.request(t, "/")
	w.issue(t, id, appPassword)
	stop := w.start(t)
	w.awaitStatus(t, id, "completed")
	stop()

	left := func() int { return len(w.nextcloud.AppPasswords(user)) }
	stop = w.returning(t, time.Hour)
	awaitRow(t, ledger, id, "password_due_at > now() + interval '50 minutes' AND password_tries = 0")
	stop()
	if left() != 1 {
		t.Fatal("given back while a retry may want it")
	}
	// due lets it be looked at now.
	due := func() {
		if _, err := ledger.Exec(t.Context(), "UPDATE migration SET password_due_at = now()"); err != nil {
			t.Fatal(err)
		}
	}
	due()
	w.nextcloud.Inject(nextcloudtest.Fault{Method: "DELETE", Status: 503})
	stop = w.returning(t, 0)
	awaitRow(t, ledger, id, "password_due_at > now() AND password_tries = 1")
	if left() != 1 {
		t.Error("given back to a source that is away")
	}
	due()
	awaitRow(t, ledger, id, "password_due_at IS NULL")
	stop()
	if left() != 0 {
		t.Error("not given back")
	}
	// As a worker does that died before the ledger knew.
	due()
	stop = w.returning(t, 0)
	awaitRow(t, ledger, id, "password_due_at IS NULL")
	stop()
	if strings.Contains(w.logs.String(), appPassword) {
		t.Error("the password is in the log")
	}
}

func TestACanceledMigrationGivesItsPasswordBackAtOnceAndNoOther(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		of   func(id string) string
		left int
		mode transferMode
	}{
		"its own":            {func(id string) string { return id }, 0, modeFiles},
		"a later one's":      {func(string) string { return "another" }, 1, modeFiles},
		"the user's own":     {func(string) string { return "" }, 1, modeFiles},
		"replaced by a user": {nil, 1, modeFiles},
		// So that a purge does not wait for it.
		"noted alone where the stack copies": {func(id string) string { return id }, 1, modeStack},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, ledger := newLedgerWorld(t)
			w.cfg.Mode = tt.mode
			id := w.request(t, "/")
			if tt.of == nil {
				w.issue(t, id, "ended")
				doc, _ := w.instance.Doc(contract.DoctypeAccounts, w.account)
				auth, _ := doc["auth"].(map[string]any)
				doc["auth"] = contract.AccountAuth{URL: fmt.Sprint(auth["url"]), Login: user, Password: appPassword}
				if _, _, err := w.instance.PutDoc(contract.DoctypeAccounts, w.account, doc); err != nil {
					t.Fatal(err)
				}
			} else {
				w.issue(t, tt.of(id), appPassword)
			}
			if _, err := w.ledger.Cancel(t.Context(), id, host); err != nil {
				t.Fatal(err)
			}
			w.returning(t, time.Hour)
			awaitRow(t, ledger, id, "password_due_at IS NULL")
			if left := len(w.nextcloud.AppPasswords(user)); left != tt.left {
				t.Errorf("%d app passwords are left, want %d", left, tt.left)
			}
		})
	}
}
