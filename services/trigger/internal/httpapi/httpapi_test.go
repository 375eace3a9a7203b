package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/services/trigger/internal/httpapi"
	"example.org/ncm/services/trigger/internal/request"
)

const (
	host   = "alice.cozy.example"
	route  = "/remote/nextcloud/migration"
	policy = "default-src 'none';frame-src 'none';frame-ancestors 'none';base-uri 'none';"
)

// script is a domain that answers by its functions.
type script struct {
	authorize func(instance, token string) error
	start     func(instance string, order request.Order) (request.Document, error)
	preflight func(order request.Order) (request.Preflight, error)
	get       func(id string) (request.Document, error)
	list      func(limit int, cursor string) (request.Page, error)
	cancel    func(id string) error
	erase     func(id string, force bool) error
	right     request.Right // that was asked for last
}

func (s *script) Authorize(_ context.Context, instance, token string, right request.Right) error {
	s.right = right
	return s.authorize(instance, token)
}

func (s *script) Preflight(_ context.Context, _ string, order request.Order) (request.Preflight, error) {
	return s.preflight(order)
}

func (s *script) Get(_ context.Context, _, id string) (request.Document, error) { return s.get(id) }

func (s *script) List(_ context.Context, _ string, limit int, cursor string) (request.Page, error) {
	return s.list(limit, cursor)
}

func (s *script) Cancel(_ context.Context, _, id string) error { return s.cancel(id) }

func (s *script) DeleteSource(_ context.Context, _, id string, force bool) error {
	return s.erase(id, force)
}

func (s *script) Start(_ context.Context, instance string, order request.Order) (request.Document, error) {
	return s.start(instance, order)
}

type hosts struct{}

func (hosts) Check(host string) (string, error) {
	name := strings.ToLower(host)
	if !strings.HasSuffix(name, ".cozy.example") {
		return "", errors.New("refused")
	}
	return name, nil
}

type api struct {
	*script
	handler http.Handler
	log     *bytes.Buffer
	metrics *prometheus.Registry
}

