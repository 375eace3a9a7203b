package instance_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/pkg/cozy"
	"example.org/ncm/pkg/cozytest"
	"example.org/ncm/pkg/nextcloudtest"
	"example.org/ncm/services/migrator/internal/instance"
	"example.org/ncm/services/migrator/internal/transfer"
)

const appPassword = "planted-app-password"

// far is an instance whose stack reaches a Nextcloud.
type far struct {
	bundle
	nextcloud *nextcloudtest.Server
	home      string // of the user, on disk
	account   string
	login     contract.Account
}

func setupFar(t *testing.T) *far {
	t.Helper()
	f := &far{bundle: setup(t), nextcloud: nextcloudtest.New(nextcloudtest.Config{Dir: t.TempDir(), SubPath: "/cloud"})}
	err := f.nextcloud.AddUser(nextcloudtest.User{ID: "alice", Password: "pw", AppPasswords: []nextcloudtest.AppPassword{{Token: appPassword}}})
	if err != nil {
		t.Fatal(err)
	}
	f.home = f.nextcloud.Root("alice")
	s := httptest.NewServer(f.nextcloud)
	t.Cleanup(s.Close)
	f.login = contract.Account{
		AccountType: contract.AccountTypeNextcloud, WebDAVUserID: "alice",
		Auth: contract.AccountAuth{URL: s.URL + "/cloud/", Login: "alice", Password: appPassword},
	}
	if f.account, _, err = f.inst.PutDoc(contract.DoctypeAccounts, "", f.login); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *far) source(root string) *instance.Remote {
	return instance.NewRemote(f.cozy, f.account, root, 4)
}

