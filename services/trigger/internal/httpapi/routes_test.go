package httpapi_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/pkg/openapitest"
	"example.org/ncm/services/trigger/internal/httpapi"
	"example.org/ncm/services/trigger/internal/request"
)

// ask is a request of a method and a path below the route.
func (a *api) ask(t *testing.T, method, path, body string) *http.Response {
	t.Helper()
	return a.send(t, body, func(r *http.Request) {
		r.Method = method
		path, query, _ := strings.Cut(path, "?")
		r.URL.Path, r.URL.RawQuery = route+path, query
	})
}

func TestCancelAnswersWithNothing(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	var got string
	a.cancel = func(id string) error { got = id; return nil }
	wantAnswer(t, a.ask(t, "POST", "/id1/cancel", ""), http.StatusAccepted, "", "")
	if got != "id1" || a.right != request.RightAsk {
		t.Errorf("canceled %q with the right to %s", got, a.right)
	}
	a.cancel = func(string) error { return known(request.CodeNotFound, "nextcloud migration not found") }
	wantAnswer(t, a.ask(t, "POST", "/nope/cancel", ""), http.StatusNotFound, jsonAPI,
		jsonError("404", "Not Found", "nextcloud migration not found"))
}

func TestDeleteSourceTakesForceFromItsBodyAlone(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]any{
		"":                             false,
		"{}":                           false,
		"null":                         false,
		`{"force":true}`:               true,
		`{"force":false}`:              false,
		`{"force":null}`:               false,
		`{"force":false,"force":true}`: true,
		`{"force":true,"force":false}`: false,
		`{"other":1,"force":true}`:     true,
		`{"force":"true"}`:             nil,
		`{"force":1}`:                  nil,
		`[true]`:                       nil,
		`{nope`:                        nil,
		strings.Repeat("[", 20_000):    nil,
	} {
		t.Run(body[:min(len(body), 40)], func(t *testing.T) {
			t.Parallel()
			a := newAPI(t)
			var got any
			a.erase = func(_ string, force bool) error { got = force; return nil }
			res := a.ask(t, "POST", "/id1/delete-source?force=true", body)
			if want == nil {
				wantAnswer(t, res, http.StatusBadRequest, jsonAPI, jsonError("400", "Bad Request", "invalid JSON body"))
			} else {
				wantAnswer(t, res, http.StatusNoContent, "", "")
			}
			if got != want {
				t.Errorf("force %v, want %v", got, want)
			}
		})
	}
}

func TestGetShowsTheTrackingDocument(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	wantAnswer(t, a.ask(t, "GET", "/id7", ""), http.StatusOK, jsonAPI,
		`{"data":{"type":"io.cozy.nextcloud.migrations","id":"id7","attributes":{"status":"running","target_dir":"","source_path":"",`+
			`"progress":{"files_imported":0,"files_total":0,"bytes_imported":0,"bytes_total":0},"errors":[],"skipped":[],"started_at":null,"finished_at":null},`+
			`"meta":{"rev":"1-a"}}}`+"\n")
	if a.right != request.RightRead {
		t.Errorf("asked for the right to %s", a.right)
	}
}

func TestListLinksToTheNextPage(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	a.list = func(limit int, cursor string) (request.Page, error) {
		if limit != 2 || cursor != "c 1" {
			t.Errorf("limit %d, cursor %q", limit, cursor)
		}
		d := request.Document{ID: "id1", Rev: "1-a", Tracking: contract.NewTracking("/", "/N")}
		return request.Page{Documents: []request.Document{d}, Total: 9, Next: "c+2"}, nil
	}
	wantAnswer(t, a.ask(t, "GET", "?page[limit]=2&page[cursor]=c%201", ""), http.StatusOK, jsonAPI,
		`{"data":[{"type":"io.cozy.nextcloud.migrations","id":"id1","attributes":{"status":"pending","target_dir":"/N","source_path":"/",`+
			`"progress":{"files_imported":0,"files_total":0,"bytes_imported":0,"bytes_total":0},"started_at":null,"finished_at":null},"meta":{"rev":"1-a"}}],`+
			`"links":{"next":"/remote/nextcloud/migration?page%5Bcursor%5D=c%2B2\u0026page%5Blimit%5D=2"},"meta":{"count":9}}`+"\n")
	if a.right != request.RightRead {
		t.Errorf("asked for the right to %s", a.right)
	}
	wantAnswer(t, a.ask(t, "GET", "?page[limit]=many", ""), http.StatusBadRequest, jsonAPI,
		jsonError("400", "Bad Request", "page[limit] is not a number"))
}

func TestAnEmptyListIsAnArray(t *testing.T) {
	t.Parallel()
	wantAnswer(t, newAPI(t).ask(t, "GET", "", ""), http.StatusOK, jsonAPI, `{"data":[],"links":{},"meta":{"count":0}}`+"\n")
}

