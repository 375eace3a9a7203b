package instance_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"example.org/ncm/pkg/cozy"
	"example.org/ncm/pkg/cozytest"
	"example.org/ncm/services/migrator/internal/instance"
	"example.org/ncm/services/migrator/internal/transfer"
)

var modTime = time.Date(2021, 1, 2, 3, 4, 5, 0, time.UTC)

func newFolder(parentID, name string) transfer.NewFolder {
	return transfer.NewFolder{ParentID: parentID, Name: name, ModTime: modTime}
}

func newFile(name, content string) transfer.NewFile {
	return transfer.NewFile{
		ParentID: cozy.RootDirID, Name: name, Size: int64(len(content)), ModTime: modTime, Body: strings.NewReader(content),
	}
}

func TestCreateStoresTheBytesAndDates(t *testing.T) {
	t.Parallel()
	b := setup(t)
	f := newFile("a b+c.txt", "hello")
	f.MIME = "text/markdown; charset=utf-8"
	f.CreatedAt = modTime.Add(time.Hour) // after the last change: clamped
	got, err := b.target.Create(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	sum := md5.Sum([]byte("hello"))
	if got.Name != f.Name || got.Size != 5 || !bytes.Equal(got.MD5, sum[:]) || got.Folder || got.ID == "" {
		t.Errorf("got %+v", got)
	}
	stored, ok := b.inst.Lookup("/a b+c.txt")
	if !ok || !stored.CreatedAt.Equal(modTime) || !stored.UpdatedAt.Equal(modTime) {
		t.Errorf("stored %+v", stored)
	}
	found, err := b.target.Find(t.Context(), cozy.RootDirID, f.Name)
	if err != nil || found.ID != got.ID || !bytes.Equal(found.MD5, sum[:]) {
		t.Errorf("found %+v, %v", found, err)
	}
	body, err := b.inst.Open("/a b+c.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if content, err := io.ReadAll(body); err != nil || string(content) != "hello" {
		t.Errorf("content %q, %v", content, err)
	}
}

// TestCreateSendsSaneValues looks at the request itself.
func TestCreateSendsSaneValues(t *testing.T) {
	t.Parallel()
	epoch := time.Unix(0, 0)
	for name, test := range map[string]struct {
		file  transfer.NewFile
		query string
		mime  string
	}{
		"both dates": {
			transfer.NewFile{ModTime: modTime.In(time.FixedZone("", 3600)), CreatedAt: modTime.Add(-time.Hour)},
			"&CreatedAt=2021-01-02T02:04:05Z&UpdatedAt=2021-01-02T03:04:05Z", "",
		},
		"no creation":     {transfer.NewFile{ModTime: modTime}, "&CreatedAt=2021-01-02T03:04:05Z&UpdatedAt=2021-01-02T03:04:05Z", ""},
		"epoch":           {transfer.NewFile{ModTime: epoch}, "&CreatedAt=1970-01-01T00:00:00Z&UpdatedAt=1970-01-01T00:00:00Z", ""},
		"no dates":        {transfer.NewFile{CreatedAt: modTime}, "", ""},
		"year 10000":      {transfer.NewFile{ModTime: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}, "", ""},
		"year -1":         {transfer.NewFile{ModTime: time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC)}, "", ""},
		"insane creation": {transfer.NewFile{ModTime: epoch, CreatedAt: time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC)}, "&CreatedAt=1970-01-01T00:00:00Z&UpdatedAt=1970-01-01T00:00:00Z", ""},
		"mime":            {transfer.NewFile{MIME: "Text/Plain; charset=utf-8"}, "", "text/plain"},
		"no type":         {transfer.NewFile{MIME: "application/octet-stream"}, "", ""},
		"a folder's":      {transfer.NewFile{MIME: "httpd/unix-directory"}, "", ""},
		"not a type":      {transfer.NewFile{MIME: "foo"}, "", ""},
		"an injection":    {transfer.NewFile{MIME: "text/plain\r\nX: y"}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := make(chan [2]string, 1)
			target := scripted(t, func(w http.ResponseWriter, r *http.Request) {
				got <- [2]string{r.URL.RawQuery, r.Header.Get("Content-Type")}
				w.WriteHeader(http.StatusCreated)
				_, _ = io.WriteString(w, `{"data":{"id":"x","attributes":{"type":"file","name":"n","size":"1","md5sum":"ndTkYSaMgDT1yFZOFVxnpg=="}}}`)
			})
			test.file.ParentID, test.file.Name, test.file.Size, test.file.Body = "d1", "n", 1, strings.NewReader("x")
			if _, err := target.Create(t.Context(), test.file); err != nil {
				t.Fatal(err)
			}
			if want := [2]string{"Type=file&Name=n&Size=1" + test.query, test.mime}; <-got != want {
				t.Errorf("want %v", want)
			}
		})
	}
}