func (f *far) put(t *testing.T, path, content string) {
	t.Helper()
	p := filepath.Join(f.home, path)
	if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// list gives the children of a folder.
func list(t *testing.T, s *instance.Remote, folder string) []transfer.Entry {
	t.Helper()
	var all []transfer.Entry
	if _, err := s.List(t.Context(), folder, func(e transfer.Entry) error {
		all = append(all, e)
		return nil
	}); err != nil {
		t.Fatalf("list %q: %v", folder, err)
	}
	return all
}

func file(folder, name string, size int) transfer.File {
	return transfer.File{Name: name, FolderPath: folder, FolderTarget: cozy.RootDirID, Size: int64(size)}
}

// odd are paths of files that a stack takes for something else when they are sent
// as Go would write them, and others that are easily mangled.
var odd = []string{
	"trash/size/plain.txt", "size/plain.txt", "downstream/x",
	"100%", "100% sure?.txt", "%", "%%/%", "% %/inner.txt", "a%41b.txt", "é%41.txt", "%2F", "%2Fa%2F/%2e%2e",
	" leading and trailing ", "a;b,c=d&e+f.txt", "#hash", "q?Dl=1", `quote"'<>|`, "...", "~", "[1]", "a:b",
	"été.txt", "e\u0301te\u0301.txt", "日本/本.txt",
}

func TestEveryNameIsListedReadAndCopied(t *testing.T) {
	t.Parallel()
	f := setupFar(t)
	want := map[string]string{}
	for _, p := range odd {
		want[p] = "content of " + p
		f.put(t, p, want[p])
	}
	s := f.source("/")
	got := map[string]string{}
	var walk func(folder string)
	walk = func(folder string) {
		for _, e := range list(t, s, folder) {
			p := strings.TrimPrefix(folder+"/"+e.Name, "/")
			if e.Folder {
				walk(p)
				continue
			}
			got[p] = f.readAndFetch(t, s, folder, e)
		}
	}
	walk("")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

// readAndFetch reads a file, has it copied into a folder of its own, and gives its
// content.
func (f *far) readAndFetch(t *testing.T, s *instance.Remote, folder string, e transfer.Entry) string {
	t.Helper()
	p := strings.TrimPrefix(folder+"/"+e.Name, "/")
	body, err := s.Open(t.Context(), p)
	if err != nil {
		t.Fatalf("open %q: %v", p, err)
	}
	defer body.Close()
	content, err := io.ReadAll(body)
	if err != nil || body.ETag != e.ETag || body.ETag == "" || body.Size != e.Size || !body.ModTime.Equal(e.ModTime) {
		t.Errorf("%q: listed %+v, opened %+v, %v", p, e, body, err)
	}
	sum := md5.Sum(content)
	parent, err := f.target.EnsureFolder(t.Context(), transfer.NewFolder{ParentID: cozy.RootDirID, Name: hex.EncodeToString(sum[:])})
	if err != nil {
		t.Fatal(err)
	}
	stored, err := s.Fetch(t.Context(), transfer.File{Name: e.Name, FolderPath: folder, FolderTarget: parent.ID, Size: e.Size})
	if err != nil || stored.Name != e.Name || stored.Size != e.Size || !bytes.Equal(stored.MD5, sum[:]) {
		t.Errorf("fetch %q: %+v, %v", p, stored, err)
	}
	return string(content)
}

func TestARemoteRootIsAFolderAFileOrMissing(t *testing.T) {
	t.Parallel()
	f := setupFar(t)
	f.put(t, "Photos/2024/Photos", "same name as a folder above")
	f.put(t, "Photos/plain.txt", "12345")

	root, err := f.source("/Photos/").Check(t.Context())
	if err != nil || !root.Folder || root.Size != 32 || root.ETag == "" || root.ModTime.IsZero() {
		t.Errorf("folder: %+v, %v", root, err)
	}
	if root, err = f.source("Photos/plain.txt").Check(t.Context()); err != nil || root.Folder || root.Size != 5 {
		t.Errorf("file: %+v, %v", root, err)
	}
	if root, err = f.source("").Check(t.Context()); err != nil || !root.Folder || root.Size != 32 {
		t.Errorf("home: %+v, %v", root, err)
	}
	_, err = f.source("/Photo").Check(t.Context())
	wantSourceError(t, err, transfer.MigrationStops, transfer.ReasonSourceMissing)
	_, err = f.source("/nowhere/at/all").Check(t.Context())
	wantSourceError(t, err, transfer.MigrationStops, transfer.ReasonSourceMissing)

	var names []string
	for _, e := range list(t, f.source("/Photos/2024"), "") {
		names = append(names, e.Name)
	}
	if !slices.Equal(names, []string{"Photos"}) {
		t.Errorf("listed %q", names)
	}
	single := f.source("/Photos/plain.txt")
	if _, err = single.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if all := list(t, single, ""); len(all) != 1 || all[0].Folder || all[0].Name != "plain.txt" {
		t.Errorf("a file as root: %+v", all)
	}
	if got, err := single.Fetch(t.Context(), file("", "plain.txt", 5)); err != nil || got.Size != 5 {
		t.Errorf("fetched %+v, %v", got, err)
	}
}

func wantSourceError(t *testing.T, err error, class transfer.Class, reason transfer.Reason) {
	t.Helper()
	var e *transfer.Error
	if !errors.As(err, &e) || e.Side != transfer.SideSource || e.Class != class || e.Reason != reason {
		t.Errorf("got %v, want source, %d, %s", err, class, reason)
	}
}

func TestWhatOnlyLooksEmptyIsNotBelieved(t *testing.T) {
	t.Parallel()
	f := setupFar(t)
	_, err := f.source("/").Check(t.Context())
	wantSourceError(t, err, transfer.MigrationStops, transfer.ReasonNoFiles)

	f.put(t, "Away/lost.txt", "x")
	f.put(t, "Hollow/x", "x")
	if err := os.Remove(filepath.Join(f.home, "Hollow", "x")); err != nil {
		t.Fatal(err)
	}
	if err := f.nextcloud.SetMount("alice", "Away", nextcloudtest.Mount{Type: nextcloudtest.MountExternal, Offline: true}); err != nil {
		t.Fatal(err)
	}
	s := f.source("/")
	_, err = s.List(t.Context(), "Away", func(transfer.Entry) error { return nil })
	wantSourceError(t, err, transfer.Again, transfer.ReasonStorageAway)
	if children := list(t, s, "Hollow"); len(children) != 0 {
		t.Errorf("empty folder: %v", children)
	}
	_, err = f.source("/Away").Check(t.Context())
	wantSourceError(t, err, transfer.Again, transfer.ReasonStorageAway)
}

func TestAListingThroughTheStackThatIsCutIsNoShortOne(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*far){
		"by the Nextcloud": func(f *far) {
			f.nextcloud.Inject(nextcloudtest.Fault{Method: "PROPFIND", MalformedMultistatus: true, Times: -1})
		},
		"by the stack": func(f *far) {
			f.sim.Inject(cozytest.Fault{PathPrefix: "/remote/nextcloud/", CutAnswer: true})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setupFar(t)
			f.put(t, "d/a.txt", "1")
			f.put(t, "d/b.txt", "2")
			spoil(f)
			_, err := f.source("/").List(t.Context(), "d", func(transfer.Entry) error { return nil })
			if e := transfer.AsError(err); err == nil || e.Class != transfer.Again || e.Reason == transfer.ReasonInternal {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestErrorsOfARemoteAreToldApart(t *testing.T) {
	t.Parallel()
	status := func(path string, status int) func(*far) {
		return func(f *far) {
			f.nextcloud.Inject(nextcloudtest.Fault{Method: "GET", PathPrefix: "/remote.php/dav/files/alice/" + path, Status: status, Times: -1})
		}
	}
	for name, test := range map[string]struct {
		spoil  func(*far)
		side   transfer.Side
		class  transfer.Class
		reason transfer.Reason
	}{
		"gone":         {func(*far) {}, transfer.SideSource, transfer.EntryFails, transfer.ReasonNotFound},
		"forbidden":    {status("gone.txt", 403), transfer.SideSource, transfer.EntryFails, transfer.ReasonForbidden},
		"locked":       {status("gone.txt", 423), transfer.SideSource, transfer.Again, transfer.ReasonBusy},
		"maintenance":  {func(f *far) { f.nextcloud.SetMaintenance(true) }, transfer.SideSource, transfer.Again, transfer.ReasonBusy},
		"revoked":      {func(f *far) { f.nextcloud.Revoke(appPassword, 0) }, transfer.SideSource, transfer.MigrationStops, transfer.ReasonLoginRefused},
		"account gone": {func(f *far) { f.account = "nobody" }, transfer.SideSource, transfer.MigrationStops, transfer.ReasonLoginRefused},
		"instance gone": {
			func(f *far) { f.inst.SetGone(true) }, transfer.SideTarget, transfer.MigrationStops, transfer.ReasonInstanceGone,
		},
		"stack away": {
			func(f *far) { f.sim.Inject(cozytest.Fault{PathPrefix: "/remote/", ResetBeforeBody: true}) },
			transfer.SideTarget, transfer.Again, transfer.ReasonUnreachable,
		},
		"token refused": {
			func(f *far) {
				f.sim.Inject(cozytest.Fault{PathPrefix: "/remote/", Status: 401, Body: "No token in request"})
			},
			transfer.SideTarget, transfer.Again, transfer.ReasonAccessRefused,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setupFar(t)
			f.put(t, "there.txt", "here")
			test.spoil(f)
			s := f.source("/")
			_, err := s.Fetch(t.Context(), file("", "gone.txt", 4))
			e := transfer.AsError(err)
			if err == nil || e.Side != test.side || e.Class != test.class || e.Reason != test.reason {
				t.Errorf("fetch: %v, want %s, %d, %s", err, test.side, test.class, test.reason)
			}
			if _, err = s.Open(t.Context(), "gone.txt"); name != "gone" && transfer.AsError(err).Reason != test.reason {
				t.Errorf("open: %v, want %s", err, test.reason)
			}
		})
	}
}

func TestAfterARefusedLoginNothingMoreIsSent(t *testing.T) {
	t.Parallel()
	f := setupFar(t)
	f.put(t, "a.txt", "1")
	f.nextcloud.Revoke(appPassword, 0)
	s := f.source("/")
	for range 5 {
		_, err := s.Fetch(t.Context(), file("", "a.txt", 1))
		wantSourceError(t, err, transfer.MigrationStops, transfer.ReasonLoginRefused)
	}
	if n := f.nextcloud.Stats().Requests["GET"]; n > 1 { // what was just answered may not be counted yet
		t.Errorf("%d requests were refused, want 1", n)
	}
}

func TestWhatTheInstanceDoesNotTakeIsLeftToAStream(t *testing.T) {
	t.Parallel()
	long := string(bytes.Repeat([]byte("n"), 250))
	f := setupFar(t)
	f.put(t, "a.txt", "four")
	f.put(t, long, "four")
	s := f.source("/")
	wantNotFetched := func(what string, f transfer.File) {
		t.Helper()
		if _, err := s.Fetch(t.Context(), f); !errors.Is(err, transfer.ErrNotFetched) {
			t.Errorf("%s: %v", what, err)
		}
	}
	gone := file("", "a.txt", 4)
	gone.FolderTarget = "nowhere"
	wantNotFetched("parent gone", gone)
	wantNotFetched("name too long", file("", long, 4))
	f.nextcloud.Inject(nextcloudtest.Fault{Method: "GET", TruncateAfter: 2})
	wantNotFetched("body cut", file("", "a.txt", 4))
	f.inst.SetQuota(3)
	wantNotFetched("over quota", file("", "a.txt", 4))
	if entries := f.inst.Entries(); slices.ContainsFunc(entries, func(e cozytest.Entry) bool { return !e.Dir }) {
		t.Errorf("something was left behind: %+v", entries)
	}
}

func TestACopyThatWasCutOffBeforeItsAnswerIsFound(t *testing.T) {
	t.Parallel()
	f := setupFar(t)
	f.put(t, "a.txt", "four")
	f.sim.Inject(cozytest.Fault{PathPrefix: "/remote/", Times: 1, AfterCommit: true, Status: 504})
	s := f.source("/")
	if _, err := s.Fetch(t.Context(), file("", "a.txt", 4)); !errors.Is(err, transfer.ErrNameTaken) {
		t.Errorf("got %v, want a taken name", err)
	}
	if n := f.sim.Count("POST /remote/nextcloud/:account/downstream/*"); n != 1 {
		t.Errorf("%d copies were asked for, want 1", n)
	}
	if _, err := s.Fetch(t.Context(), file("", "a.txt", 4)); !errors.Is(err, transfer.ErrNameTaken) {
		t.Errorf("again: %v, want a taken name", err)
	}
}

func TestTheStackGoesOnWithACopyThatNobodyWaitsFor(t *testing.T) {
	t.Parallel()
	f := setupFar(t)
	f.put(t, "a.txt", "four")
	f.nextcloud.Inject(nextcloudtest.Fault{Method: "GET", StallAfter: 1, StallFor: 300 * time.Millisecond})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	s := f.source("/")
	if _, err := s.Fetch(ctx, file("", "a.txt", 4)); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("cut: %v", err)
	}
	for f.sim.Count("POST /remote/nextcloud/:account/downstream/*") == 0 {
		select {
		case <-t.Context().Done():
			t.Fatal("the copy did not end")
		case <-time.After(10 * time.Millisecond):
		}
	}
	if e, ok := f.inst.Lookup("/a.txt"); !ok || e.Size != 4 {
		t.Errorf("the file is %+v, %v", e, ok)
	}
}