func newAPI(t *testing.T) *api {
	t.Helper()
	a := &api{log: &bytes.Buffer{}, metrics: prometheus.NewRegistry(), script: &script{
		authorize: func(string, string) error { return nil },
		start: func(_ string, o request.Order) (request.Document, error) {
			return request.Document{ID: "id1", Rev: "2-abc", Tracking: contract.NewTracking(o.SourcePath, o.TargetDir)}, nil
		},
		preflight: func(request.Order) (request.Preflight, error) { return request.Preflight{}, nil },
		get: func(id string) (request.Document, error) {
			return request.Document{ID: id, Rev: "1-a", Tracking: contract.Tracking{Status: contract.StatusRunning}}, nil
		},
		list:   func(int, string) (request.Page, error) { return request.Page{}, nil },
		cancel: func(string) error { return nil },
		erase:  func(string, bool) error { return nil },
	}}
	handler, err := httpapi.New(httpapi.Config{
		Desk: a.script, Hosts: hosts{}, Scheme: "https", Metrics: a.metrics,
		Logger: slog.New(slog.NewJSONHandler(a.log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	a.handler = handler
	return a
}

// send is one request of a caller with a token; edit may change it.
func (a *api) send(t *testing.T, body string, edit func(r *http.Request)) *http.Response {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+host+route, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer token")
	r.Header.Set("Content-Type", "application/json")
	if edit != nil {
		edit(r)
	}
	w := httptest.NewRecorder()
	a.handler.ServeHTTP(w, r)
	return w.Result()
}

// line is the last line of the log.
func (a *api) line(t *testing.T) map[string]any {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(a.log.String()), "\n")
	var line map[string]any
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &line); err != nil {
		t.Fatalf("log %q: %v", a.log, err)
	}
	return line
}

func wantAnswer(t *testing.T, res *http.Response, status int, contentType, body string) {
	t.Helper()
	if res.StatusCode != status {
		t.Errorf("status %d, want %d", res.StatusCode, status)
	}
	for name, want := range map[string]string{
		"Content-Type": contentType, "Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff",
	} {
		if got := res.Header.Get(name); got != want {
			t.Errorf("header %s is %q, want %q", name, got, want)
		}
	}
	got, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(body, string(got)); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
}

func jsonError(status, title, detail string) string {
	return `{"errors":[{"status":"` + status + `","title":"` + title + `","detail":"` + detail + `","source":{}}]}` + "\n"
}

const (
	jsonAPI = "application/vnd.api+json"
	text    = "text/plain; charset=UTF-8"
)

func TestPostAnswersWithTheTrackingDocument(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	var gotInstance, gotToken string
	var gotOrder request.Order
	a.authorize = func(_, token string) error { gotToken = token; return nil }
	start := a.start
	a.start = func(instance string, o request.Order) (request.Document, error) {
		gotInstance, gotOrder = instance, o
		return start(instance, o)
	}
	res := a.send(t, `{"nextcloud_url":"u","nextcloud_login":"l","nextcloud_app_password":"p","source_path":"/été","target_dir":"/<a>","more":1}`,
		func(r *http.Request) { r.Host = "ALICE.cozy.example" })
	wantAnswer(t, res, http.StatusCreated, jsonAPI,
		`{"data":{"type":"io.cozy.nextcloud.migrations","id":"id1","attributes":{"status":"pending","target_dir":"/\u003ca\u003e","source_path":"/été",`+
			`"progress":{"files_imported":0,"files_total":0,"bytes_imported":0,"bytes_total":0},"errors":[],"skipped":[],"started_at":null,"finished_at":null},`+
			`"meta":{"rev":"2-abc"}}}`+"\n")
	if gotInstance != host || gotToken != "token" {
		t.Errorf("instance %q, token %q", gotInstance, gotToken)
	}
	if want := (request.Order{URL: "u", Login: "l", Password: "p", SourcePath: "/été", TargetDir: "/<a>"}); gotOrder != want {
		t.Errorf("order %+v, want %+v", gotOrder, want)
	}
}

func TestPostReadsBodiesAsTheStackDoes(t *testing.T) {
	t.Parallel()
	const invalid = "invalid JSON body"
	for name, c := range map[string]struct {
		body, contentType string
		want              string // empty: an order without fields
	}{
		"none":           {"", "application/json", ""},
		"form":           {"nextcloud_url=x", "application/x-www-form-urlencoded", ""},
		"multipart form": {"whatever", "multipart/form-data; boundary=b", ""},
		"empty object":   {"{}", "application/json; charset=utf-8", ""},
		"null":           {"null", "application/json", ""},
		"camel case":     {`{"nextcloudUrl":"x"}`, "application/json", ""},
		"cut":            {"{nope", "application/json", invalid},
		"blank":          {" ", "application/json", invalid},
		"array":          {"[]", "application/json", invalid},
		"number":         {`{"nextcloud_url":5}`, "application/json", invalid},
		"two":            {"{}{}", "application/json", invalid},
		"text":           {"hello", "text/plain", invalid},
		"no type":        {"{}", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAPI(t)
			a.start = func(_ string, o request.Order) (request.Document, error) {
				if o != (request.Order{}) {
					t.Errorf("order %+v, want none", o)
				}
				return request.Document{}, &request.Error{Code: request.CodeInvalid, Message: "nextcloud_url is required"}
			}
			want := c.want
			if want == "" {
				want = "nextcloud_url is required"
			}
			res := a.send(t, c.body, func(r *http.Request) { r.Header.Set("Content-Type", c.contentType) })
			wantAnswer(t, res, http.StatusBadRequest, jsonAPI, jsonError("400", "Bad Request", want))
		})
	}
}

func TestPostReadsNoMoreThanItsLimit(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	fits := `{"nextcloud_login":"` + strings.Repeat("x", 64<<10-len(`{"nextcloud_login":""}`)) + `"}`
	if res := a.send(t, fits, nil); res.StatusCode != http.StatusCreated {
		t.Errorf("64 kB: status %d", res.StatusCode)
	}
	wantAnswer(t, a.send(t, fits+" ", nil), http.StatusRequestEntityTooLarge, jsonAPI,
		jsonError("413", "Request Entity Too Large", "request body is too large"))
}

func TestErrorsHaveTheirShapes(t *testing.T) {
	t.Parallel()
	const invalidToken = `Bearer error="invalid_token"`
	for name, c := range map[string]struct {
		err         error
		status      int
		contentType string
		body        string
		headers     map[string]string
	}{
		"no token":      {known(request.CodeNoToken, "No token in request"), 401, text, "No token in request", nil},
		"invalid token": {known(request.CodeInvalidToken, "Invalid JWT token"), 400, text, "Invalid JWT token", map[string]string{"Www-Authenticate": invalidToken}},
		"expired token": {
			known(request.CodeExpiredToken, "Expired token"), 400, text, "Expired token",
			map[string]string{"Www-Authenticate": invalidToken + ` error_description="The access token expired"`},
		},
		"scope":           {known(request.CodeMalformedScope, "m"), 400, text, "m", nil},
		"no application":  {known(request.CodeNoApplication, "m"), 404, jsonAPI, jsonError("404", "not_found", "m"), nil},
		"forbidden":       {known(request.CodeForbidden, "Forbidden"), 403, text, "Forbidden", nil},
		"no instance":     {known(request.CodeNoInstance, "m"), 404, jsonAPI, jsonError("404", "Not Found", "m"), nil},
		"blocked":         {known(request.CodeBlockedInstance, "m"), 402, jsonAPI, jsonError("402", "Blocked", "m"), nil},
		"bad credentials": {known(request.CodeBadCredentials, "m"), 401, jsonAPI, jsonError("401", "Unauthorized", "m"), nil},
		"conflict":        {known(request.CodeConflict, "m"), 409, jsonAPI, jsonError("409", "Conflict", "m"), nil},
		"unreachable":     {known(request.CodeUnreachable, "m"), 502, jsonAPI, jsonError("502", "Bad Gateway", "m"), nil},
		"not found":       {known(request.CodeNotFound, "m"), 404, jsonAPI, jsonError("404", "Not Found", "m"), nil},
		"too many": {
			&request.Error{Code: request.CodeTooMany, Message: "m", RetryAfter: 1500 * time.Millisecond, Cause: errors.New("c")},
			429, jsonAPI, jsonError("429", "Too Many Requests", "m"),
			map[string]string{"Retry-After": "2"},
		},
		"unavailable": {known(request.CodeUnavailable, "m"), 503, jsonAPI, jsonError("503", "Service Unavailable", "m"), map[string]string{"Retry-After": "30"}},
		"anything else": {
			errors.New("disk of 10.0.0.7 is full"), 500, jsonAPI,
			jsonError("500", "Internal Server Error", "an internal error occurred, please retry later"), nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAPI(t)
			a.authorize = func(string, string) error { return c.err }
			res := a.send(t, "{nope", nil) // authorized before the body is read
			wantAnswer(t, res, c.status, c.contentType, c.body)
			for name, want := range c.headers {
				if got := res.Header.Get(name); got != want {
					t.Errorf("header %s is %q, want %q", name, got, want)
				}
			}
			if got := a.line(t)["error"]; got != c.err.Error() {
				t.Errorf("logged error %v, want %v", got, c.err)
			}
		})
	}
}

