package instance_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/pkg/cozy"
	"example.org/ncm/pkg/cozytest"
	"example.org/ncm/services/migrator/internal/instance"
	"example.org/ncm/services/migrator/internal/transfer"
)

func TestTheScopeIsEnoughAndAllOfItIsNeeded(t *testing.T) {
	t.Parallel()
	if err := useAll(t, instance.Scope, "", ""); err != nil {
		t.Fatalf("the scope is not enough: %v", err)
	}
	for item := range strings.FieldsSeq(instance.Scope) {
		doctype, verbs, _ := strings.Cut(item, ":")
		for verb := range strings.SplitSeq(verbs, ",") {
			// The disk usage is shown to who has all verbs on files as well, as
			// recorded. Which of them it takes was not, so it is asked for by name.
			if doctype == contract.DoctypeSettings {
				continue
			}
			if useAll(t, instance.Scope, doctype, verb) == nil {
				t.Errorf("%s of %s is not needed", verb, doctype)
			}
		}
	}
}

// useAll does whatever the migrator does in an instance, by a token that lacks one
// verb.
func useAll(t *testing.T, scope, withoutType, withoutVerb string) error {
	t.Helper()
	sim := cozytest.New(cozytest.Config{Dir: t.TempDir()})
	t.Cleanup(sim.Close)
	inst := sim.AddInstance(host, cozytest.InstanceOptions{Apps: []cozytest.App{
		{Slug: "migrator", Rules: cozytest.RulesWithout(scope, withoutType, withoutVerb)},
	}})
	s := httptest.NewServer(sim)
	t.Cleanup(s.Close)
	i := cozy.New(cozy.Config{
		HTTP: clientTo(t, s), Scheme: "http",
		Tokens: cozy.Static(inst.MintToken(cozytest.TokenOptions{Subject: "migrator"})),
	}).Instance(host)
	account, _, accountErr := inst.PutDoc(contract.DoctypeAccounts, "", contract.Account{
		AccountType: contract.AccountTypeNextcloud, WebDAVUserID: "al",
		Auth: contract.AccountAuth{URL: "https://cloud.example/", Login: "al", Password: "s3cr3t"},
	})
	id, _, documentErr := inst.PutDoc(contract.DoctypeMigrations, "", contract.NewTracking("/", "/N"))
	return errors.Join(accountErr, documentErr, readAndWrite(t.Context(), instance.NewDocuments(i), account, id), copyAll(t.Context(), instance.NewTarget(i, nil)))
}

func readAndWrite(ctx context.Context, docs *instance.Documents, account, id string) error {
	_, login := docs.Account(ctx, account)
	_, _, reads := docs.Tracking(ctx, id)
	_, writes := docs.WriteTracking(ctx, id, func() error { return nil }, func(d *contract.Tracking) bool {
		d.Status = contract.StatusRunning
		return true
	})
	return errors.Join(login, reads, writes)
}

func copyAll(ctx context.Context, target *instance.Target) error {
	_, _, room := target.Room(ctx)
	root, makes := target.TargetRoot(ctx, "/N")
	_, again := target.EnsureFolder(ctx, transfer.NewFolder{ParentID: cozy.RootDirID, Name: "N"})
	file, creates := target.Create(ctx, transfer.NewFile{
		ParentID: root, Name: "a", Size: 1, ModTime: time.Unix(1, 0), Body: strings.NewReader("x"),
	})
	_, finds := target.Find(ctx, root, "a")
	marks := target.Mark(ctx, file.ID, transfer.Marks{Favorite: true})
	removes := target.Remove(ctx, file.ID)
	return errors.Join(room, makes, again, creates, finds, marks, removes, target.Check(ctx))
}

func TestTheScopeOfARemoteIsEnoughAndAllOfItIsNeeded(t *testing.T) {
	t.Parallel()
	if err := useRemote(t, "", ""); err != nil {
		t.Fatalf("the scope is not enough: %v", err)
	}
	for _, verb := range []string{"GET", "POST", "DELETE"} {
		if useRemote(t, contract.DoctypeFiles, verb) == nil {
			t.Errorf("%s of files is not needed", verb)
		}
	}
}

// useRemote copies a file through the stack by a token that lacks one verb.
func useRemote(t *testing.T, withoutType, withoutVerb string) error {
	t.Helper()
	f := setupFar(t)
	f.put(t, "a.txt", "four")
	f.cozy = f.withToken(t, cozytest.RulesWithout(instance.RemoteScope, withoutType, withoutVerb))
	s, target := f.source("/"), instance.NewTarget(f.cozy, nil)
	_, lists := s.Check(t.Context())
	copied, copies := s.Fetch(t.Context(), file("", "a.txt", 4))
	_, reads := s.Stat(t.Context(), "a.txt")
	_, _, room := target.Room(t.Context())
	removes := target.Remove(t.Context(), copied.ID)
	return errors.Join(lists, copies, reads, room, removes)
}

// withToken gives the instance to an app with some rules.
func (f *far) withToken(t *testing.T, rules []cozytest.Rule) *cozy.Instance {
	t.Helper()
	const limited = "limited." + host
	inst := f.sim.AddInstance(limited, cozytest.InstanceOptions{Apps: []cozytest.App{{Slug: "limited", Rules: rules}}})
	var err error
	if f.account, _, err = inst.PutDoc(contract.DoctypeAccounts, "", f.login); err != nil {
		t.Fatal(err)
	}
	return cozy.New(cozy.Config{
		HTTP: f.client, Scheme: "http", Tokens: cozy.Static(inst.MintToken(cozytest.TokenOptions{Subject: "limited"})),
	}).Instance(limited)
}
