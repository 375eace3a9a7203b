package page_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"example.org/ncm/services/migrator/internal/operate"
	"example.org/ncm/services/migrator/internal/page"
	"example.org/ncm/services/migrator/internal/postgres"
	"example.org/ncm/services/migrator/internal/postgrestest"
	"example.org/ncm/services/migrator/internal/transfer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const token = "an-operator's-token"

// letters hold one dead letter.
type letters struct{ replayed []string }

func (l *letters) List(context.Context) ([]operate.DeadLetter, error) {
	return []operate.DeadLetter{{MessageID: "m1", Reason: "not JSON"}}, nil
}

func (l *letters) Replay(_ context.Context, id string) (int, error) {
	if id != "m1" {
		return 0, nil
	}
	l.replayed = append(l.replayed, id)
	return 1, nil
}

// screen is a page on a real ledger with one migration.
type screen struct {
	t       *testing.T
	url     string
	ledger  *postgres.Ledger
	letters *letters
	stop    context.CancelFunc
}

func open(t *testing.T, token string) *screen {
	t.Helper()
	s := &screen{t: t, ledger: postgrestest.Ledger(t), letters: &letters{}}
	m := transfer.Migration{ID: "m1", Instance: "alice.test", AccountID: "a", SourcePath: "/planted folder"}
	if _, err := s.ledger.Admit(t.Context(), m, time.Now()); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	s.stop = stop
	p, err := page.New(page.Config{
		Operator: operate.Operator{Ledger: s.ledger}, Letters: s.letters, Token: token, Logger: slog.New(slog.DiscardHandler), Stopping: ctx.Done(),
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(p)
	s.url = server.URL + page.Path
	t.Cleanup(server.Close)
	t.Cleanup(stop)
	return s
}

// ask sends a request with headers in pairs.
func (s *screen) ask(method, path string, headers ...string) (status int, body string, header http.Header) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, http.NoBody)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	content, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return res.StatusCode, string(content), res.Header
}

const bearer = "Bearer " + token

func TestOnlyTheTokenOpensNamesAndActions(t *testing.T) {
	t.Parallel()
	locked, off := open(t, token), open(t, "")
	for _, r := range []struct{ method, path string }{
		{"GET", "api/migrations/m1/entries?result=failed"},
		{"GET", "api/dead-letters"},
		{"POST", "api/migrations/m1/cancel"},
		{"POST", "api/migrations/m1/retry"},
		{"POST", "api/dead-letters/m1/replay"},
	} {
		for name, tc := range map[string]struct {
			s      *screen
			header string
			want   int
		}{
			"no token":          {locked, "", http.StatusUnauthorized},
			"another token":     {locked, "Bearer an-operator's-tokem", http.StatusUnauthorized},
			"not as a bearer":   {locked, token, http.StatusUnauthorized},
			"none is set":       {off, "Bearer ", http.StatusForbidden},
			"none is set, some": {off, bearer, http.StatusForbidden},
		} {
			if status, body, _ := tc.s.ask(r.method, r.path, "Authorization", tc.header); status != tc.want || strings.Contains(body, "planted") {
				t.Errorf("%s %s with %s: %d %s", r.method, r.path, name, status, body)
			}
		}
	}
	if m, err := (operate.Operator{Ledger: locked.ledger}).Find(t.Context(), "m1"); err != nil || m.CancelRequestedAt != nil || len(locked.letters.replayed) > 0 {
		t.Errorf("an action was done without the token: %+v, %v", m, err)
	}
	if status, body, _ := locked.ask("GET", "api/migrations/m1/entries?result=failed", "Authorization", bearer); status != http.StatusOK || !strings.Contains(body, "/planted folder") {
		t.Errorf("with the token: %d %s", status, body)
	}
}

func TestActionsFromOtherOriginsAreRefused(t *testing.T) {
	t.Parallel()
	s := open(t, token)
	for _, foreign := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}} {
		if status, _, _ := s.ask("POST", "api/migrations/m1/cancel", append(foreign, "Authorization", bearer)...); status != http.StatusForbidden {
			t.Errorf("%v: %d", foreign, status)
		}
	}
	if status, body, _ := s.ask("POST", "api/migrations/m1/cancel", "Sec-Fetch-Site", "same-origin", "Authorization", bearer); status != http.StatusOK || !strings.Contains(body, "canceled") {
		t.Errorf("from the page itself: %d %s", status, body)
	}
	for path, want := range map[string]int{
		"api/migrations/m1/cancel": http.StatusConflict, "api/migrations/m1/retry": http.StatusConflict,
		"api/migrations/none/cancel": http.StatusNotFound, "api/dead-letters/none/replay": http.StatusConflict, "api/dead-letters/m1/replay": http.StatusOK,
	} {
		if status, body, _ := s.ask("POST", path, "Authorization", bearer); status != want {
			t.Errorf("%s: %d %s, want %d", path, status, body, want)
		}
	}
}

func TestThePageLoadsNothingButItsOwn(t *testing.T) {
	t.Parallel()
	s := open(t, "")
	for _, path := range []string{"", "app.js", "dom.js", "format.js", "style.css", "icon.svg", "nothing", "api/session"} {
		status, body, header := s.ask("GET", path)
		policy := header.Get("Content-Security-Policy")
		if (status == http.StatusOK) != (path != "nothing") || !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") ||
			header.Get("X-Content-Type-Options") != "nosniff" || (status == http.StatusOK && header.Get("Cache-Control") != "no-store") {
			t.Errorf("%s: %d, %v", path, status, header)
		}
		if strings.Contains(body, "innerHTML") || strings.Contains(body, "style=") {
			t.Errorf("%s makes HTML of text, or styles inline", path)
		}
	}
}

func TestAStreamTellsWhatChangesAndEndsWithTheProcess(t *testing.T) {
	t.Parallel()
	s := open(t, token)
	for _, path := range []string{"api/migrations?state=pending,running&instance=alice.test", "api/migrations/m1"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		lines := bufio.NewScanner(res.Body)
		if got := next(t, lines); !strings.Contains(got, "waits for a worker") || strings.Contains(got, "planted folder") {
			t.Errorf("%s at first: %s", path, got)
		}
		lease, _, ok, err := s.ledger.Claim(t.Context(), "worker", time.Minute)
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		if got := next(t, lines); !strings.Contains(got, `"status":"running"`) || !strings.Contains(got, `"owner":"worker"`) {
			t.Errorf("%s then: %s", path, got)
		}
		lease.Parallel = &transfer.Parallel{Source: transfer.Places{Limit: 8, Used: 3, Most: 64}}
		if _, err := s.ledger.Renew(t.Context(), lease, time.Minute); err != nil {
			t.Fatal(err)
		}
		if got := next(t, lines); !strings.Contains(got, `"parallel":{"source":{"limit":8,"used":3,"most":64},"target"`) {
			t.Errorf("%s of what is done at once: %s", path, got)
		}
		if err := s.ledger.Release(t.Context(), lease, 0, 0, ""); err != nil {
			t.Fatal(err)
		}
		if path != "api/migrations/m1" {
			continue
		}
		s.stop()
		for lines.Scan() { // to its end
		}
		if err := lines.Err(); err != nil {
			t.Errorf("the stream did not end well: %v", err)
		}
	}
}

// next is the data of the next event.
func next(t *testing.T, lines *bufio.Scanner) string {
	t.Helper()
	for lines.Scan() {
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			if !json.Valid([]byte(data)) {
				t.Errorf("not JSON: %s", data)
			}
			return data
		}
	}
	t.Fatalf("the stream ended: %v", lines.Err())
	return ""
}
