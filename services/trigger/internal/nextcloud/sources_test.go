package nextcloud_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/pkg/egress"
	"example.org/ncm/pkg/nextcloudtest"
	"example.org/ncm/services/trigger/internal/nextcloud"
	"example.org/ncm/services/trigger/internal/request"
)

const userID = "joe @home"

// cloud is a simulated Nextcloud below a sub-path with two users.
type cloud struct {
	*nextcloudtest.Server
	sources *nextcloud.Sources
	account contract.Account
}

func newCloud(t *testing.T) *cloud {
	t.Helper()
	c := &cloud{Server: nextcloudtest.New(nextcloudtest.Config{Dir: t.TempDir(), SubPath: "/nc"}), sources: newSources(t)}
	for _, u := range []nextcloudtest.User{
		{ID: userID, Logins: []string{"joe"}, AppPasswords: []nextcloudtest.AppPassword{
			{Token: password, Login: "joe"}, {Token: "no-files", Login: "joe", NoFiles: true},
		}},
		{ID: "bob", Password: "x"},
	} {
		if err := c.AddUser(u); err != nil {
			t.Fatal(err)
		}
	}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	c.account = accountAt(server.URL + "/nc/")
	return c
}

func newSources(t *testing.T) *nextcloud.Sources {
	t.Helper()
	transport := egress.NewTransport(egress.Options{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	t.Cleanup(transport.CloseIdleConnections)
	return nextcloud.NewSources(nextcloud.Config{Client: &http.Client{Transport: transport}, AllowHTTP: true})
}

func accountAt(url string) contract.Account {
	return contract.Account{
		AccountType: contract.AccountTypeNextcloud, WebDAVUserID: userID,
		Auth: contract.AccountAuth{URL: url, Login: "joe", Password: password},
	}
}

// put makes a file in a home.
func (c *cloud) put(t *testing.T, user, path, content string) {
	t.Helper()
	name := filepath.Join(c.Root(user), path)
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(content), 0o644)); err != nil {
		t.Fatal(err)
	}
}

