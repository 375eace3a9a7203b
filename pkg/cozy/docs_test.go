package cozy_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.org/ncm/pkg/cozy"
)

const doctype = "io.cozy.nextcloud.migrations"

func TestDocumentsUseTheRecordedRoutes(t *testing.T) {
	t.Parallel()
	s := script(t,
		answer{200, nil, `{"_id":"m1","_rev":"1-a","_type":"io.cozy.nextcloud.migrations","status":"pending"}`},
		answer{200, nil, `{"_id":"a1","_rev":"2-b","auth":{"password":"s3cr3t"}}`},
		answer{201, nil, `{"data":{"_id":"m2"},"id":"m2","ok":true,"rev":"1-c","type":"x"}`},
		answer{200, nil, `{"data":{"_id":"m1"},"id":"m1","ok":true,"rev":"2-d","type":"x"}`},
		answer{200, nil, `{"data":{"_id":"m3"},"id":"m3","ok":true,"rev":"1-e","type":"x"}`},
	)
	i := instanceOn(t, s.Server, cozy.Static("tok"))
	var doc struct {
		Status string `json:"status"`
	}
	ref, err := i.GetDoc(t.Context(), doctype, "m1", &doc)
	if err != nil || ref != (cozy.Ref{ID: "m1", Rev: "1-a"}) || doc.Status != "pending" {
		t.Errorf("GetDoc: %+v, %+v, %v", ref, doc, err)
	}
	if _, err := i.GetDoc(t.Context(), "io.cozy.accounts", "a1", nil, cozy.WithCredentials()); err != nil {
		t.Error(err)
	}
	if ref, err := i.CreateDoc(t.Context(), doctype, map[string]int{"n": 1}); err != nil || ref != (cozy.Ref{ID: "m2", Rev: "1-c"}) {
		t.Errorf("CreateDoc: %+v, %v", ref, err)
	}
	if ref, err := i.PutDoc(t.Context(), doctype, ref, map[string]int{"n": 2}); err != nil || ref.Rev != "2-d" {
		t.Errorf("PutDoc: %+v, %v", ref, err)
	}
	if _, err := i.PutDoc(t.Context(), doctype, cozy.Ref{ID: "m3"}, struct{}{}); err != nil {
		t.Error(err)
	}
	put := `{"n":2,"_id":"m1","_rev":"1-a"}`
	want := []request{
		{Line: "GET /data/io.cozy.nextcloud.migrations/m1", Host: host, Auth: "Bearer tok"},
		{Line: "GET /data/io.cozy.accounts/a1?include=credentials", Host: host, Auth: "Bearer tok"},
		{Line: "POST /data/io.cozy.nextcloud.migrations/", Host: host, Auth: "Bearer tok", Type: "application/json", Body: `{"n":1}`, Length: 7},
		{Line: "PUT /data/io.cozy.nextcloud.migrations/m1", Host: host, Auth: "Bearer tok", Type: "application/json", Body: put, Length: int64(len(put))},
		{Line: "PUT /data/io.cozy.nextcloud.migrations/m3", Host: host, Auth: "Bearer tok", Type: "application/json", Body: `{}`, Length: 2},
	}
	if diff := cmp.Diff(want, s.got()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestPutDocOverridesAReferenceInsideTheDocument(t *testing.T) {
	t.Parallel()
	s := script(t, answer{200, nil, `{"id":"m1","rev":"3-x"}`})
	old := map[string]string{"_id": "other", "_rev": "1-old"}
	if _, err := instanceOn(t, s.Server, cozy.Static("tok")).PutDoc(t.Context(), doctype, cozy.Ref{ID: "m1", Rev: "2-x"}, old); err != nil {
		t.Fatal(err)
	}
	var sent map[string]string
	if err := json.Unmarshal([]byte(s.got()[0].Body), &sent); err != nil || sent["_id"] != "m1" || sent["_rev"] != "2-x" {
		t.Errorf("sent %v, %v", sent, err)
	}
}

func TestPutDocRefusesWhatIsNoObject(t *testing.T) {
	t.Parallel()
	s := script(t, answer{200, nil, `{}`})
	for _, doc := range []any{nil, []int{1}, "x}", make(chan int)} {
		if _, err := instanceOn(t, s.Server, cozy.Static("tok")).PutDoc(t.Context(), doctype, cozy.Ref{ID: "m1"}, doc); err == nil {
			t.Errorf("%v was sent", doc)
		}
	}
	if n := len(s.got()); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}

func TestImpossibleIDsReachNoOtherRoute(t *testing.T) {
	t.Parallel()
	s := script(t, answer{200, nil, `{"_id":"x","_rev":"1-x"}`})
	i := instanceOn(t, s.Server, cozy.Static("tok"))
	for _, id := range []string{"", ".", "..", "_all_docs", "_design/x"} {
		if _, err := i.GetDoc(t.Context(), doctype, id, nil); !cozy.IsNotFound(err) {
			t.Errorf("GetDoc(%q): %v", id, err)
		}
	}
	if n := len(s.got()); n != 0 {
		t.Fatalf("%d requests were sent", n)
	}
	if _, err := i.GetDoc(t.Context(), doctype, "a/../b?c#d", nil); err != nil {
		t.Fatal(err)
	}
	if got := s.got()[0].Line; got != "GET /data/io.cozy.nextcloud.migrations/a%2F..%2Fb%3Fc%23d" {
		t.Errorf("got %s", got)
	}
}

func TestGetDocWithoutRevisionIsMalformed(t *testing.T) {
	t.Parallel()
	s := script(t, answer{200, nil, `{}`})
	if _, err := instanceOn(t, s.Server, cozy.Static("tok")).GetDoc(t.Context(), doctype, "x", nil); !errors.Is(err, cozy.ErrAnswer) {
		t.Errorf("got %v, want ErrAnswer", err)
	}
}

func TestFindDocsFollowsBookmarksUpToItsLimit(t *testing.T) {
	t.Parallel()
	page := func(next bool, ids ...string) answer {
		var rows []string
		for _, id := range ids {
			rows = append(rows, fmt.Sprintf(`{"_id":%q,"_rev":"1-x","status":"running"}`, id))
		}
		return answer{200, nil, fmt.Sprintf(`{"bookmark":"b1","docs":[%s],"limit":100,"next":%t}`, strings.Join(rows, ","), next)}
	}
	q := cozy.Query{Selector: map[string]any{"status": "running"}, UseIndex: "_design/by-status"}
	for name, test := range map[string]struct {
		limit    int
		answers  []answer
		found    int
		requests []string
	}{
		"all": {0, []answer{page(true, "a", "b"), page(false, "c")}, 3, []string{
			`{"selector":{"status":"running"},"use_index":"_design/by-status","limit":100}`,
			`{"selector":{"status":"running"},"use_index":"_design/by-status","limit":100,"bookmark":"b1"}`,
		}},
		"limited": {3, []answer{page(true, "a", "b"), page(true, "c")}, 3, []string{
			`{"selector":{"status":"running"},"use_index":"_design/by-status","limit":3}`,
			`{"selector":{"status":"running"},"use_index":"_design/by-status","limit":1,"bookmark":"b1"}`,
		}},
		"none": {0, []answer{{200, nil, `{"bookmark":"","docs":[],"limit":100,"next":false}`}}, 0, []string{
			`{"selector":{"status":"running"},"use_index":"_design/by-status","limit":100}`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := script(t, test.answers...)
			q := q
			q.Limit = test.limit
			docs, err := instanceOn(t, s.Server, cozy.Static("tok")).FindDocs(t.Context(), doctype, q)
			if err != nil || len(docs) != test.found {
				t.Fatalf("got %d documents, %v; want %d", len(docs), err, test.found)
			}
			var bodies []string
			for _, r := range s.got() {
				bodies = append(bodies, r.Body)
			}
			if diff := cmp.Diff(test.requests, bodies); diff != "" {
				t.Errorf("bodies (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNormalDocsReadsEveryPage(t *testing.T) {
	t.Parallel()
	page := func(first, n int) answer {
		var rows []string
		for k := range n {
			rows = append(rows, fmt.Sprintf(`{"_id":"d%d","_rev":"1-x","n":%d}`, first+k, first+k))
		}
		return answer{200, nil, fmt.Sprintf(`{"total_rows":150,"rows":[%s],"bookmark":"b%d"}`, strings.Join(rows, ","), first)}
	}
	s := script(t, page(0, 100), page(100, 50))
	sum := 0
	for doc, err := range instanceOn(t, s.Server, cozy.Static("tok")).NormalDocs(t.Context(), doctype) {
		if err != nil {
			t.Fatal(err)
		}
		var fields struct{ N int }
		if err := doc.Decode(&fields); err != nil {
			t.Fatal(err)
		}
		sum += fields.N
	}
	if sum != 149*150/2 {
		t.Errorf("sum %d: not all documents came", sum)
	}
	if got := s.got()[1].Line; len(s.got()) != 2 || got != "GET /data/io.cozy.nextcloud.migrations/_normal_docs?bookmark=b0&limit=100" {
		t.Errorf("got %d requests, the second %s", len(s.got()), got)
	}
}

func TestNormalDocsEndsWithItsError(t *testing.T) {
	t.Parallel()
	s := script(t, answer{403, nil, "Forbidden"})
	var last error
	n := 0
	for _, err := range instanceOn(t, s.Server, cozy.Static("tok")).NormalDocs(t.Context(), doctype) {
		n, last = n+1, err
	}
	if n != 1 || !cozy.IsForbidden(last) {
		t.Errorf("got %d rounds, last error %v", n, last)
	}
}

func TestPermissionsAreAskedWithTheCallersToken(t *testing.T) {
	t.Parallel()
	s := script(t, answer{200, nil, `{"data":{"type":"io.cozy.permissions","id":"p1","attributes":{"type":"app","permissions":` +
		`{"files":{"type":"io.cozy.files","verbs":["GET"]}}}}}`}, expired)
	i := instanceOn(t, s.Server, cozy.Static("tok"))
	rules, err := i.Permissions(t.Context(), "caller")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]cozy.Permission{{Type: "io.cozy.files", Verbs: []string{"GET"}}}, rules); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
	if _, err := i.Permissions(t.Context(), "caller"); !cozy.IsTokenRefused(err) {
		t.Errorf("got %v, want a refused token", err)
	}
	for _, bearer := range []string{"", "a b", "a\r\nX: y"} {
		if _, err := i.Permissions(t.Context(), bearer); !cozy.IsTokenRefused(err) {
			t.Errorf("bearer %q: got %v, want a refused token", bearer, err)
		}
	}
	want := []request{
		{Line: "GET /permissions/self", Host: host, Auth: "Bearer caller"},
		{Line: "GET /permissions/self", Host: host, Auth: "Bearer caller"},
	}
	if diff := cmp.Diff(want, s.got()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestAllowsTypeDecidesAsTheStack(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		rule cozy.Permission
		want bool
	}{
		"all verbs":       {cozy.Permission{Type: doctype}, true},
		"named verb":      {cozy.Permission{Type: doctype, Verbs: []string{"GET", "POST"}}, true},
		"ALL":             {cozy.Permission{Type: doctype, Verbs: []string{"ALL"}}, true},
		"other verb":      {cozy.Permission{Type: doctype, Verbs: []string{"GET"}}, false},
		"other type":      {cozy.Permission{Type: "io.cozy.files"}, false},
		"wildcard":        {cozy.Permission{Type: "io.cozy.nextcloud.*"}, true},
		"far wildcard":    {cozy.Permission{Type: "io.cozy.*"}, true},
		"own wildcard":    {cozy.Permission{Type: doctype + ".*"}, true},
		"part of a label": {cozy.Permission{Type: "io.cozy.next.*"}, false},
		"bare star":       {cozy.Permission{Type: "*"}, false},
		"dot star":        {cozy.Permission{Type: ".*"}, false},
		"empty":           {cozy.Permission{}, false},
		"some documents":  {cozy.Permission{Type: doctype, Values: []string{"m1"}}, false},
		"selected":        {cozy.Permission{Type: doctype, Selector: "status", Values: []string{"failed"}}, false},
		"selector alone":  {cozy.Permission{Type: doctype, Selector: "status"}, false},
	} {
		rules := []cozy.Permission{{Type: "io.cozy.contacts"}, test.rule}
		if got := cozy.AllowsType(rules, "POST", doctype); got != test.want {
			t.Errorf("%s: got %t, want %t", name, got, test.want)
		}
	}
	if cozy.AllowsType(nil, "POST", doctype) {
		t.Error("no rules allow something")
	}
}