func known(code request.Code, message string) error {
	return &request.Error{Code: code, Message: message, Cause: errors.New("for the log")}
}

func TestOtherRoutesAndHosts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		method, path, host string
		status             int
		contentType, body  string
	}{
		"PUT of the route":   {"PUT", route, host, 405, jsonAPI, jsonError("405", "Method Not Allowed", "the route has no such method")},
		"unknown path":       {"GET", "/metrics", host, 404, jsonAPI, jsonError("404", "Not Found", "no such route")},
		"trailing slash":     {"POST", route + "/", host, 404, jsonAPI, jsonError("404", "Not Found", "no such route")},
		"foreign host":       {"POST", route, "evil.example", 404, jsonAPI, jsonError("404", "Not Found", "Instance not found")},
		"host without label": {"POST", route, "evil-cozy.example", 404, jsonAPI, jsonError("404", "Not Found", "Instance not found")},
		"foreign host first": {"GET", "/nowhere", "evil.example", 404, jsonAPI, jsonError("404", "Not Found", "Instance not found")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAPI(t)
			a.authorize = func(string, string) error {
				t.Error("the token was looked at")
				return nil
			}
			res := a.send(t, "{}", func(r *http.Request) { r.Method, r.URL.Path, r.Host = c.method, c.path, c.host })
			wantAnswer(t, res, c.status, c.contentType, c.body)
			if allow := res.Header.Get("Allow"); (c.status == http.StatusMethodNotAllowed) != (allow == "GET, HEAD, OPTIONS, POST") {
				t.Errorf("Allow is %q", allow)
			}
		})
	}
}

