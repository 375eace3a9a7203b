package nextcloud_test

import (
	"context"
	"errors"
	"io"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/ncm/pkg/egress"
	"example.org/ncm/pkg/nextcloudtest"
	"example.org/ncm/pkg/transcripttest"
	"example.org/ncm/services/migrator/internal/nextcloud"
	"example.org/ncm/services/migrator/internal/transfer"
)

const (
	password = "planted-secret-7f3a"
	userID   = "alice s@example.org"
)

// cloud is a simulated Nextcloud with one user and a Source on it.
type cloud struct {
	*nextcloudtest.Server
	url  string
	http *httptest.Server
}

func newCloud(t *testing.T, files ...string) *cloud {
	t.Helper()
	c := serve(t, nextcloudtest.New(nextcloudtest.Config{Dir: t.TempDir(), SubPath: "/next cloud"}), "next%20cloud/")
	for _, name := range files {
		c.write(t, name, "content of "+filepath.Base(name))
	}
	return c
}

func serve(t *testing.T, sim *nextcloudtest.Server, subPath string) *cloud {
	t.Helper()
	user := nextcloudtest.User{
		ID: userID, Logins: []string{"alice"},
		AppPasswords: []nextcloudtest.AppPassword{{Token: password}, {Token: "no-files", NoFiles: true}},
	}
	if err := sim.AddUser(user); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(sim)
	t.Cleanup(srv.Close)
	return &cloud{Server: sim, url: srv.URL + "/" + subPath, http: srv}
}

