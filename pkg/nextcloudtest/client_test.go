package nextcloudtest_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"example.org/ncm/pkg/nextcloudtest"
)

// client talks to a simulator of its own as alice.
type client struct {
	t               *testing.T
	srv             *nextcloudtest.Server
	http            *http.Client
	url             string
	ctx             context.Context
	login, password string // no login: anonymous
}

func newClient(t *testing.T, cfg nextcloudtest.Config) *client {
	t.Helper()
	cfg.Dir = t.TempDir()
	srv := nextcloudtest.New(cfg)
	err := srv.AddUser(nextcloudtest.User{
		ID: "alice", Password: rightPassword, AppPasswords: []nextcloudtest.AppPassword{{Token: "token"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	hs := httptest.NewServer(srv)
	transport := &http.Transport{DisableCompression: true}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		hs.Close()
	})
	return &client{
		t: t, srv: srv, http: &http.Client{Transport: transport}, url: hs.URL + cfg.SubPath,
		ctx: t.Context(), login: "alice", password: "token",
	}
}

// call sends a request with the user's app password and reads the whole answer.
func (c *client) call(method, target, body string, header ...string) (answer, error) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.ctx, method, c.url+target, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if c.login != "" {
		req.SetBasicAuth(c.login, c.password)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := c.http.Transport.RoundTrip(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, string(b)}, err
}

// must is call for an answer that has to be whole.
func (c *client) must(method, target, body string, header ...string) answer {
	c.t.Helper()
	a, err := c.call(method, target, body, header...)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, target, err)
	}
	return a
}

func (c *client) write(p, text string) {
	c.t.Helper()
	file := filepath.Join(c.srv.Root("alice"), filepath.FromSlash(p))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) ok(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

func equal[T comparable](a, b []T) bool { return slices.Equal(a, b) }