func TestPreflightTellsUnknownFromNothing(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	files, bytes := int64(12_400), int64(38_000_000_000)
	a.preflight = func(o request.Order) (request.Preflight, error) {
		if o.URL != "u" {
			t.Errorf("order %+v", o)
		}
		return request.Preflight{
			SourcePath: "/", TargetDir: "/N", Amount: request.Amount{Bytes: &bytes, Files: &files},
			Space: request.Space{Used: 1, Quota: 100}, Target: request.Folder{Exists: true},
			Obstacles: []request.Obstacle{request.ObstacleQuota},
		}, nil
	}
	wantAnswer(t, a.ask(t, "POST", "/preflight", `{"nextcloud_url":"u"}`), http.StatusOK, jsonAPI,
		`{"data":{"type":"io.cozy.nextcloud.migrations.preflight","id":"preflight","attributes":{"can_start":false,"fits":false,"obstacles":["quota_exceeded"],`+
			`"source":{"path":"/","files":12400,"bytes":38000000000},"instance":{"used":1,"quota":100,"free":99},"target":{"path":"/N","exists":true,"has_content":true}}}}`+"\n")
	a.preflight = func(request.Order) (request.Preflight, error) {
		return request.Preflight{SourcePath: "/", TargetDir: "/N", Target: request.Folder{Empty: true}}, nil
	}
	wantAnswer(t, a.ask(t, "POST", "/preflight", ``), http.StatusOK, jsonAPI,
		`{"data":{"type":"io.cozy.nextcloud.migrations.preflight","id":"preflight","attributes":{"can_start":true,"fits":true,"obstacles":[],`+
			`"source":{"path":"/","files":null,"bytes":null},"instance":{"used":0,"quota":null,"free":null},"target":{"path":"/N","exists":false,"has_content":false}}}}`+"\n")
}

func TestEveryRouteNeedsTheRight(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ method, path string }{
		{"POST", ""},
		{"GET", ""},
		{"POST", "/preflight"},
		{"GET", "/id1"},
		{"HEAD", "/id1"},
		{"POST", "/id1/cancel"},
		{"POST", "/id1/delete-source"},
	} {
		a := newAPI(t)
		a.script.authorize = func(string, string) error { return known(request.CodeForbidden, "Forbidden") }
		a.script.get = nil // a call would panic
		if res := a.ask(t, c.method, c.path, "{}"); res.StatusCode != http.StatusForbidden {
			t.Errorf("%s %s: status %d", c.method, c.path, res.StatusCode)
		}
	}
}

func TestMethodsAreToldByRoute(t *testing.T) {
	t.Parallel()
	for path, allow := range map[string]string{
		"":                   "GET, HEAD, OPTIONS, POST",
		"/id1":               "GET, HEAD, OPTIONS",
		"/preflight":         "GET, HEAD, OPTIONS, POST", // an id might be called so
		"/id1/cancel":        "OPTIONS, POST",
		"/id1/delete-source": "OPTIONS, POST",
	} {
		a := newAPI(t)
		a.authorize = func(string, string) error {
			t.Errorf("%q: the token was looked at", path)
			return errors.New("no")
		}
		res := a.ask(t, "DELETE", path, "")
		wantAnswer(t, res, http.StatusMethodNotAllowed, jsonAPI, jsonError("405", "Method Not Allowed", "the route has no such method"))
		if got := res.Header.Get("Allow"); got != allow {
			t.Errorf("%q: Allow is %q, want %q", path, got, allow)
		}
		res = a.ask(t, "OPTIONS", path, "")
		wantAnswer(t, res, http.StatusNoContent, "", "")
		if got := res.Header.Get("Allow"); got != allow {
			t.Errorf("OPTIONS %q: Allow is %q, want %q", path, got, allow)
		}
	}
}

func TestHeadIsGetWithoutABody(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	res := a.ask(t, "HEAD", "/id1", "")
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != jsonAPI {
		t.Errorf("status %d, header %v", res.StatusCode, res.Header)
	}
	if res := a.ask(t, "HEAD", "/id1/cancel", ""); res.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("HEAD of a POST route: status %d", res.StatusCode)
	}
}

