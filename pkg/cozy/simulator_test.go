package cozy_test

import (
	"bytes"
	"crypto/md5"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

	"example.org/ncm/pkg/cozy"
	"example.org/ncm/pkg/cozytest"
)

// simulate starts a simulated stack with one instance and a client that gets its
// tokens from the stack's admin API.
func simulate(t *testing.T) (*cozytest.Stack, *cozytest.Instance, *cozy.Instance) {
	t.Helper()
	const adminHost = "admin.cozy.example"
	sim := cozytest.New(cozytest.Config{AdminUser: "admin", AdminPassword: "pw", AdminHost: adminHost})
	t.Cleanup(sim.Close)
	inst := sim.AddInstance(host, cozytest.InstanceOptions{})
	s := httptest.NewServer(sim)
	t.Cleanup(s.Close)
	client := clientTo(t, s)
	tokens := cozy.NewAdmin(client, "http://"+adminHost, "admin", "pw", "io.cozy.files io.cozy.accounts io.cozy.nextcloud.migrations io.cozy.settings")
	stack := cozy.New(cozy.Config{HTTP: client, Scheme: "http", Tokens: cozy.Cached(tokens)})
	return sim, inst, stack.Instance(host)
}

func TestFilesOnTheSimulatedStack(t *testing.T) {
	t.Parallel()
	_, _, i := simulate(t)
	ctx := t.Context()
	dir, err := i.MakeDir(ctx, cozy.RootDirID, nfd, cozy.Times{CreatedAt: updated, UpdatedAt: updated})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := i.MakeDir(ctx, cozy.RootDirID, nfc, cozy.Times{}); err != nil {
		t.Fatal(err)
	}
	if _, err := i.MakeDir(ctx, cozy.RootDirID, nfd, cozy.Times{}); !cozy.IsConflict(err) {
		t.Errorf("second folder of the name: %v", err)
	}
	found, err := i.FindInDir(ctx, cozy.RootDirID, nfd)
	if err != nil || found.ID != dir.ID || !found.Folder {
		t.Errorf("found %+v, %v; want %s", found, err, dir.ID)
	}
	content := []byte("hello cozy\n")
	sum := md5.Sum(content)
	file, err := i.Upload(ctx, cozy.Upload{
		DirID: dir.ID, Name: "a+b & c.txt", Size: int64(len(content)), MD5: sum[:],
		Times: cozy.Times{CreatedAt: created, UpdatedAt: updated}, Body: bytes.NewReader(content),
	})
	if err != nil || !bytes.Equal(file.MD5, sum[:]) || !file.UpdatedAt.Equal(updated) || !file.CreatedAt.Equal(created) {
		t.Fatalf("uploaded %+v, %v", file, err)
	}
	if got, err := i.FindInDir(ctx, dir.ID, "a+b & c.txt"); err != nil || got.ID != file.ID || got.Size != file.Size {
		t.Errorf("found %+v, %v", got, err)
	}
	if got, err := i.FileByPath(ctx, "/"+nfd+"/a+b & c.txt"); err == nil && got.ID != file.ID {
		t.Errorf("by path: %+v", got)
	}
	if usage, err := i.DiskUsage(ctx); err != nil || usage.Used != int64(len(content)) || usage.Quota != 0 {
		t.Errorf("usage %+v, %v", usage, err)
	}
	if err := i.Destroy(ctx, file.ID); err != nil {
		t.Error(err)
	}
	if _, err := i.FileByID(ctx, file.ID); !cozy.IsNotFound(err) {
		t.Errorf("destroyed file: %v", err)
	}
}

