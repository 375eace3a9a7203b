package httpapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/pkg/cozy"
	"example.org/ncm/pkg/cozytest"
	"example.org/ncm/pkg/egress"
	"example.org/ncm/pkg/openapitest"
	"example.org/ncm/pkg/transcripttest"
	"example.org/ncm/services/trigger/internal/httpapi"
	"example.org/ncm/services/trigger/internal/instance"
	"example.org/ncm/services/trigger/internal/limit"
	"example.org/ncm/services/trigger/internal/nextcloud"
	"example.org/ncm/services/trigger/internal/request"
)

// Details that differ from the recorded ones on purpose. What remains the same
// is the status, the shape and how the detail begins.
var rewordedDetails = map[string]string{ //nolint:gochecknoglobals // a table
	"url without scheme":                  "the recorded text quotes the URL, which may hold a password",
	"url ftp":                             "the recorded text quotes login and URL",
	"unreachable host (closed port)":      "the recorded text tells what is behind the firewall",
	"unknown host":                        "the recorded text tells the address of the resolver",
	"private ip":                          "the recorded text tells closed from forbidden",
	"login=notjson":                       "the recorded text is the words of a JSON decoder",
	"login=redir":                         "fewer redirects are followed than the recorded text says",
	"[app not installed] POST migration":  "the recorded text is passed on from the database",
	"[konn not installed] POST migration": "the recorded text is passed on from the database",
}

// stage is everything behind the handler of a replay: the real domain and
// adapters, a simulated stack, and a Nextcloud and a broker by script.
type stage struct {
	handler   http.Handler
	described *openapitest.Checker
	inst      *cozytest.Instance
	publish   error // the broker's answer
	sent      []any
}

func (s *stage) Cancel(_ context.Context, message contract.Canceled) error {
	if s.publish == nil {
		s.sent = append(s.sent, message)
	}
	return s.publish
}

func (s *stage) Ready() error { return nil }

func (s *stage) Publish(_ context.Context, message contract.Requested) error {
	if s.publish == nil {
		s.sent = append(s.sent, message)
	}
	return s.publish
}

