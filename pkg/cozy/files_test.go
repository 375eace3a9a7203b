package cozy_test

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/ncm/pkg/cozy"
)

var (
	created = time.Date(2020, 1, 2, 5, 4, 5, 6, time.FixedZone("", 7200))
	updated = time.Date(2021, 1, 2, 3, 4, 5, 0, time.UTC)
)

func TestMakeDirSendsNameAndDatesByParentID(t *testing.T) {
	t.Parallel()
	s := script(t, answer{201, nil, dirAnswer})
	got, err := instanceOn(t, s.Server, cozy.Static("tok")).
		MakeDir(t.Context(), "d1", "a b/é&=+#%?", cozy.Times{CreatedAt: created, UpdatedAt: updated})
	if err != nil {
		t.Fatal(err)
	}
	want := cozy.File{ID: "d2", Name: "sub", DirID: "d1", Folder: true, Rev: "1-b", UpdatedAt: updated, CreatedAt: time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("file (-want +got):\n%s", diff)
	}
	wantRequest := []request{{
		Line: "POST /files/d1?Type=directory&Name=a%20b%2F%C3%A9%26%3D%2B%23%25%3F" +
			"&CreatedAt=2020-01-02T03:04:05.000000006Z&UpdatedAt=2021-01-02T03:04:05Z",
		Host: host, Auth: "Bearer tok",
	}}
	if diff := cmp.Diff(wantRequest, s.got()); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
}

func TestNamesArriveByteForByte(t *testing.T) {
	t.Parallel()
	all := make([]byte, 256)
	for k := range all {
		all[k] = byte(k)
	}
	s := script(t, answer{201, nil, dirAnswer})
	if _, err := instanceOn(t, s.Server, cozy.Static("tok")).MakeDir(t.Context(), "d1", string(all), cozy.Times{}); err != nil {
		t.Fatal(err)
	}
	u, err := url.ParseRequestURI(s.got()[0].Line[len("POST "):])
	if err != nil {
		t.Fatal(err)
	}
	if got := u.Query().Get("Name"); got != string(all) {
		t.Errorf("got %q", got)
	}
}

func TestMakeDirInTheTrashSaysSo(t *testing.T) {
	t.Parallel()
	s := script(t, answer{201, nil, `{"data":{"id":"x","attributes":{"type":"directory","name":"x","path":"/.cozy_trash/sub/x"}}}`})
	got, err := instanceOn(t, s.Server, cozy.Static("tok")).MakeDir(t.Context(), "d1", "x", cozy.Times{})
	if err != nil || !got.Trashed {
		t.Errorf("got %+v, %v; want it to be in the trash", got, err)
	}
}

func TestLookupsUseTheRecordedRoutes(t *testing.T) {
	t.Parallel()
	s := script(t,
		answer{200, nil, fileAnswer}, answer{200, nil, fileAnswer}, answer{200, nil, fileAnswer},
		answer{204, nil, ""}, answer{200, nil, fileAnswer},
	)
	i := instanceOn(t, s.Server, cozy.Static("tok"))
	got, err := i.FileByID(t.Context(), "f1")
	if err != nil {
		t.Fatal(err)
	}
	md5, _ := base64.StdEncoding.DecodeString("VHMeWQewcCI1aqEVGGUcWg==")
	want := cozy.File{
		ID: "f1", Name: "a.txt", DirID: "d1", Size: 11, MD5: md5, MIME: "text/plain", Rev: "1-a",
		CreatedAt: time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC), UpdatedAt: updated,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("file (-want +got):\n%s", diff)
	}
	if _, err := i.FileByPath(t.Context(), "/A é/a.txt"); err != nil {
		t.Error(err)
	}
	if err := i.Trash(t.Context(), "f1"); err != nil {
		t.Error(err)
	}
	if err := i.Destroy(t.Context(), "f1"); err != nil {
		t.Error(err)
	}
	if _, err := i.PatchTimes(t.Context(), "f1", cozy.Times{UpdatedAt: updated}); err != nil {
		t.Error(err)
	}
	body := `{"data":{"attributes":{"updated_at":"2021-01-02T03:04:05Z"},"id":"f1","type":"io.cozy.files"}}`
	wantRequests := []request{
		{Line: "GET /files/f1", Host: host, Auth: "Bearer tok"},
		{Line: "GET /files/metadata?Path=%2FA%20%C3%A9%2Fa.txt", Host: host, Auth: "Bearer tok"},
		{Line: "DELETE /files/f1", Host: host, Auth: "Bearer tok"},
		{Line: "DELETE /files/trash/f1", Host: host, Auth: "Bearer tok"},
		{
			Line: "PATCH /files/f1", Host: host, Auth: "Bearer tok", Type: "application/vnd.api+json",
			Body: body, Length: int64(len(body)),
		},
	}
	if diff := cmp.Diff(wantRequests, s.got()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestDiskUsageReadsStringsAndKnowsUnlimited(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]cozy.Usage{
		`{"data":{"attributes":{"used":"1010000","quota":"2010000","files":"410000"}}}`: {Used: 1010000, Quota: 2010000},
		`{"data":{"attributes":{"used":"1010000","files":"410000"}}}`:                   {Used: 1010000},
	} {
		s := script(t, answer{200, nil, body})
		got, err := instanceOn(t, s.Server, cozy.Static("tok")).DiskUsage(t.Context())
		if err != nil || got != want {
			t.Errorf("got %+v, %v; want %+v", got, err, want)
		}
	}
}