func TestFoldersAreListedWhereTheSimulatedStackHasNoIndex(t *testing.T) {
	t.Parallel()
	sim, _, i := simulate(t)
	for n := range 250 {
		if _, err := i.MakeDir(t.Context(), cozy.RootDirID, strings.Repeat("x", n+1), cozy.Times{}); err != nil {
			t.Fatal(err)
		}
	}
	sim.Inject(cozytest.Fault{PathPrefix: "/files/_find", Status: 400, Body: `{"error":"no_index","reason":"x"}`, ContentType: "application/json"})
	want := strings.Repeat("x", 250)
	if got, err := i.FindInDir(t.Context(), cozy.RootDirID, want); err != nil || got.Name != want {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := i.FindInDir(t.Context(), cozy.RootDirID, "y"); !cozy.IsNotFound(err) {
		t.Errorf("got %v, want not found", err)
	}
}

func TestExpiredTokensAreReplacedOnTheSimulatedStack(t *testing.T) {
	t.Parallel()
	_, inst, i := simulate(t)
	if _, err := i.DiskUsage(t.Context()); err != nil {
		t.Fatal(err)
	}
	inst.ExpireTokens()
	if _, err := i.DiskUsage(t.Context()); err != nil {
		t.Errorf("after the expiry: %v", err)
	}
	inst.ExpireTokens()
	up := func() error {
		_, err := i.Upload(t.Context(), cozy.Upload{DirID: cozy.RootDirID, Name: "a", Size: 1, Body: strings.NewReader("a")})
		return err
	}
	if err := up(); !errors.Is(err, cozy.ErrTokenRefreshed) {
		t.Errorf("upload with an expired token: %v", err)
	}
	if err := up(); err != nil {
		t.Errorf("upload with a fresh body: %v", err)
	}
}

func TestDocumentsOnTheSimulatedStack(t *testing.T) {
	t.Parallel()
	_, inst, i := simulate(t)
	ctx := t.Context()
	ref, err := i.CreateDoc(ctx, doctype, map[string]any{"status": "pending", "foreign": 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := i.PutDoc(ctx, doctype, ref, map[string]any{"status": "running"}); err != nil {
		t.Fatal(err)
	}
	if _, err := i.PutDoc(ctx, doctype, ref, map[string]any{"status": "failed"}); !cozy.IsConflict(err) {
		t.Errorf("stale revision: %v", err)
	}
	found, err := i.FindDocs(ctx, doctype, cozy.Query{Selector: map[string]any{"status": "running"}, Limit: 1})
	if err != nil || len(found) != 1 || found[0].ID != ref.ID {
		t.Errorf("found %+v, %v", found, err)
	}
	account, err := i.CreateDoc(ctx, "io.cozy.accounts", map[string]any{
		"account_type": "nextcloud", "auth": map[string]any{"login": "alice", "password": "s3cr3t", "url": "https://nc.example/"},
	})
	if err != nil {
		t.Fatal(err)
	}
	var got struct{ Auth struct{ Password string } }
	if _, err := i.GetDoc(ctx, "io.cozy.accounts", account.ID, &got, cozy.WithCredentials()); err != nil || got.Auth.Password != "s3cr3t" {
		t.Errorf("credentials %+v, %v", got, err)
	}
	n := 0
	for _, err := range i.NormalDocs(ctx, "io.cozy.accounts") {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 1 {
		t.Errorf("%d accounts, want 1", n)
	}
	rules, err := i.Permissions(ctx, inst.AppToken())
	if err != nil || !cozy.AllowsType(rules, "POST", doctype) {
		t.Errorf("rules %+v, %v", rules, err)
	}
	if _, err := i.GetDoc(ctx, doctype, "nope", nil); !cozy.IsNotFound(err) {
		t.Errorf("missing document: %v", err)
	}
}

func TestInstancesThatAreGoneOrBlockedOnTheSimulatedStack(t *testing.T) {
	t.Parallel()
	_, inst, i := simulate(t)
	if _, err := i.DiskUsage(t.Context()); err != nil {
		t.Fatal(err)
	}
	inst.SetBlocked(true)
	for reason, blocked := range map[string]bool{"": true, cozytest.BlockedUnpaid: true, cozytest.BlockedMoving: false} {
		inst.SetBlockingReason(reason)
		if _, err := i.FileByID(t.Context(), cozy.RootDirID); cozy.IsBlocked(err) != blocked {
			t.Errorf("blocked for %q: %v", reason, err)
		}
	}
	inst.SetBlocked(false)
	inst.SetGone(true)
	if _, err := i.GetDoc(t.Context(), doctype, "m1", nil); !cozy.IsInstanceGone(err) || cozy.IsNotFound(err) {
		t.Errorf("gone: %v", err)
	}
}