// scripted is a target on a handler of the test's own.
func scripted(t *testing.T, handle http.HandlerFunc) *instance.Target {
	t.Helper()
	s := httptest.NewServer(handle)
	t.Cleanup(s.Close)
	stack := cozy.New(cozy.Config{HTTP: clientTo(t, s), Scheme: "http", Tokens: cozy.Static("tok")})
	return instance.NewTarget(stack.Instance(host), nil)
}

func TestEnsureFolderIsIdempotentAndTellsNamesApart(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const nfc, nfd = "caf\u00e9", "cafe\u0301"
	ids := map[string]string{}
	for range 2 {
		for _, name := range []string{nfc, nfd, "a b", "%2e", "x\\y", strings.Repeat("d", 255)} {
			folder, err := b.target.EnsureFolder(t.Context(), newFolder(cozy.RootDirID, name))
			if err != nil {
				t.Fatalf("%q: %v", name, err)
			}
			if ids[name] != "" && ids[name] != folder.ID {
				t.Errorf("%q got another id", name)
			}
			ids[name] = folder.ID
		}
	}
	if ids[nfc] == ids[nfd] {
		t.Error("two names got one folder")
	}
}

func TestEnsureFolderFindsAFileInItsPlace(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if _, err := b.target.Create(t.Context(), newFile("taken", "x")); err != nil {
		t.Fatal(err)
	}
	_, err := b.target.EnsureFolder(t.Context(), newFolder(cozy.RootDirID, "taken"))
	wantError(t, err, transfer.EntryFails, transfer.ReasonNameTaken)
	if !errors.Is(err, transfer.ErrNameTaken) {
		t.Errorf("%v does not wrap ErrNameTaken", err)
	}
}

func TestANameThatIsTakenByNothingIsTriedAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.sim.Inject(cozytest.Fault{
		Method: http.MethodPost, QueryContains: "Type=directory", Times: 2, Status: http.StatusConflict,
		ContentType: "application/vnd.api+json", Body: `{"errors":[{"status":"409","title":"Conflict"}]}`,
	})
	_, err := b.target.EnsureFolder(t.Context(), newFolder(cozy.RootDirID, "dir"))
	wantError(t, err, transfer.Again, transfer.ReasonNameTaken)
	if errors.Is(err, transfer.ErrNameTaken) {
		t.Error("the folder would get a number")
	}
	if _, err := b.target.EnsureFolder(t.Context(), newFolder(cozy.RootDirID, "dir")); err != nil {
		t.Errorf("second time: %v", err)
	}
}

func TestEnsureFolderSurvivesALostAnswer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.sim.Inject(cozytest.Fault{Method: http.MethodPost, PathPrefix: "/files/", AfterCommit: true, Times: 1})
	_, err := b.target.EnsureFolder(t.Context(), newFolder(cozy.RootDirID, "sub"))
	wantError(t, err, transfer.Again, transfer.ReasonUnreachable)
	if _, err := b.target.EnsureFolder(t.Context(), newFolder(cozy.RootDirID, "sub")); err != nil {
		t.Errorf("second try: %v", err)
	}
}

func TestNamesThatTheStackDoesNotTakeAreChanged(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, name := range []string{
		".", "..", "a/b", "a\x00b", "a\nb", "a\rb", "bad\xff", strings.Repeat("x", 256), strings.Repeat("\u00e9", 125) + ".txt",
	} {
		file, err := b.target.Create(t.Context(), newFile(name, "x"))
		if err != nil || file.Name != instance.TargetName(name, false) {
			t.Errorf("file %q: %q, %v", name, file.Name, err)
		}
		found, err := b.target.Find(t.Context(), cozy.RootDirID, name)
		if err != nil || found.ID != file.ID {
			t.Errorf("file %q is not found under its own name: %v, %v", name, found, err)
		}
		name += "dir"
		folder, err := b.target.EnsureFolder(t.Context(), newFolder(cozy.RootDirID, name))
		if err != nil || folder.Name != instance.TargetName(name, true) {
			t.Errorf("folder %q: %q, %v", name, folder.Name, err)
		}
	}
	_, err := b.target.Create(t.Context(), newFile("", "x"))
	wantError(t, err, transfer.EntryFails, transfer.ReasonNameRefused)
	_, err = b.target.EnsureFolder(t.Context(), newFolder(cozy.RootDirID, ""))
	wantError(t, err, transfer.EntryFails, transfer.ReasonNameRefused)
}