func (c *cloud) write(t *testing.T, name, content string) {
	t.Helper()
	full := filepath.Join(c.Root(userID), name)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(name, "/") {
		if err := os.MkdirAll(full, 0o755); err != nil {
			t.Fatal(err)
		}
		return
	}
	if err := os.WriteFile(full, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (c *cloud) source(t *testing.T, change ...func(*nextcloud.Config)) *nextcloud.Source {
	t.Helper()
	cfg := nextcloud.Config{
		HTTP: c.http.Client().Transport, BaseURL: c.url, Login: "alice", Password: password, UserID: userID,
	}
	for _, f := range change {
		f(&cfg)
	}
	s, err := nextcloud.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// requests counts those that the server has answered; a client may know an answer
// before the server has counted it.
func (c *cloud) requests(t *testing.T, method string) int64 {
	t.Helper()
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for c.Stats().InFlight > 0 {
		select {
		case <-poll.C:
		case <-t.Context().Done():
			t.Fatal("a request never ended")
		}
	}
	return c.Stats().Requests[method]
}

func at(root string) func(*nextcloud.Config) {
	return func(c *nextcloud.Config) { c.Root = root }
}

func list(ctx context.Context, s *nextcloud.Source, folder string) (self transfer.Entry, children []transfer.Entry, err error) {
	self, err = s.List(ctx, folder, func(e transfer.Entry) error {
		children = append(children, e)
		return nil
	})
	return self, children, err
}

func read(ctx context.Context, s *nextcloud.Source, file string) (string, *transfer.Body, error) {
	b, err := s.Open(ctx, file)
	if err != nil {
		return "", nil, err
	}
	defer func() { _ = b.Close() }()
	content, err := io.ReadAll(b)
	return string(content), b, err
}

// wantError checks class and reason of an error, and that it keeps secrets.
func wantError(t *testing.T, err error, class transfer.Class, reason transfer.Reason) {
	t.Helper()
	var e *transfer.Error
	if !errors.As(err, &e) {
		t.Fatalf("got error %v, want a classified one", err)
	}
	if e.Side != transfer.SideSource || e.Class != class || e.Reason != reason {
		t.Errorf("got %s error of class %d, reason %s; want class %d, reason %s (%v)", e.Side, e.Class, e.Reason, class, reason, err)
	}
	for _, secret := range []string{password, "Private", "remote.php"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("error text holds %q: %v", secret, err)
		}
	}
}

var oddNames = []string{
	" leading", "trailing ", "100% #hash ?query &amp +plus ;semi,comma=eq:colon@at", "%41%2F%zz", "caf\u00e9 NFC",
	"emoji 👩‍👩‍👧 \u202ertl", "...", ".hidden", "quote'\"<>[]{}|^`~$!*()", strings.Repeat("ü", 120),
}

func TestNamesThatHurtAreListedAndRead(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	for _, name := range oddNames {
		c.write(t, "Root #1%/"+name+" d/"+name, "content of "+name)
	}
	s := c.source(t, at("/Root #1%/"))
	_, folders, err := list(t.Context(), s, "")
	if err != nil {
		t.Fatal(err)
	}
	if len(folders) != len(oddNames) {
		t.Fatalf("got folders %q", names(folders))
	}
	for _, folder := range folders {
		self, files, err := list(t.Context(), s, folder.Name)
		if err != nil || len(files) != 1 || !folder.Folder || self.Name != folder.Name {
			t.Fatalf("list %q: self %q, files %q, error %v", folder.Name, self.Name, names(files), err)
		}
		got, body, err := read(t.Context(), s, folder.Name+"/"+files[0].Name)
		if err != nil {
			t.Fatalf("read %q: %v", files[0].Name, err)
		}
		if want := "content of " + files[0].Name; got != want || !slices.Contains(oddNames, files[0].Name) {
			t.Errorf("file %q: got %q, want %q", files[0].Name, got, want)
		}
		if body.ETag == "" || body.ETag != files[0].ETag || body.Size != files[0].Size {
			t.Errorf("file %q: body has ETag %q, size %d; entry %q, %d",
				files[0].Name, body.ETag, body.Size, files[0].ETag, files[0].Size)
		}
	}
}

func TestOpenGivesWhatTheSourceSaysOfTheFile(t *testing.T) {
	t.Parallel()
	c := newCloud(t, "a.txt", "empty.bin")
	c.write(t, "empty.bin", "")
	modified := time.Date(2019, 1, 27, 14, 39, 15, 0, time.UTC)
	if err := os.Chtimes(filepath.Join(c.Root(userID), "a.txt"), modified, modified); err != nil {
		t.Fatal(err)
	}
	if err := c.SetChecksum(userID, "a.txt", "MD5:claimed SHA1:claimed"); err != nil {
		t.Fatal(err)
	}
	_, got, err := read(t.Context(), c.source(t), "a.txt")
	if err != nil {
		t.Fatal(err)
	}
	if got.Size != 16 || !got.ModTime.Equal(modified) || !strings.HasPrefix(got.MIME, "text/plain") ||
		got.Checksums != "MD5:claimed SHA1:claimed" {
		t.Errorf("got %+v", *got)
	}
	content, got, err := read(t.Context(), c.source(t), "empty.bin")
	if err != nil || content != "" || got.Size != 0 {
		t.Errorf("empty file: %q, size %d, error %v", content, got.Size, err)
	}
}

func TestCheckTellsFolderFileAndNothingApart(t *testing.T) {
	t.Parallel()
	c := newCloud(t, "dir/a.txt", "dir/sub/b.txt", "file.txt")
	home, err := c.source(t).Check(t.Context())
	if err != nil || !home.Folder || home.Size != 51 {
		t.Errorf("home: %+v, error %v", home, err)
	}
	dir, err := c.source(t, at("/dir")).Check(t.Context())
	if err != nil || !dir.Folder || dir.Name != "dir" || dir.Size != 32 {
		t.Errorf("folder: %+v, error %v", dir, err)
	}
	file := c.source(t, at("/file.txt"))
	entry, err := file.Check(t.Context())
	if err != nil || entry.Folder || entry.Name != "file.txt" || entry.Size != 19 {
		t.Errorf("file: %+v, error %v", entry, err)
	}
	if content, _, err := read(t.Context(), file, ""); err != nil || content != "content of file.txt" {
		t.Errorf("file: content %q, error %v", content, err)
	}
	nothing := c.source(t, at("/nothing"))
	_, err = nothing.Check(t.Context())
	wantError(t, err, transfer.MigrationStops, transfer.ReasonSourceMissing)
	_, _, err = list(t.Context(), nothing, "")
	wantError(t, err, transfer.MigrationStops, transfer.ReasonSourceMissing)
}

func TestFolderInPlaceOfAFileIsNotFound(t *testing.T) {
	t.Parallel()
	c := newCloud(t, "dir/a.txt")
	_, _, err := read(t.Context(), c.source(t), "dir")
	wantError(t, err, transfer.EntryFails, transfer.ReasonNotFound)
	_, _, err = list(t.Context(), c.source(t), "dir/a.txt")
	wantError(t, err, transfer.EntryFails, transfer.ReasonNotFound)
}

func TestAPageInPlaceOfAFileIsTriedAgain(t *testing.T) {
	t.Parallel()
	c := newCloud(t, "a.txt")
	c.Inject(nextcloudtest.Fault{Method: "GET", Status: 200, Body: "<html>please log in</html>"})
	_, _, err := read(t.Context(), c.source(t), "a.txt")
	wantError(t, err, transfer.Again, transfer.ReasonIncomplete)
	if content, _, err := read(t.Context(), c.source(t), "a.txt"); err != nil || content != "content of a.txt" {
		t.Errorf("content %q, error %v", content, err)
	}
}

func TestAForbiddenAddressStopsTheMigration(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	guarded := c.source(t, func(cfg *nextcloud.Config) { cfg.HTTP = egress.NewTransport(egress.Options{}) })
	_, err := guarded.Check(t.Context())
	wantError(t, err, transfer.MigrationStops, transfer.ReasonAddress)
}

func TestAbsentFoldersAreNoEmptyFolders(t *testing.T) {
	t.Parallel()
	c := newCloud(t, "away/a.txt", "dir/a.txt", "empty/")
	if err := c.SetMount(userID, "away", nextcloudtest.Mount{Type: nextcloudtest.MountExternal, Offline: true}); err != nil {
		t.Fatal(err)
	}
	_, _, err := list(t.Context(), c.source(t), "away")
	wantError(t, err, transfer.Again, transfer.ReasonStorageAway)
	_, _, err = read(t.Context(), c.source(t), "away/a.txt")
	wantError(t, err, transfer.Again, transfer.ReasonStorageAway)
	noFiles := c.source(t, func(c *nextcloud.Config) { c.Password = "no-files" })
	_, _, err = list(t.Context(), noFiles, "")
	wantError(t, err, transfer.MigrationStops, transfer.ReasonNoFiles)
	_, err = noFiles.Check(t.Context())
	wantError(t, err, transfer.MigrationStops, transfer.ReasonNoFiles)
	away := c.source(t, at("/away"))
	_, err = away.Check(t.Context())
	wantError(t, err, transfer.Again, transfer.ReasonStorageAway)
	if _, children, err := list(t.Context(), c.source(t), "empty"); err != nil || len(children) != 0 {
		t.Errorf("empty folder: children %q, error %v", names(children), err)
	}
}

func TestEncryptedFoldersAreToBeSkipped(t *testing.T) {
	t.Parallel()
	c := newCloud(t, "Secret/a.txt", "plain.txt")
	if err := c.SetEncrypted(userID, "Secret", true); err != nil {
		t.Fatal(err)
	}
	_, children, err := list(t.Context(), c.source(t), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range children {
		if (e.SkipReason != "") != (e.Name == "Secret") {
			t.Errorf("%s: skip reason %q", e.Name, e.SkipReason)
		}
	}
}

func TestWhatTheAccountMayNotReadIsToBeSkipped(t *testing.T) {
	t.Parallel()
	c := newCloud(t, "drop/a.txt", "hidden.txt", "shown.txt")
	for entry, permissions := range map[string]string{"drop": "SCK", "hidden.txt": "SNVW", "shown.txt": "SG"} {
		if err := c.SetPermissions(userID, entry, permissions); err != nil {
			t.Fatal(err)
		}
	}
	_, children, err := list(t.Context(), c.source(t), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range children {
		if (e.SkipReason != "") != (e.Name != "shown.txt") {
			t.Errorf("%s: skip reason %q", e.Name, e.SkipReason)
		}
	}
	_, _, err = list(t.Context(), c.source(t, at("drop")), "")
	wantError(t, err, transfer.MigrationStops, transfer.ReasonForbidden)
}

func TestMountsAreLeftOutAsSet(t *testing.T) {
	t.Parallel()
	c := newCloud(t, "From bob/sub/a.txt", "Team/a.txt", "NAS/a.txt", "single.txt", "own/a.txt", "Unscanned/a.txt", "Future/a.txt")
	for entry, mount := range map[string]nextcloudtest.Mount{
		"From bob": {Type: nextcloudtest.MountShared}, "single.txt": {Type: nextcloudtest.MountShared},
		"Team": {Type: nextcloudtest.MountGroup}, "NAS": {Type: nextcloudtest.MountExternal}, "Future": {Type: "future"},
		"Unscanned": {Type: nextcloudtest.MountExternal, Unscanned: true},
	} {
		if err := c.SetMount(userID, entry, mount); err != nil {
			t.Fatal(err)
		}
	}
	for name, test := range map[string]struct {
		mounts nextcloud.Mounts
		want   []string
	}{
		"copy all":         {nextcloud.Mounts{}, nil},
		"up to a size":     {nextcloud.Mounts{Largest: 21}, nil},
		"below all sizes":  {nextcloud.Mounts{Largest: 1}, []string{"From bob", "Future", "NAS", "Team", "single.txt"}},
		"skip shares":      {nextcloud.Mounts{SkipShared: true}, []string{"From bob", "single.txt"}},
		"skip groups":      {nextcloud.Mounts{SkipGroup: true}, []string{"Team"}},
		"skip externals":   {nextcloud.Mounts{SkipExternal: true}, []string{"NAS", "Unscanned"}},
		"large or foreign": {nextcloud.Mounts{SkipGroup: true, Largest: 21}, []string{"Team"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, children, err := list(t.Context(), c.source(t, func(cfg *nextcloud.Config) { cfg.Mounts = test.mounts }), "")
			if err != nil {
				t.Fatal(err)
			}
			var skipped []string
			for _, e := range children {
				if e.SkipReason != "" {
					skipped = append(skipped, e.Name)
					if !strings.Contains(e.SkipReason, "(mount type ") {
						t.Errorf("%s: reason %q does not show the mount type", e.Name, e.SkipReason)
					}
				}
			}
			if diff := cmp.Diff(test.want, skipped); diff != "" {
				t.Errorf("skipped (-want +got):\n%s", diff)
			}
		})
	}
	// Whoever asks for a mount itself gets what is in it.
	_, children, err := list(t.Context(), c.source(t, at("From bob"), func(cfg *nextcloud.Config) { cfg.Mounts.SkipShared = true }), "")
	if err != nil || len(children) != 1 || children[0].SkipReason != "" {
		t.Errorf("in a share that was asked for: %+v, error %v", children, err)
	}
}

func TestMarksThatAreNotKeptAreNotAskedFor(t *testing.T) {
	t.Parallel()
	c := newCloud(t, "a.txt")
	if err := errors.Join(c.SetFavorite(userID, "a.txt", true), c.SetTags(userID, "a.txt", "holiday")); err != nil {
		t.Fatal(err)
	}
	for _, keep := range []bool{true, false} {
		s := c.source(t, func(cfg *nextcloud.Config) { cfg.NoFavorites, cfg.NoTags = !keep, !keep })
		_, children, err := list(t.Context(), s, "")
		if err != nil || len(children) != 1 || children[0].Favorite != keep || (len(children[0].Tags) == 1) != keep {
			t.Errorf("kept %t: %+v, error %v", keep, children, err)
		}
	}
}

func TestARootThatIsAFileIsItsOnlyEntry(t *testing.T) {
	t.Parallel()
	c := newCloud(t, "dir/a.txt", "dir/b.txt")
	s := c.source(t, at("dir/a.txt"))
	root, err := s.Check(t.Context())
	if err != nil || root.Folder || root.Name != "a.txt" {
		t.Fatalf("root %+v, error %v", root, err)
	}
	self, children, err := list(t.Context(), s, "")
	if err != nil || !self.Folder || self.Size != root.Size || len(children) != 1 || children[0].Name != "a.txt" || children[0].Folder {
		t.Fatalf("folder %+v, children %+v, error %v", self, children, err)
	}
	content, _, err := read(t.Context(), s, "a.txt")
	if err != nil || content != "content of a.txt" {
		t.Errorf("content %q, error %v", content, err)
	}
	if _, err := s.Stat(t.Context(), "a.txt"); err != nil {
		t.Errorf("stat: %v", err)
	}
	if _, _, err := read(t.Context(), s, "b.txt"); err == nil {
		t.Error("a file beside the root was read")
	}
	if err := os.Remove(filepath.Join(c.Root(userID), "dir/a.txt")); err != nil {
		t.Fatal(err)
	}
	_, _, err = list(t.Context(), s, "")
	wantError(t, err, transfer.MigrationStops, transfer.ReasonSourceMissing)
	c.write(t, "dir/a.txt/", "")
	_, _, err = list(t.Context(), s, "")
	wantError(t, err, transfer.Again, transfer.ReasonChanged)
}

func TestPathsThatLeaveTheRootAreRefused(t *testing.T) {
	t.Parallel()
	c := newCloud(t, "dir/a.txt", "outside.txt")
	s := c.source(t, at("dir"), func(c *nextcloud.Config) { c.MaxDepth = 2 })
	for _, p := range []string{"..", "../outside.txt", "a/../../outside.txt", "a//b", ".", "a\x00b", "\xe9", "a/b/c"} {
		_, _, err := read(t.Context(), s, p)
		wantError(t, err, transfer.EntryFails, transfer.ReasonIncomplete)
		_, _, err = list(t.Context(), s, p)
		wantError(t, err, transfer.EntryFails, transfer.ReasonIncomplete)
	}
	if n := c.Stats().Requests; len(n) != 0 {
		t.Errorf("requests were sent: %v", n)
	}
}

func TestLargeFoldersEndAtTheLimit(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	if err := c.AddGeneratedFolder(userID, "many", 50, 10); err != nil {
		t.Fatal(err)
	}
	_, children, err := list(t.Context(), c.source(t, func(c *nextcloud.Config) { c.MaxEntries = 49 }), "many")
	wantError(t, err, transfer.EntryFails, transfer.ReasonIncomplete)
	if len(children) != 49 {
		t.Errorf("got %d children, want 49", len(children))
	}
	if _, children, err := list(t.Context(), c.source(t, func(c *nextcloud.Config) { c.MaxEntries = 50 }), "many"); err != nil || len(children) != 50 {
		t.Errorf("%d children, error %v", len(children), err)
	}
}

func TestNewRefusesWhatItCannotUse(t *testing.T) {
	t.Parallel()
	good := nextcloud.Config{HTTP: roundTrip(nil), BaseURL: "https://cloud.example/", Login: "alice"}
	if _, err := nextcloud.New(good); err != nil {
		t.Fatal(err)
	}
	tests := map[string]func(*nextcloud.Config){
		"no transport":      func(c *nextcloud.Config) { c.HTTP = nil },
		"no address":        func(c *nextcloud.Config) { c.BaseURL = "" },
		"another scheme":    func(c *nextcloud.Config) { c.BaseURL = "file:///etc/passwd" },
		"no host":           func(c *nextcloud.Config) { c.BaseURL = "https:///x" },
		"login in address":  func(c *nextcloud.Config) { c.BaseURL = "https://alice:" + password + "@cloud.example/" },
		"garbled address":   func(c *nextcloud.Config) { c.BaseURL = "https://" + password + "\x7f" },
		"query in address":  func(c *nextcloud.Config) { c.BaseURL = "https://cloud.example/?a" },
		"no user":           func(c *nextcloud.Config) { c.Login = "" },
		"user is a path":    func(c *nextcloud.Config) { c.UserID = "../bob" },
		"root leaves home":  func(c *nextcloud.Config) { c.Root = "/a/../../bob" },
		"root is not UTF-8": func(c *nextcloud.Config) { c.Root = "/\xe9" },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := good
			change(&cfg)
			_, err := nextcloud.New(cfg)
			if err == nil {
				t.Fatal("no error")
			}
			if strings.Contains(err.Error(), password) {
				t.Errorf("error text holds the password: %v", err)
			}
		})
	}
}

func TestRecordedListingsAreRead(t *testing.T) {
	t.Parallel()
	listings, folders := 0, 0
	for _, file := range transcripttest.Files(t, "nextcloud", "*.txt") {
		for _, x := range transcripttest.Nextcloud(t, filepath.Base(file)) {
			doc, whole := recordedMultistatus(x)
			if !whole {
				continue
			}
			listings++
			if recordedFolder(t, x, doc) {
				folders++
			}
			var got []string
			err := nextcloud.Responses(strings.NewReader(doc), func(href string, _ int, _ transfer.Entry) { got = append(got, href) })
			if err != nil {
				t.Errorf("%s: %s: %v", filepath.Base(file), x.Title, err)
				continue
			}
			want, err := referenceHrefs(doc)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: %s: addresses (-encoding/xml +ours):\n%s", filepath.Base(file), x.Title, diff)
			}
		}
	}
	if listings < 30 || folders < 5 {
		t.Errorf("only %d listings, %d of folders, found in the recordings", listings, folders)
	}
}

// recordedAbsent are the folders that the recorded server answered for without
// having them.
var recordedAbsent = []string{"Ext dead", "WITHOUT filesystem access", "other user's root"}

// recordedFolder reads a listing as that of the folder that was asked for, if it
// was asked for with what a listing needs.
func recordedFolder(t *testing.T, x transcripttest.NextcloudExchange, doc string) bool {
	t.Helper()
	folder, err := url.PathUnescape(x.Target)
	asked := x.Method == "PROPFIND" && x.Header.Get("Depth") == "1" && strings.Contains(doc, "fileid") && !strings.Contains(x.Title, "paginated")
	if err != nil || !asked || !strings.Contains(folder, "/dav/files/") || !strings.HasSuffix(folder, "/") {
		return false
	}
	children := 0
	_, err = nextcloud.Decode(strings.NewReader(doc), folder, 1000, func(transfer.Entry) error { children++; return nil })
	absent := slices.ContainsFunc(recordedAbsent, func(s string) bool { return strings.Contains(x.Title, s) })
	if (err != nil) != absent {
		t.Errorf("%s: error %v, want one: %v", x.Title, err, absent)
	}
	if want := strings.Count(doc, "<d:response>") - 1; children != want {
		t.Errorf("%s: %d children, want %d", x.Title, children, want)
	}
	return true
}

// recordedMultistatus cuts the answer out of an exchange; those that were
// recorded in part, or in which the recorder took names for secrets, are left out.
func recordedMultistatus(x transcripttest.NextcloudExchange) (doc string, whole bool) {
	end := strings.LastIndex(x.Text, "</d:multistatus>")
	_, root, _ := strings.Cut(x.Text, "?>")
	if end < 0 || strings.Contains(x.Text, transcripttest.Secret) || !strings.HasPrefix(strings.TrimSpace(root), "<d:multistatus") {
		return "", false
	}
	return x.Text[:end+len("</d:multistatus>")], true
}