func (c *cloud) names(t *testing.T, user string) []string {
	t.Helper()
	entries, err := os.ReadDir(c.Root(user))
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func (c *cloud) trashed(t *testing.T, user string) int {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(filepath.Dir(c.Root(user)), "trash"))
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func TestChildrenNamesWhatIsInTheHome(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	want := []string{"100% #1?.txt", "a&b+c;d.txt", "café", "naïve @ (1)", "trailing "}
	for _, name := range want {
		c.put(t, userID, name+"/deeper", "x")
	}
	got, err := c.sources.Children(t.Context(), c.account)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

func TestThousandsOfEntriesAreDeletedAndNothingElse(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.put(t, "bob", "his.txt", "x")
	for n := range 2000 {
		c.put(t, userID, fmt.Sprintf("file %d é%%.txt", n), "x")
	}
	names, err := c.sources.Children(t.Context(), c.account)
	if err != nil || len(names) != 2000 {
		t.Fatalf("%d names, %v", len(names), err)
	}
	for _, name := range names {
		if err := c.sources.Delete(t.Context(), c.account, name); err != nil {
			t.Fatalf("delete %s: %v", name, err)
		}
	}
	if left := c.names(t, userID); len(left) != 0 || c.trashed(t, userID) != 2000 {
		t.Errorf("%d are left, %d in the trashbin", len(left), c.trashed(t, userID))
	}
	if err := c.sources.EmptyTrash(t.Context(), c.account); err != nil || c.trashed(t, userID) != 0 {
		t.Errorf("empty the trashbin: %v, %d left", err, c.trashed(t, userID))
	}
	if diff := cmp.Diff([]string{"his.txt"}, c.names(t, "bob")); diff != "" {
		t.Errorf("another home (-want +got):\n%s", diff)
	}
}

func TestDeleteTakesOneEntryAndIsIdempotent(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.put(t, userID, "Photos/2024 été/a.jpg", "x")
	c.put(t, userID, "Photos/2023/b.jpg", "x")
	for range 2 {
		if err := c.sources.Delete(t.Context(), c.account, "Photos/2024 été"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(filepath.Join(c.Root(userID), "Photos/2023/b.jpg")); err != nil {
		t.Errorf("the neighbour is gone: %v", err)
	}
	if _, err := os.Stat(filepath.Join(c.Root(userID), "Photos/2024 été")); !os.IsNotExist(err) {
		t.Errorf("the folder is still there: %v", err)
	}
}

func TestDeleteNeverLeavesTheHome(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.put(t, "bob", "his.txt", "x")
	c.put(t, userID, "mine.txt", "x")
	for _, path := range []string{"", "/", "..", "../bob", "a/../../bob", ".", "a//b", "nul\x00", "\xff"} {
		if c.sources.Delete(t.Context(), c.account, path) == nil {
			t.Errorf("%q was deleted", path)
		}
	}
	for _, id := range []string{"", "..", "../bob", "joe/x"} {
		account := c.account
		account.WebDAVUserID = id
		if c.sources.Delete(t.Context(), account, "his.txt") == nil || c.sources.EmptyTrash(t.Context(), account) == nil {
			t.Errorf("as user %q it was deleted", id)
		}
	}
	if len(c.names(t, "bob")) != 1 || len(c.names(t, userID)) != 1 {
		t.Error("something was deleted")
	}
}

func TestAListingThatMayNotBeWholeIsAnError(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]nextcloudtest.Fault{
		"cut":       {TruncateAfter: 900},
		"malformed": {MalformedMultistatus: true},
		"bomb":      {XMLBomb: true},
		"hostile":   {HostileHrefs: true},
		"reset":     {ResetAfter: 900},
		"error":     {Status: 500},
		"down":      {Status: 502, Page: true},
		"redirect":  {RedirectTo: "/nc/remote.php/dav/files/bob/"},
		"not DAV":   {Status: 207, Body: "<html></html>"},
		"followed":  {Status: 207, Body: `<d:multistatus xmlns:d="DAV:"/><x/>`},
		"empty":     {Status: 207, Body: `<d:multistatus xmlns:d="DAV:"/>`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCloud(t)
			for n := range 20 {
				c.put(t, userID, fmt.Sprint(n), "x")
			}
			fault.Method = "PROPFIND"
			c.Inject(fault)
			names, err := c.sources.Children(t.Context(), c.account)
			if request.CodeOf(err) != request.CodeUnreachable {
				t.Errorf("%d names, error %v", len(names), err)
			}
			if err != nil && strings.Contains(request.MessageOf(err), "127.0.0.1") {
				t.Errorf("message %q", request.MessageOf(err))
			}
		})
	}
}

func TestAnEndlessListingEnds(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.sources.ReadAtMost(1 << 20)
	c.Inject(nextcloudtest.Fault{Method: "PROPFIND", EndlessMultistatus: true})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if _, err := c.sources.Children(ctx, c.account); request.CodeOf(err) != request.CodeUnreachable || ctx.Err() != nil {
		t.Errorf("error %v, context %v", err, ctx.Err())
	}
}

func TestALoginWithoutFilesIsNotAnEmptyHome(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.put(t, userID, "a", "x")
	c.account.Auth.Password = "no-files"
	if names, err := c.sources.Children(t.Context(), c.account); request.CodeOf(err) != request.CodeUnreachable {
		t.Errorf("%v, %v; want an error", names, err)
	}
	if amount, err := c.sources.Measure(t.Context(), c.account, "/"); request.CodeOf(err) != request.CodeUnreachable {
		t.Errorf("%v, %v; want an error", amount, err)
	}
}

func TestErrorsTellTheLoginFromTheEntryFromTheServer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault nextcloudtest.Fault
		code  request.Code
		entry bool
	}{
		"unauthorized": {nextcloudtest.Fault{Status: 401}, request.CodeBadCredentials, false},
		"throttled":    {nextcloudtest.Fault{Status: 429}, request.CodeUnreachable, false},
		"gateway":      {nextcloudtest.Fault{Status: 502, Page: true}, request.CodeUnreachable, false},
		"reset":        {nextcloudtest.Fault{Drop: true}, request.CodeUnreachable, false},
		"redirect":     {nextcloudtest.Fault{RedirectTo: "/nc/remote.php/dav/files/bob/his.txt", Status: 308}, request.CodeUnreachable, false},
		"forbidden":    {nextcloudtest.Fault{Status: 403}, request.CodeUnreachable, true},
		"locked":       {nextcloudtest.Fault{Status: 423}, request.CodeUnreachable, true},
		"broken":       {nextcloudtest.Fault{Status: 500}, request.CodeUnreachable, true},
		"storage away": {nextcloudtest.Fault{Status: 503}, request.CodeUnreachable, true},
		"in parts":     {nextcloudtest.Fault{Status: 207}, request.CodeUnreachable, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cl := newCloud(t)
			cl.put(t, userID, "a", "x")
			cl.put(t, "bob", "his.txt", "x")
			c.fault.Method, c.fault.Times = "DELETE", -1
			cl.Inject(c.fault)
			err := cl.sources.Delete(t.Context(), cl.account, "a")
			if request.CodeOf(err) != c.code || errors.Is(err, request.ErrEntry) != c.entry {
				t.Errorf("error %v", err)
			}
			if len(cl.names(t, "bob")) != 1 {
				t.Error("another home was reached")
			}
		})
	}
}