func TestMarksAreAddedToThoseOfTheOwner(t *testing.T) {
	t.Parallel()
	b := setup(t)
	f := newFile("file", "x")
	f.Tags = []string{"mine"}
	file, err := b.target.Create(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		add      transfer.Marks
		favorite bool
		tags     []string
		patches  int64
	}{
		{transfer.Marks{Tags: []string{"one, two"}}, false, []string{"mine", "one, two"}, 1},
		{transfer.Marks{Favorite: true}, true, []string{"mine", "one, two"}, 2},
		{transfer.Marks{Tags: []string{"mine"}}, true, []string{"mine", "one, two"}, 2},
		{transfer.Marks{Tags: []string{"mine", "new"}}, true, []string{"mine", "one, two", "new"}, 3},
	} {
		if err := b.target.AddMarks(t.Context(), file.ID, step.add); err != nil {
			t.Fatal(err)
		}
		e, _ := b.inst.Lookup("/file")
		if e.Favorite != step.favorite || !slices.Equal(e.Tags, step.tags) {
			t.Errorf("favourite %t and tags %q after %+v", e.Favorite, e.Tags, step.add)
		}
		if got := b.sim.Stats()["PATCH /files/:id"][http.StatusOK]; got != step.patches {
			t.Errorf("%d requests to mark after %+v, want %d", got, step.add, step.patches)
		}
	}
	if err := b.target.AddMarks(t.Context(), "deadbeef", transfer.Marks{Tags: []string{"x"}}); transfer.AsError(err).Class != transfer.EntryFails {
		t.Errorf("of a file that is gone: %v", err)
	}
}

func TestMarksAreGivenAtOnceWhereTheStackTakesThem(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		marks   transfer.Marks
		patches int64
	}{
		"none":             {transfer.Marks{}, 0},
		"tags":             {transfer.Marks{Tags: []string{"holiday", "to print"}}, 0},
		"favourite":        {transfer.Marks{Favorite: true}, 1},
		"both":             {transfer.Marks{Favorite: true, Tags: []string{"holiday"}}, 1},
		"a comma in a tag": {transfer.Marks{Tags: []string{"one, two", "three"}}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			f, d := newFile("file", "x"), newFolder(cozy.RootDirID, "folder")
			f.Marks, d.Marks = test.marks, test.marks
			f.ModTime = time.Date(1969, 7, 20, 20, 17, 40, 0, time.UTC)
			file, err := b.target.Create(t.Context(), f)
			if err != nil {
				t.Fatal(err)
			}
			folder, err := b.target.EnsureFolder(t.Context(), d)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 { // it may be repeated
				for _, id := range []string{file.ID, folder.ID} {
					if err := b.target.Mark(t.Context(), id, test.marks); err != nil {
						t.Fatal(err)
					}
				}
			}
			for _, path := range []string{"/file", "/folder"} {
				e, _ := b.inst.Lookup(path)
				if e.Favorite != test.marks.Favorite || !slices.Equal(e.Tags, test.marks.Tags) {
					t.Errorf("%s has favourite %t and tags %q", path, e.Favorite, e.Tags)
				}
			}
			if got, _ := b.inst.Lookup("/file"); !got.UpdatedAt.Equal(f.ModTime) {
				t.Errorf("the file is of %s now", got.UpdatedAt)
			}
			if got := b.sim.Stats()["PATCH /files/:id"][http.StatusOK]; got != 4*test.patches {
				t.Errorf("%d requests to mark, want %d", got, 4*test.patches)
			}
		})
	}
}

