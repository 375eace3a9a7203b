package cozy_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"example.org/ncm/pkg/cozy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const host = "alice.cozy.example"

// request is what a server got.
type request struct {
	Line   string // method and request URI
	Host   string
	Auth   string
	Type   string
	MD5    string
	Length int64
	Body   string
}

// server answers with a script and keeps what it was asked.
type server struct {
	*httptest.Server
	mu       sync.Mutex
	requests []request
}

func (s *server) got() []request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

// answer is one step of a script.
type answer struct {
	status int
	header map[string]string
	body   string
}

// script serves the answers in turn, the last one for ever.
func script(t *testing.T, answers ...answer) *server {
	t.Helper()
	s := &server{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		now := answers[min(len(s.requests), len(answers)-1)]
		s.requests = append(s.requests, request{
			Line: r.Method + " " + r.RequestURI, Host: r.Host, Auth: r.Header.Get("Authorization"),
			Type: r.Header.Get("Content-Type"), MD5: r.Header.Get("Content-MD5"),
			Length: r.ContentLength, Body: string(body),
		})
		s.mu.Unlock()
		for name, value := range now.header {
			w.Header().Set(name, value)
		}
		w.WriteHeader(now.status)
		_, _ = io.WriteString(w, now.body)
	}))
	t.Cleanup(s.Close)
	return s
}

// clientTo sends every request to the server, whatever its host.
func clientTo(t *testing.T, s *httptest.Server) *http.Client {
	t.Helper()
	transport := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, s.Listener.Addr().String())
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func instanceOn(t *testing.T, s *httptest.Server, tokens cozy.TokenSource) *cozy.Instance {
	t.Helper()
	stack := cozy.New(cozy.Config{HTTP: clientTo(t, s), Scheme: "http", Tokens: tokens, Stall: 10 * time.Second})
	return stack.Instance(host)
}

const (
	fileAnswer = `{"data":{"type":"io.cozy.files","id":"f1","attributes":{"type":"file","name":"a.txt","dir_id":"d1",` +
		`"created_at":"2020-01-02T03:04:05Z","updated_at":"2021-01-02T03:04:05Z","size":"11",` +
		`"md5sum":"VHMeWQewcCI1aqEVGGUcWg==","mime":"text/plain","class":"text","executable":false,"trashed":false,` +
		`"encrypted":false,"cozyMetadata":{"doctypeVersion":"1"}},"meta":{"rev":"1-a"}}}`
	dirAnswer = `{"data":{"type":"io.cozy.files","id":"d2","attributes":{"type":"directory","name":"sub","dir_id":"d1",` +
		`"created_at":"2020-01-02T03:04:05Z","updated_at":"2021-01-02T03:04:05Z","path":"/sub"},"meta":{"rev":"1-b"}}}`
)

var expired = answer{
	status: 400,
	header: map[string]string{"Www-Authenticate": `Bearer error="invalid_token" error_description="The access token expired"`},
	body:   "Expired token",
}
