package request_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/services/trigger/internal/request"
)

var errBroken = errors.New("broken at 10.0.0.7")

func TestStartWritesAccountAndDocumentAndPublishes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		doc, err := w.desk.Start(t.Context(), instance, request.Order{
			URL: " https://cloud.example/sub ", Login: " joe ", Password: " pw ",
			SourcePath: " /Photos ", TargetDir: "/Mes fichiers/NC/",
		})
		if err != nil {
			t.Fatal(err)
		}
		wantAccount := []contract.Account{{
			AccountType: "nextcloud", Name: "joe", WebDAVUserID: "joe_uid",
			Auth: contract.AccountAuth{URL: "https://cloud.example/sub/", Login: "joe", Password: "pw"},
		}}
		if diff := cmp.Diff(wantAccount, w.saved); diff != "" {
			t.Errorf("account (-want +got):\n%s", diff)
		}
		now := time.Now().UTC()
		wantDoc := request.Document{
			ID: "doc1", Rev: "2", Tracking: contract.NewTracking("/Photos", "/Mes fichiers/NC"),
			CreatedAt: &now, RequestedAt: &now,
			Source: request.Source{URL: "https://cloud.example/sub/", UserID: "joe_uid"},
		}
		if diff := cmp.Diff(wantDoc, doc); diff != "" {
			t.Errorf("document (-want +got):\n%s", diff)
		}
		wantMessage := []contract.Requested{{
			MigrationID: "doc1", WorkplaceFQDN: instance, AccountID: "acc1",
			SourcePath: "/Photos", Timestamp: now.Unix(),
		}}
		if diff := cmp.Diff(wantMessage, w.queue.sent); diff != "" {
			t.Errorf("message (-want +got):\n%s", diff)
		}
	})
}

func TestStartTakesTheLoginForAUserWithoutID(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.login = func(context.Context, contract.AccountAuth) (string, error) { return "", nil }
	if _, err := w.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := w.saved[0].WebDAVUserID; got != "joe" {
		t.Errorf("webdav user id %q, want the login", got)
	}
}

func TestStartLeavesNoTraceBeforeTheLoginIsGood(t *testing.T) {
	t.Parallel()
	refused := &request.Error{Code: request.CodeBadCredentials, Message: "no"}
	for name, c := range map[string]struct {
		breakIt func(w *world)
		want    request.Code
	}{
		"broker away": {
			func(w *world) { w.queue.ready = func() error { return errBroken } },
			request.CodeUnavailable,
		},
		"documents unreadable": {
			func(w *world) { w.docs.onActive = func() error { return errBroken } },
			request.CodeInternal,
		},
		"login refused": {
			func(w *world) {
				w.login = func(context.Context, contract.AccountAuth) (string, error) { return "", refused }
			},
			request.CodeBadCredentials,
		},
		"creation fails": {
			func(w *world) { w.docs.onCreate = func() error { return errBroken } },
			request.CodeInternal,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c.breakIt(w)
			_, err := w.start(t.Context())
			wantCode(t, err, c.want)
			if len(w.saved)+len(w.docs.docs)+len(w.queue.sent) != 0 {
				t.Errorf("left %d accounts, %d documents, %d messages", len(w.saved), len(w.docs.docs), len(w.queue.sent))
			}
		})
	}
}

func TestStartAsksNoNextcloudWhileTheBrokerIsAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.queue.ready = func() error { return errBroken }
	w.login = func(context.Context, contract.AccountAuth) (string, error) {
		t.Error("the login was checked")
		return "", nil
	}
	_, err := w.start(t.Context())
	wantCode(t, err, request.CodeUnavailable)
}

func TestStartMarksTheDocumentFailedWhenItCannotGoOn(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		breakIt func(w *world)
		want    request.Code
	}{
		"publish fails": {
			func(w *world) { w.queue.publish = func(contract.Requested) error { return errBroken } },
			request.CodeUnavailable,
		},
		"account not saved": {
			func(w *world) {
				w.accounts.save = func(contract.Account) (string, error) { return "", errBroken }
			},
			request.CodeInternal,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c.breakIt(w)
			_, err := w.start(t.Context())
			wantCode(t, err, c.want)
			doc, _ := w.docs.get("doc1")
			if doc.Status != contract.StatusFailed || doc.FinishedAt == nil || len(doc.Errors) != 1 {
				t.Fatalf("document is %+v, want it failed with one error", doc)
			}
			failure := doc.Errors[0]
			if failure.Path != "" || failure.Message != request.MessageOf(err) || !failure.At.Equal(*doc.FinishedAt) {
				t.Errorf("failure is %+v", failure)
			}
			if strings.Contains(failure.Message, "10.0.0.7") {
				t.Errorf("the document tells what is internal: %q", failure.Message)
			}
		})
	}
}

func TestStartFinishesWhatItBeganWhenTheCallerGoesAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	w.docs.created = func(string) { cancel() }
	if _, err := w.start(ctx); err != nil {
		t.Fatal(err)
	}
	if len(w.queue.sent) != 1 {
		t.Errorf("%d messages, want 1", len(w.queue.sent))
	}
}

func TestStartSaysWhenADocumentCouldNotBeMarkedFailed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.queue.publish = func(contract.Requested) error {
		w.docs.onWrite = func(string) error { return errBroken }
		return errBroken
	}
	_, err := w.start(t.Context())
	wantCode(t, err, request.CodeUnavailable)
	if !strings.Contains(w.log.String(), "tracking document not marked failed") {
		t.Errorf("log does not say so: %s", w.log)
	}
}

func TestStartGivesTheLoginCheckHalfAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.login = func(ctx context.Context, _ contract.AccountAuth) (string, error) {
			<-ctx.Done()
			return "", &request.Error{Code: request.CodeUnreachable, Cause: ctx.Err()}
		}
		began := time.Now()
		_, err := w.start(t.Context())
		wantCode(t, err, request.CodeUnreachable)
		if took := time.Since(began); took != 30*time.Second {
			t.Errorf("gave up after %s", took)
		}
	})
}

func TestAuthorizeWantsAToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	wantCode(t, w.desk.Authorize(t.Context(), instance, "", request.RightAsk), request.CodeNoToken)
	if err := w.desk.Authorize(t.Context(), instance, "token", request.RightAsk); err != nil {
		t.Error(err)
	}
}