func TestVanishedAndTrashedParentsAreReported(t *testing.T) {
	t.Parallel()
	b := setup(t)
	f := newFile("a", "x")
	f.ParentID = "deadbeef"
	_, err := b.target.Create(t.Context(), f)
	wantError(t, err, transfer.EntryFails, transfer.ReasonParentGone)
	_, err = b.target.EnsureFolder(t.Context(), newFolder("deadbeef", "sub"))
	wantError(t, err, transfer.EntryFails, transfer.ReasonParentGone)

	f = newFile("a", "x")
	f.ParentID = cozytest.TrashID
	_, err = b.target.Create(t.Context(), f)
	wantError(t, err, transfer.EntryFails, transfer.ReasonParentGone)
	_, err = b.target.EnsureFolder(t.Context(), newFolder(cozytest.TrashID, "sub"))
	wantError(t, err, transfer.EntryFails, transfer.ReasonParentGone)
}

func TestTakenNamesWrapErrNameTaken(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if _, err := b.target.Create(t.Context(), newFile("a", "x")); err != nil {
		t.Fatal(err)
	}
	_, err := b.target.Create(t.Context(), newFile("a", "y"))
	wantError(t, err, transfer.EntryFails, transfer.ReasonNameTaken)
	if !errors.Is(err, transfer.ErrNameTaken) {
		t.Errorf("%v does not wrap ErrNameTaken", err)
	}
}

func TestFindWrapsErrNotFound(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.target.Find(t.Context(), cozy.RootDirID, "nope")
	wantError(t, err, transfer.EntryFails, transfer.ReasonNotFound)
	if !errors.Is(err, transfer.ErrNotFound) {
		t.Errorf("%v does not wrap ErrNotFound", err)
	}
}

func TestRemoveIsIdempotentAndLeavesNothingInTheTrash(t *testing.T) {
	t.Parallel()
	b := setup(t)
	got, err := b.target.Create(t.Context(), newFile("a", "x"))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := b.target.Remove(t.Context(), got.ID); err != nil {
			t.Error(err)
		}
	}
	if files, versions := b.inst.Usage(); files+versions != 0 {
		t.Errorf("%d bytes are left", files+versions)
	}
}

func TestAFullInstanceStopsTheMigration(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.inst.SetQuota(10)
	if _, err := b.target.Create(t.Context(), newFile("a", "12345678")); err != nil {
		t.Fatal(err)
	}
	if room, limited, err := b.target.Room(t.Context()); room != 2 || !limited || err != nil {
		t.Errorf("room %d, %t, %v; want 2", room, limited, err)
	}
	_, err := b.target.Create(t.Context(), newFile("b", "123"))
	wantError(t, err, transfer.MigrationStops, transfer.ReasonQuota)
	b.inst.SetQuota(0)
	if _, limited, err := b.target.Room(t.Context()); limited || err != nil {
		t.Errorf("limited %t, %v", limited, err)
	}
}

func TestAFileBeyondTheStacksOwnLimitFailsAlone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.sim.Inject(cozytest.Fault{
		Method: http.MethodPost, QueryContains: "Type=file", Status: 413, ContentType: "application/vnd.api+json",
		Body: `{"errors":[{"status":"413","title":"Request Entity Too Large","detail":"x"}]}`,
	})
	_, err := b.target.Create(t.Context(), newFile("a", "x"))
	wantError(t, err, transfer.EntryFails, transfer.ReasonTooLarge)
	b.inst.SetQuota(100)
	_, err = b.target.Create(t.Context(), newFile("a", "x"))
	wantError(t, err, transfer.Again, transfer.ReasonTooLarge)
}

