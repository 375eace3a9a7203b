package request_test

import (
	"context"
	"slices"
	"testing"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/services/trigger/internal/request"
)

// fakePasswords makes one password, and keeps what is given back.
type fakePasswords struct {
	password string
	err      error
	returned []string
}

func (f *fakePasswords) Exchange(context.Context, string, contract.AccountAuth) (string, error) {
	return f.password, f.err
}

func (f *fakePasswords) GiveBack(_ context.Context, account contract.AccountAuth) error {
	f.returned = append(f.returned, account.Password)
	return errBroken // it must not matter
}

func exchanging(t *testing.T) (*world, *fakePasswords) {
	t.Helper()
	w, f := newWorld(t), &fakePasswords{password: "made"}
	w.deps.Passwords, w.deps.ExchangePasswords = f, true
	w.desk = request.New(w.deps)
	return w, f
}

// issued is an account with an app password that was made for a migration.
func issued(id, password string) contract.Account {
	a := account()
	a.Issue(id, password)
	return a
}

func wantReturned(t *testing.T, f *fakePasswords, want ...string) {
	t.Helper()
	if !slices.Equal(f.returned, want) {
		t.Errorf("given back: %q, want %q", f.returned, want)
	}
}

func TestALoginPasswordIsExchangedBeforeItIsStored(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		off      bool
		made     string
		err      error
		password string
		code     request.Code
	}{
		"exchanged":        {made: "made", password: "made"},
		"an app password":  {password: "pw"},
		"not to be had":    {err: &request.Error{Code: request.CodeUnreachable}, password: "pw"},
		"a refused login":  {err: &request.Error{Code: request.CodeBadCredentials}, code: request.CodeBadCredentials},
		"not to exchanged": {off: true, made: "made", password: "pw"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, f := exchanging(t)
			f.password, f.err = tt.made, tt.err
			w.deps.ExchangePasswords = !tt.off
			w.desk = request.New(w.deps)
			_, err := w.start(t.Context())
			wantReturned(t, f)
			if tt.code != "" {
				wantCode(t, err, tt.code)
				if len(w.saved) != 0 || w.docs.status("doc1") != contract.StatusFailed {
					t.Errorf("%d accounts saved, document %s", len(w.saved), w.docs.status("doc1"))
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := ""
			if tt.password == "made" {
				want = "doc1"
			}
			if a := w.saved[0]; a.Auth.Password != tt.password || a.IssuedFor() != want {
				t.Errorf("saved %q, made for %q", a.Auth.Password, a.IssuedFor())
			}
		})
	}
}

func TestWhatWasMadeForARequestThatFailsIsGivenBack(t *testing.T) {
	t.Parallel()
	t.Run("account not saved", func(t *testing.T) {
		t.Parallel()
		w, f := exchanging(t)
		w.accounts.save = func(contract.Account) (string, error) { return "", errBroken }
		_, err := w.start(t.Context())
		wantCode(t, err, request.CodeOf(errBroken))
		wantReturned(t, f, "made")
	})
	t.Run("account not saved, and the document stays undecided", func(t *testing.T) {
		t.Parallel()
		w, f := exchanging(t)
		w.accounts.save = func(contract.Account) (string, error) {
			w.docs.onWrite = func(string) error { return errBroken } // the instance is away
			return "", errBroken
		}
		_, err := w.start(t.Context())
		wantCode(t, err, request.CodeOf(errBroken))
		wantReturned(t, f, "made")
	})
	t.Run("not published", func(t *testing.T) {
		t.Parallel()
		w, f := exchanging(t)
		w.queue.publish = func(contract.Requested) error { return errBroken }
		_, err := w.start(t.Context())
		wantCode(t, err, request.CodeUnavailable)
		wantReturned(t, f, "made")
	})
	t.Run("not published, and the document stays active", func(t *testing.T) {
		t.Parallel()
		w, f := exchanging(t)
		w.queue.publish = func(contract.Requested) error {
			w.docs.onWrite = func(string) error { return errBroken }
			return errBroken
		}
		_, err := w.start(t.Context())
		wantCode(t, err, request.CodeUnavailable)
		wantReturned(t, f) // a later request publishes the message
	})
	for name, stored := range map[string]string{"overruled": "winner", "overruled, but the winner's account was replaced": "made"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, f := exchanging(t)
			w.accounts.save = func(contract.Account) (string, error) {
				d, _ := w.docs.get("doc1")
				d.Status = contract.StatusFailed
				w.docs.put(d)
				w.accounts.login = func() (contract.Account, error) {
					a := issued("doc1", stored)
					a.Auth.URL = "https://cloud.example/"
					return a, nil
				}
				return "acc1", nil
			}
			_, err := w.start(t.Context())
			wantCode(t, err, request.CodeConflict)
			if stored == "made" {
				wantReturned(t, f)
				return
			}
			wantReturned(t, f, "made")
		})
	}
}

func TestAnEarlierPasswordIsGivenBackWhenItsMigrationIsOver(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		earlier contract.Account
		status  contract.Status // of the migration "old"; empty: it is gone
		want    []string
	}{
		"over":         {issued("old", "early"), contract.StatusCompleted, []string{"early"}},
		"gone":         {issued("old", "early"), "", []string{"early"}},
		"the user's":   {account(), contract.StatusCompleted, nil},
		"the same":     {issued("old", "pw"), contract.StatusCompleted, nil},
		"put over it":  {replaced(), contract.StatusCompleted, nil},
		"of an active": {issued("old", "early"), contract.StatusRunning, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, f := exchanging(t)
			w.accounts.login = func() (contract.Account, error) { return tt.earlier, nil }
			old := request.Document{ID: "old", Tracking: contract.NewTracking("/", "/x")}
			old.Status = tt.status
			w.docs.created = func(string) { // after the look for active ones
				if tt.status.Final() {
					w.docs.add(old)
				}
			}
			w.accounts.save = func(contract.Account) (string, error) { return "acc1", nil }
			if tt.status == contract.StatusRunning {
				w.docs.add(old)
				if _, err := w.start(t.Context()); request.CodeOf(err) != request.CodeConflict {
					t.Fatalf("error %v", err)
				}
			} else if _, err := w.start(t.Context()); err != nil {
				t.Fatal(err)
			}
			wantReturned(t, f, tt.want...)
		})
	}
}

// replaced is an account whose password another writer put over the one that was made.
func replaced() contract.Account {
	a := issued("old", "early")
	a.Auth.Password = "the user's own"
	return a
}