func TestOnlyABearerIsAToken(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{
		"":              "",
		"Bearer abc":    "abc",
		"bearer  abc ":  "abc",
		"Basic OmFiYw=": "",
		"abc":           "",
	} {
		t.Run(header, func(t *testing.T) {
			t.Parallel()
			a := newAPI(t)
			got := "unasked"
			a.authorize = func(_, token string) error { got = token; return nil }
			a.send(t, "{}", func(r *http.Request) { r.Header.Set("Authorization", header) })
			if got != want {
				t.Errorf("token %q, want %q", got, want)
			}
		})
	}
}

func TestRequestsCarryAnID(t *testing.T) {
	t.Parallel()
	for given, kept := range map[string]bool{
		"abc-123_4.5":           true,
		"":                      false,
		"a b":                   false,
		"a\"}{":                 false,
		strings.Repeat("a", 65): false,
	} {
		t.Run(given, func(t *testing.T) {
			t.Parallel()
			a := newAPI(t)
			res := a.send(t, "{}", func(r *http.Request) { r.Header.Set("X-Request-Id", given) })
			got := res.Header.Get("X-Request-Id")
			if got == "" || kept != (got == given) {
				t.Errorf("id %q became %q", given, got)
			}
			if logged := a.line(t)["request_id"]; logged != got {
				t.Errorf("logged id %v, want %s", logged, got)
			}
		})
	}
}

func TestAccessLogSaysWhatHappenedAndNoSecrets(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	const secret = "s3cr3t-7391"
	a.send(t, `{"nextcloud_app_password":"`+secret+`"}`, func(r *http.Request) {
		r.Header.Set("Authorization", "Bearer "+secret)
		r.URL.RawQuery = "token=" + secret
	})
	line := a.line(t)
	delete(line, "time")
	if d, ok := line["duration"].(float64); !ok || d <= 0 {
		t.Errorf("duration %v", line["duration"])
	}
	delete(line, "duration")
	delete(line, "request_id")
	want := map[string]any{
		"level": "INFO", "msg": "request answered", "method": "POST", "route": route,
		"status": 201.0, "bytes": 295.0, "instance": host,
	}
	if diff := cmp.Diff(want, line); diff != "" {
		t.Errorf("line (-want +got):\n%s", diff)
	}
	if strings.Contains(a.log.String(), secret) {
		t.Error("the secret is in the log")
	}
}

func TestPanicsAreAnsweredAndLogged(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	a.start = func(string, request.Order) (request.Document, error) { panic("oh no") }
	wantAnswer(t, a.send(t, "{}", nil), http.StatusInternalServerError, jsonAPI,
		jsonError("500", "Internal Server Error", "an internal error occurred, please retry later"))
	if !strings.Contains(a.log.String(), `"panic":"oh no"`) {
		t.Errorf("log does not tell the panic: %s", a.log)
	}
}

func TestRequestsAreCountedByRouteAndCode(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	a.send(t, "{}", nil)
	a.send(t, "{nope", nil)
	a.send(t, "{}", func(r *http.Request) { r.URL.Path = "/remote/a/b/c" })
	a.send(t, "{}", func(r *http.Request) { r.Method = "BREW" })
	want := `
# HELP trigger_http_requests_total Requests answered.
# TYPE trigger_http_requests_total counter
trigger_http_requests_total{code="201",method="POST",route="/remote/nextcloud/migration"} 1
trigger_http_requests_total{code="400",method="POST",route="/remote/nextcloud/migration"} 1
trigger_http_requests_total{code="404",method="POST",route="none"} 1
trigger_http_requests_total{code="405",method="other",route="none"} 1
`
	if err := testutil.GatherAndCompare(a.metrics, strings.NewReader(want), "trigger_http_requests_total"); err != nil {
		t.Error(err)
	}
}