func TestAppsOfTheInstanceMayAskFromTheirOrigin(t *testing.T) {
	t.Parallel()
	for origin, allowed := range map[string]bool{
		"https://alice-settings.cozy.example":      true,
		"https://settings.alice.cozy.example":      true,
		"https://alice-my-app2.cozy.example":       true,
		"https://bob-settings.cozy.example":        false,
		"https://settings.bob.cozy.example":        false,
		"https://bob.cozy.example":                 false,
		"https://alice-.cozy.example":              false,
		"https://.alice.cozy.example":              false,
		"https://a.b.alice.cozy.example":           false,
		"https://alicesettings.cozy.example":       false,
		"https://alice-settings.cozy.example.evil": false,
		"https://evil-alice-settings.cozy.example": false,
		"https://alice-settings.evil.example":      false,
		"https://alice-settings.cozy.example:8443": false,
		"http://alice-settings.cozy.example":       false,
		"https://u@alice-settings.cozy.example":    false,
		"https://alice-settings.cozy.example/":     false,
		"null":                                     false,
		"*":                                        false,
		"%zz":                                      false,
	} {
		t.Run(origin, func(t *testing.T) {
			t.Parallel()
			a := newAPI(t)
			from := func(method string, header map[string]string) http.Header {
				res := a.send(t, "{}", func(r *http.Request) {
					r.Method = method
					r.Header.Set("Origin", origin)
					for name, value := range header {
						r.Header.Set(name, value)
					}
				})
				return res.Header
			}
			want := map[bool][2]string{true: {origin, "true"}, false: {"", ""}}[allowed]
			for name, h := range map[string]http.Header{
				"request":   from("POST", nil),
				"error":     from("BREW", nil),
				"preflight": from("OPTIONS", map[string]string{"Access-Control-Request-Method": "POST"}),
			} {
				got := [2]string{h.Get("Access-Control-Allow-Origin"), h.Get("Access-Control-Allow-Credentials")}
				if got != want || !slices.Contains(h.Values("Vary"), "Origin") {
					t.Errorf("%s: %v, Vary %v", name, got, h.Values("Vary"))
				}
			}
		})
	}
}

func TestPreflightsOfBrowsersNeedNoToken(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	a.authorize = func(string, string) error {
		t.Error("the token was looked at")
		return nil
	}
	res := a.send(t, "", func(r *http.Request) {
		r.Method, r.URL.Path = http.MethodOptions, route+"/id1/cancel"
		r.Header.Set("Origin", "https://alice-settings.cozy.example")
		r.Header.Set("Access-Control-Request-Method", "POST")
		r.Header.Set("Access-Control-Request-Headers", "authorization,content-type")
	})
	wantAnswer(t, res, http.StatusNoContent, "", "")
	for name, want := range map[string]string{
		"Access-Control-Allow-Origin":      "https://alice-settings.cozy.example",
		"Access-Control-Allow-Credentials": "true",
		"Access-Control-Allow-Methods":     "GET, HEAD, POST, OPTIONS",
		"Access-Control-Allow-Headers":     "authorization,content-type",
		"Access-Control-Max-Age":           "43200",
	} {
		if got := res.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	want := []string{"Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers"}
	if diff := cmp.Diff(want, res.Header.Values("Vary")); diff != "" {
		t.Errorf("Vary (-want +got):\n%s", diff)
	}
}

func TestTheDescriptionIsServedOnEveryHost(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	res := a.send(t, "", func(r *http.Request) { r.Method, r.URL.Path, r.Host = "GET", "/openapi.json", "10.0.0.1" })
	var description struct{ OpenAPI string }
	if err := json.NewDecoder(res.Body).Decode(&description); err != nil || description.OpenAPI != "3.1.0" {
		t.Errorf("version %q, %v", description.OpenAPI, err)
	}
	if got := res.Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type %q", got)
	}
}

func TestARequestBodyIsReadOnlySoDeep(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	began := time.Now()
	deep := `{"x":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + `}`
	wantAnswer(t, a.send(t, deep, nil), http.StatusBadRequest, jsonAPI, jsonError("400", "Bad Request", "invalid JSON body"))
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
}

func TestTheDescriptionNamesWrongAnswers(t *testing.T) {
	t.Parallel()
	described, err := openapitest.New(t.Context(), httpapi.Description())
	if err != nil {
		t.Fatal(err)
	}
	for body, right := range map[string]bool{
		`{"errors":[{"status":"404","title":"t","detail":"d","source":{}}]}`:          true,
		`{"errors":[{"status":"404","title":"t","detail":"d","source":{},"more":1}]}`: false,
		`{"errors":[]}`: false,
		`{}`:            false,
		`nope`:          false,
	} {
		res := &http.Response{StatusCode: 404, Header: http.Header{"Content-Type": {jsonAPI}}}
		err := described.Check(t.Context(), "GET", &url.URL{Path: route + "/x"}, res, []byte(body))
		if (err == nil) != right {
			t.Errorf("%s: %v", body, err)
		}
	}
	for _, wrong := range []*http.Response{
		{StatusCode: 418, Header: http.Header{"Content-Type": {jsonAPI}}},
		{StatusCode: 503, Header: http.Header{"Content-Type": {jsonAPI}}}, // without Retry-After
		{StatusCode: 202, Header: http.Header{}},                          // with a body
	} {
		body := []byte(`{"errors":[{"status":"503","title":"t","detail":"d","source":{}}]}`)
		if described.Check(t.Context(), "POST", &url.URL{Path: route + "/x/cancel"}, wrong, body) == nil {
			t.Errorf("%d passes", wrong.StatusCode)
		}
	}
}