func newStage(t *testing.T, host string) *stage {
	t.Helper()
	described, err := openapitest.New(t.Context(), httpapi.Description())
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{described: described}
	stack := cozytest.New(cozytest.Config{})
	s.inst = stack.AddInstance(host, cozytest.InstanceOptions{Apps: []cozytest.App{{Slug: "noperm"}}})
	server := httptest.NewServer(stack)
	t.Cleanup(stack.Close)
	t.Cleanup(server.Close)
	hosts, err := cozy.NewHosts([]string{"localhost:*"})
	if err != nil {
		t.Fatal(err)
	}
	sources := nextcloud.Config{
		Client:    &http.Client{Transport: recordedNextcloud{egress.NewTransport(egress.Options{})}, CheckRedirect: egress.CheckRedirect},
		AllowHTTP: true,
	}
	store := instance.New(cozy.New(cozy.Config{
		Scheme: "http",
		Tokens: cozy.Static(s.inst.AppToken()),
		HTTP: &http.Client{Transport: egress.NewTransport(egress.Options{
			AllowPrivate: true,
			Addresses:    egress.AddressMap{".localhost": strings.TrimPrefix(server.URL, "http://")},
		})},
	}))
	s.handler, err = httpapi.New(httpapi.Config{
		Hosts: hosts, Scheme: "http", Logger: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(),
		Desk: request.New(request.Deps{
			Permissions: store, Accounts: store, Documents: store, Targets: store, Queue: s,
			Limits:  limit.New(limit.Rate{Burst: 1000, Every: time.Second}, limit.Rate{Burst: 1000, Every: time.Second}),
			Logins:  nextcloud.New(sources),
			Sources: nextcloud.NewSources(sources),
			Logger:  slog.New(slog.DiscardHandler),
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// recordedNextcloud is the server at 127.0.0.1:8099 of the recordings, which
// answered by login; every other address is dialled.
type recordedNextcloud struct{ others http.RoundTripper }

func (n recordedNextcloud) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host != "127.0.0.1:8099" {
		return n.others.RoundTrip(r)
	}
	w := httptest.NewRecorder()
	login, _, _ := r.BasicAuth()
	switch r.Method {
	case "PROPFIND": // an empty home
		w.WriteHeader(http.StatusMultiStatus)
		_, _ = io.WriteString(w, `<d:multistatus xmlns:d="DAV:" xmlns:oc="http://owncloud.org/ns"><d:response><d:href>`+r.URL.EscapedPath()+
			`</d:href><d:propstat><d:prop><d:getetag>"1"</d:getetag><oc:fileid>1</oc:fileid></d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response></d:multistatus>`)
		return w.Result(), nil
	case http.MethodDelete:
		w.WriteHeader(http.StatusNoContent)
		return w.Result(), nil
	}
	switch login {
	case "bad":
		w.WriteHeader(http.StatusUnauthorized)
	case "forbid":
		w.WriteHeader(http.StatusForbidden)
	case "err500":
		w.WriteHeader(http.StatusInternalServerError)
	case "maint":
		w.WriteHeader(http.StatusServiceUnavailable)
	case "notjson":
		_, _ = io.WriteString(w, "<html>")
	case "redir":
		http.Redirect(w, r, "/login", http.StatusFound)
	case "noid":
		_, _ = io.WriteString(w, `{"ocs":{"data":{}}}`)
	default:
		_, _ = io.WriteString(w, `{"ocs":{"data":{"id":"`+login+`_uid"}}}`)
	}
	return w.Result(), nil
}

func (s *stage) send(t *testing.T, x transcripttest.CozyExchange, token string) *http.Response {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), x.Method, x.Target, strings.NewReader(x.Body))
	r.Header = x.Header.Clone()
	r.Host = x.Header.Get("Host")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	if err := s.described.Check(t.Context(), x.Method, r.URL, w.Result(), w.Body.Bytes()); err != nil {
		t.Errorf("%s: %v", x.Title, err)
	}
	return w.Result()
}

// setStatus does what the recorded client did by a PUT of the document.
func (s *stage) setStatus(t *testing.T, body string) {
	t.Helper()
	var put struct{ Status contract.Status }
	if err := json.Unmarshal([]byte(body), &put); err != nil {
		t.Fatal(err)
	}
	for _, doc := range s.inst.Docs(contract.DoctypeMigrations) {
		if status, _ := doc["status"].(string); contract.Status(status).Final() {
			continue
		}
		doc["status"] = put.Status
		if _, _, err := s.inst.PutDoc(contract.DoctypeMigrations, doc["_id"].(string), doc); err != nil {
			t.Fatal(err)
		}
	}
}

// translate puts the id of the latest document in the place of a recorded one.
func (s *stage) translate(path string) string {
	return idMark.ReplaceAllStringFunc(path, func(string) string {
		docs := s.inst.Docs(contract.DoctypeMigrations)
		latest := slices.MaxFunc(docs, func(a, b map[string]any) int {
			return strings.Compare(createdAt(a), createdAt(b))
		})
		return latest["_id"].(string)
	})
}

func createdAt(doc map[string]any) string {
	text, _ := doc["created_at"].(string)
	at, _ := time.Parse(time.RFC3339Nano, text)
	return at.Format("2006-01-02T15:04:05.000000000")
}

func TestReplayOfTheRecordedRoute(t *testing.T) {
	t.Parallel()
	s := newStage(t, "bob.localhost:8080")
	replayed := 0
	for _, x := range transcripttest.Cozy(t, "08-*.txt") {
		switch {
		case x.Method == http.MethodPut:
			s.setStatus(t, x.Body)
		case strings.HasPrefix(x.Target, route) && x.Method == http.MethodPost:
			s.publish = nil
			if x.Status == http.StatusServiceUnavailable {
				s.publish = errors.New("312 NO_ROUTE")
			}
			s.sent = nil
			x.Target = s.translate(x.Target)
			token := s.inst.AppToken()
			if x.Title == "perm: noperm" {
				token = s.inst.MintToken(cozytest.TokenOptions{Subject: "noperm"})
			}
			res := s.send(t, x, token)
			compare(t, x, res)
			s.compareMessage(t, x)
			replayed++
		}
	}
	if replayed < 35 {
		t.Errorf("only %d exchanges were replayed", replayed)
	}
}

func TestReplayOfTheRecordedTokens(t *testing.T) {
	t.Parallel()
	s := newStage(t, "alice.localhost:8080")
	konnector, cli := cozytest.AudienceKonnector, cozytest.AudienceCLI
	expired := func(a cozytest.Audience) string {
		return s.inst.MintToken(cozytest.TokenOptions{Audience: a, Scope: "io.cozy.files", TTL: -time.Minute})
	}
	tokens := map[string]string{
		"no token":               "",
		"garbage":                "garbage",
		"expired app":            expired(cozytest.AudienceApp),
		"expired konn":           expired(konnector),
		"expired cli":            expired(cli),
		"other instance's token": "garbage",
		"app not installed":      s.inst.MintToken(cozytest.TokenOptions{Subject: "notinstalled"}),
		"konn not installed":     s.inst.MintToken(cozytest.TokenOptions{Audience: konnector, Subject: "notinstalled"}),
		"noperm app":             s.inst.MintToken(cozytest.TokenOptions{Subject: "noperm"}),
		"cli wrong scope":        s.inst.MintToken(cozytest.TokenOptions{Audience: cli, Scope: "io.cozy.contacts"}),
		"cli scope GET only":     s.inst.MintToken(cozytest.TokenOptions{Audience: cli, Scope: "io.cozy.nextcloud.migrations:GET"}),
		"cli empty scope":        s.inst.MintToken(cozytest.TokenOptions{Audience: cli}),
	}
	replayed := 0
	for _, x := range transcripttest.Cozy(t, "07-*.txt") {
		if x.Target != route {
			continue
		}
		caller := strings.Trim(strings.TrimSuffix(x.Title, " POST migration"), "[]")
		token, known := tokens[caller]
		if !known {
			t.Errorf("%s: no such token", x.Title)
			continue
		}
		x.Header.Del("Authorization")
		compare(t, x, s.send(t, x, token))
		replayed++
	}
	if replayed != len(tokens) {
		t.Errorf("%d exchanges were replayed, want %d", replayed, len(tokens))
	}
}

var (
	idMark     = regexp.MustCompile(`[0-9a-f]{32}`)
	revMark    = regexp.MustCompile(`"rev":"\d+-[^"]*"`)
	detailMark = regexp.MustCompile(`"detail":"(nextcloud unreachable: nextcloud unreachable: |no permission doc for )(?:[^"\\]|\\.)*"`)
	timeMark   = regexp.MustCompile(`"timestamp":\d+`)
)

// compare wants status, body and every header that the stack sets, byte for byte
// but for ids and revisions.
func compare(t *testing.T, x transcripttest.CozyExchange, res *http.Response) {
	t.Helper()
	got, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != x.Status {
		t.Errorf("%s: status %d, want %d", x.Title, res.StatusCode, x.Status)
	}
	_, reworded := rewordedDetails[x.Title]
	if diff := cmp.Diff(comparable(x.Text, reworded), comparable(string(got), reworded)); diff != "" {
		t.Errorf("%s: body (-want +got):\n%s", x.Title, diff)
	}
	for name, want := range x.Answer {
		if slices.Contains([]string{"Date", "Connection", "Content-Length"}, name) {
			continue
		}
		if diff := cmp.Diff(want, res.Header[name]); diff != "" {
			t.Errorf("%s: header %s (-want +got):\n%s", x.Title, name, diff)
		}
	}
}

func comparable(body string, reworded bool) string {
	if reworded {
		body = detailMark.ReplaceAllString(body, `"detail":"$1..."`)
	}
	return revMark.ReplaceAllString(idMark.ReplaceAllString(body, "ID"), `"rev":"REV"`)
}

func (s *stage) compareMessage(t *testing.T, x transcripttest.CozyExchange) {
	t.Helper()
	recorded, got := "", ""
	for _, m := range x.Messages {
		recorded += m.Body
	}
	for _, message := range s.sent {
		text, err := json.Marshal(message)
		if err != nil {
			t.Fatal(err)
		}
		got += string(text)
	}
	if diff := cmp.Diff(wire(recorded), wire(got)); diff != "" {
		t.Errorf("%s: message (-want +got):\n%s", x.Title, diff)
	}
}

func wire(message string) string {
	return timeMark.ReplaceAllString(idMark.ReplaceAllString(message, "ID"), `"timestamp":0`)
}