func TestAnswersAreClassifiedOnce(t *testing.T) {
	t.Parallel()
	const api = "application/vnd.api+json"
	for name, test := range map[string]struct {
		fault  cozytest.Fault
		class  transfer.Class
		reason transfer.Reason
		wait   time.Duration
	}{
		"busy":          {cozytest.Fault{Status: 503}, transfer.Again, transfer.ReasonBusy, 0},
		"bad gateway":   {cozytest.Fault{Status: 502, Body: "<html>"}, transfer.Again, transfer.ReasonBusy, 0},
		"failure":       {cozytest.Fault{Status: 500}, transfer.Again, transfer.ReasonBusy, 0},
		"locked":        {cozytest.Fault{Status: 423}, transfer.Again, transfer.ReasonBusy, 0},
		"too many":      {cozytest.Fault{Status: 429, RetryAfter: "7"}, transfer.Again, transfer.ReasonBusy, 7 * time.Second},
		"early":         {cozytest.Fault{Status: 503, AnswerEarly: true}, transfer.Again, transfer.ReasonBusy, 0},
		"reset":         {cozytest.Fault{ResetBeforeBody: true}, transfer.Again, transfer.ReasonUnreachable, 0},
		"reset midway":  {cozytest.Fault{ResetMidBody: true}, transfer.Again, transfer.ReasonUnreachable, 0},
		"lost answer":   {cozytest.Fault{AfterCommit: true}, transfer.Again, transfer.ReasonUnreachable, 0},
		"cut answer":    {cozytest.Fault{CutAnswer: true}, transfer.Again, transfer.ReasonUnreachable, 0},
		"not an answer": {cozytest.Fault{Status: 200, Body: "<html>"}, transfer.Again, transfer.ReasonIncomplete, 0},
		"digest":        {cozytest.Fault{Status: 412}, transfer.Again, transfer.ReasonIncomplete, 0},
		"mangled": {
			cozytest.Fault{Status: 412, Body: `{"errors":[{"status":"412","title":"Precondition Failed","detail":"x","source":{"parameter":"Content-MD5"}}]}`, ContentType: api},
			transfer.Again, transfer.ReasonCorrupt, 0,
		},
		"name":           {cozytest.Fault{Status: 422}, transfer.EntryFails, transfer.ReasonNameRefused, 0},
		"scope":          {cozytest.Fault{Status: 403, Body: "Forbidden"}, transfer.MigrationStops, transfer.ReasonAccessRefused, 0},
		"token for ever": {cozytest.Fault{Status: 401}, transfer.Again, transfer.ReasonBusy, 0},
		"redirect":       {cozytest.Fault{Status: 302}, transfer.Again, transfer.ReasonUnreachable, 0},
		"proxy 404":      {cozytest.Fault{Status: 404, Body: "404 page not found"}, transfer.Again, transfer.ReasonUnreachable, 0},
		"proxy 413":      {cozytest.Fault{Status: 413, Body: "<html>"}, transfer.EntryFails, transfer.ReasonTooLarge, 0},
		"teapot":         {cozytest.Fault{Status: 418}, transfer.Again, transfer.ReasonInternal, 0},
		"blocked":        {cozytest.Fault{Status: 402, Body: `[{"status":"402","title":"Blocked"}]`, ContentType: api}, transfer.MigrationStops, transfer.ReasonInstanceGone, 0},
		"blocked so":     {cozytest.Fault{Status: 503, Body: `[{"status":"503","title":"Blocked"}]`, ContentType: api}, transfer.MigrationStops, transfer.ReasonInstanceGone, 0},
		"being moved":    {cozytest.Fault{Status: 503, Body: `{"error":"The Twake requires a payment"}`, ContentType: api}, transfer.Again, transfer.ReasonBusy, 0},
		"gone":           {cozytest.Fault{Status: 404, Body: "Instance not found"}, transfer.MigrationStops, transfer.ReasonInstanceGone, 0},
		"app missing": {
			cozytest.Fault{Status: 404, Body: `{"errors":[{"status":"404","title":"not_found","detail":"x"}]}`, ContentType: api},
			transfer.MigrationStops, transfer.ReasonAccessRefused, 0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			test.fault.QueryContains = "Type=file"
			b.sim.Inject(test.fault)
			_, err := b.target.Create(t.Context(), newFile("a", strings.Repeat("x", 100<<10)))
			wantError(t, err, test.class, test.reason)
			e := transfer.AsError(err)
			if e.RetryAfter != test.wait {
				t.Errorf("wait %v, want %v", e.RetryAfter, test.wait)
			}
			// It is what slows the pace down.
			if asked := test.fault.Status; e.Throttled != (e.Class == transfer.Again && (asked == 423 || asked == 429 || asked == 503)) {
				t.Errorf("status %d: throttled is %v", asked, e.Throttled)
			}
		})
	}
}

func TestTroubleWithTheTokenIssuerPasses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fault  cozytest.Fault
		class  transfer.Class
		reason transfer.Reason
	}{
		"down":      {cozytest.Fault{Status: 503}, transfer.Again, transfer.ReasonBusy},
		"reset":     {cozytest.Fault{ResetBeforeBody: true}, transfer.Again, transfer.ReasonUnreachable},
		"own login": {cozytest.Fault{Status: 401}, transfer.Again, transfer.ReasonAccessRefused},
		"forbidden": {cozytest.Fault{Status: 403}, transfer.Again, transfer.ReasonAccessRefused},
		"misrouted": {cozytest.Fault{Status: 404, Body: "404 page not found"}, transfer.Again, transfer.ReasonAccessRefused},
		"unknown": {
			cozytest.Fault{Status: 404, Body: `{"errors":[{"status":"404","title":"Not Found"}]}`},
			transfer.MigrationStops, transfer.ReasonInstanceGone,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			test.fault.Host = adminHost
			b.sim.Inject(test.fault)
			_, err := b.target.Create(t.Context(), newFile("a", "x"))
			wantError(t, err, test.class, test.reason)
			if transfer.AsError(err).Throttled {
				t.Error("the target is taken for busy, which was not asked")
			}
			_, err = b.target.Find(t.Context(), cozy.RootDirID, "a")
			wantError(t, err, test.class, test.reason)
			wantError(t, b.target.Remove(t.Context(), "x"), test.class, test.reason)
		})
	}
}