const nfc, nfd = "caf\u00e9", "cafe\u0301"

func folderPage(next string, names ...string) answer {
	body := `{"data":[`
	for k, name := range names {
		if k > 0 {
			body += ","
		}
		body += fmt.Sprintf(`{"id":"id-%x","attributes":{"type":"directory","name":%q}}`, name, name)
	}
	return answer{200, nil, body + fmt.Sprintf(`],"links":{"next":%q}}`, next)}
}

func TestFindInDirTellsComposedFromDecomposedNames(t *testing.T) {
	t.Parallel()
	s := script(t, folderPage("/files/_find?page[cursor]=c1", nfc), folderPage("", nfd))
	got, err := instanceOn(t, s.Server, cozy.Static("tok")).FindInDir(t.Context(), "d1", nfd)
	if err != nil || got.ID != fmt.Sprintf("id-%x", nfd) {
		t.Fatalf("got %+v, %v", got, err)
	}
	requests := s.got()
	if len(requests) != 2 || requests[0].Line != "POST /files/_find" || requests[1].Line != "POST /files/_find?page[cursor]=c1" {
		t.Fatalf("got %+v", requests)
	}
	want := `{"fields":["type","name","dir_id","path","size","md5sum","mime","executable","trashed","created_at","updated_at"],` +
		`"limit":100,"selector":{"dir_id":"d1","name":"cafe` + "\u0301" + `"}}`
	for _, r := range requests {
		if diff := cmp.Diff(want, r.Body); diff != "" {
			t.Errorf("body (-want +got):\n%s", diff)
		}
	}
}

func TestFindInDirReadsTheFolderWhereQueriesAreRefused(t *testing.T) {
	t.Parallel()
	s := script(t,
		answer{400, nil, `{"error":"no_index","ok":false,"reason":"x","status":"400"}`},
		folderPage("/files/d1/relationships/contents?page%5Bcursor%5D=c&page%5Blimit%5D=100", "a", "b"),
		folderPage("", "c", "want"),
	)
	got, err := instanceOn(t, s.Server, cozy.Static("tok")).FindInDir(t.Context(), "d1", "want")
	if err != nil || got.Name != "want" {
		t.Fatalf("got %+v, %v", got, err)
	}
	var lines []string
	for _, r := range s.got() {
		lines = append(lines, r.Line)
	}
	want := []string{
		"POST /files/_find",
		"GET /files/d1/relationships/contents?page[limit]=100",
		"GET /files/d1/relationships/contents?page%5Bcursor%5D=c&page%5Blimit%5D=100",
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestFindInDirFindsNothing(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]answer{
		"no rows":         folderPage(""),
		"another form":    folderPage("", nfc),
		"link to itself":  folderPage("/files/_find", nfc),
		"empty last page": folderPage("/files/_find?page[cursor]=c1"),
	} {
		s := script(t, first)
		if _, err := instanceOn(t, s.Server, cozy.Static("tok")).FindInDir(t.Context(), "d1", nfd); !cozy.IsNotFound(err) {
			t.Errorf("%s: got %v, want not found", name, err)
		}
	}
}