func TestFoldersOfAGroupAreNotTheUsersToDelete(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.put(t, userID, "mine/a", "x")
	c.put(t, userID, "group/b", "x")
	if err := c.SetPermissions(userID, "group", "GNVCKM"); err != nil {
		t.Fatal(err)
	}
	names, err := c.sources.Children(t.Context(), c.account)
	if diff := cmp.Diff([]string{"mine"}, names); diff != "" || err != nil {
		t.Errorf("names (-want +got):\n%s, error %v", diff, err)
	}
}

func TestMeasureTellsBytesAndFiles(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.put(t, userID, "a.txt", "12345")
	c.put(t, userID, "Photos/b.txt", "123")
	c.put(t, userID, "Photos/2024/c.txt", "12")
	c.put(t, userID, "Photos/2024/é/d.txt", "1")
	for path, want := range map[string][2]int64{
		"/": {11, 4}, "Photos": {6, 3}, "/Photos/2024/": {3, 2}, "/a.txt": {5, 1}, "/Photos/2024/é": {1, 1},
	} {
		amount, err := c.sources.Measure(t.Context(), c.account, path)
		if err != nil || amount.Bytes == nil || amount.Files == nil {
			t.Fatalf("%s: %v, %v", path, amount, err)
		}
		if got := [2]int64{*amount.Bytes, *amount.Files}; got != want {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
	if _, err := c.sources.Measure(t.Context(), c.account, "/nowhere"); !errors.Is(err, request.ErrNotFound) {
		t.Errorf("a missing path: %v", err)
	}
}

func TestCountingFilesIsGivenUpSooner(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	for n := range 50 {
		c.put(t, userID, fmt.Sprintf("f%d/g/h", n), "x")
	}
	amount, err := c.sources.Measure(t.Context(), c.account, "/")
	if err != nil || amount.Files != nil || *amount.Bytes != 50 {
		t.Errorf("%v, %v; want 50 bytes and no count", amount, err)
	}
	if asked := c.Stats().Requests["PROPFIND"]; asked > 40 {
		t.Errorf("%d requests", asked)
	}
}

func TestARightPasswordThatIsNotAcceptedIsToldFromAWrongOne(t *testing.T) {
	t.Parallel()
	const credentials = "nextcloud credentials are invalid"
	c := newCloud(t)
	if err := c.SetTwoFactor("bob", true); err != nil {
		t.Fatal(err)
	}
	account := c.account
	account.WebDAVUserID, account.Auth.Login = "bob", "bob"
	logins := newLogins(t, false)
	for given, want := range map[string]string{"x": credentials + appPasswordAdvice, "wrong": credentials} {
		account.Auth.Password = given
		_, err := logins.Check(t.Context(), account.Auth)
		wantRefusal(t, err, request.CodeBadCredentials, want)
		_, err = c.sources.Children(t.Context(), account)
		wantRefusal(t, err, request.CodeBadCredentials, want)
		wantRefusal(t, c.sources.Delete(t.Context(), account, "a"), request.CodeBadCredentials, want)
	}
}