func TestExpiredTokenCostsAnUploadOneMoreTry(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if err := b.target.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.inst.ExpireTokens()
	_, err := b.target.Create(t.Context(), newFile("a", "x"))
	wantError(t, err, transfer.Again, transfer.ReasonBusy)
	if _, err := b.target.Create(t.Context(), newFile("a", "x")); err != nil {
		t.Error(err)
	}
}

func TestErrorsOfTheSourceComeBackAsTheyAre(t *testing.T) {
	t.Parallel()
	b := setup(t)
	broken := &transfer.Error{Side: transfer.SideSource, Class: transfer.Again, Reason: transfer.ReasonChanged, Err: errors.New("x")}
	f := newFile("a", "")
	f.Size, f.Body = 100, io.MultiReader(strings.NewReader("abc"), failing{broken})
	if _, err := b.target.Create(t.Context(), f); !errors.Is(err, broken) || transfer.AsError(err) != broken {
		t.Errorf("got %v", err)
	}
	f.Body = strings.NewReader("abc")
	_, err := b.target.Create(t.Context(), f)
	if e := transfer.AsError(err); e.Side != transfer.SideSource || e.Reason != transfer.ReasonIncomplete {
		t.Errorf("short body: got %v", err)
	}
	if _, ok := b.inst.Lookup("/a"); ok {
		t.Error("a cut file is in the instance")
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestCancellationPassesThrough(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if err := b.target.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	hang := b.sim.Inject(cozytest.Fault{PathPrefix: "/files/", Hang: true})
	canceled := errors.New("canceled by the user")
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		for hang.Hits() == 0 && ctx.Err() == nil {
			<-time.After(time.Millisecond)
		}
		cancel(canceled)
	}()
	_, err := b.target.EnsureFolder(ctx, newFolder(cozy.RootDirID, "sub"))
	if !errors.Is(err, canceled) {
		t.Errorf("got %v, want the cause", err)
	}
	var e *transfer.Error
	if errors.As(err, &e) {
		t.Errorf("the end of the context was classified: %v", err)
	}
}

func TestTargetRootMakesWhatIsMissing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	want, err := b.target.TargetRoot(t.Context(), "/Nextcloud imported files/caf\u00e9")
	if err != nil {
		t.Fatal(err)
	}
	entry, ok := b.inst.Lookup("/Nextcloud imported files/caf\u00e9")
	if !ok || entry.ID != want {
		t.Errorf("got %q, the instance has %+v", want, entry)
	}
	if got, err := b.target.TargetRoot(t.Context(), "/Nextcloud imported files/caf\u00e9/"); got != want || err != nil {
		t.Errorf("again: %q, %v", got, err)
	}
	if got, err := b.target.TargetRoot(t.Context(), "/"); got != cozy.RootDirID || err != nil {
		t.Errorf("root: %q, %v", got, err)
	}
	if _, err := b.target.Create(t.Context(), newFile("file", "x")); err != nil {
		t.Fatal(err)
	}
	_, err = b.target.TargetRoot(t.Context(), "/file/sub")
	wantError(t, err, transfer.MigrationStops, transfer.ReasonNameTaken)
	_, err = b.target.TargetRoot(t.Context(), "/a/../b")
	wantError(t, err, transfer.MigrationStops, transfer.ReasonNameRefused)
}

func TestCheckTellsAnInstanceThatIsGone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if err := b.target.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.inst.SetGone(true)
	wantError(t, b.target.Check(t.Context()), transfer.MigrationStops, transfer.ReasonInstanceGone)
	b.inst.SetGone(false)
	b.inst.SetBlocked(true)
	wantError(t, b.target.Check(t.Context()), transfer.MigrationStops, transfer.ReasonInstanceGone)
}
