package cozy_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/ncm/pkg/cozy"
)

// source is a TokenSource of numbered tokens.
type source struct {
	calls atomic.Int64
	give  func(n int64) (string, error) // nil: "t1", "t2", …
	wait  chan struct{}                 // nil: answers at once
}

func (s *source) Token(ctx context.Context, _, _ string) (string, error) {
	n := s.calls.Add(1)
	if s.wait != nil {
		select {
		case <-s.wait:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	if s.give != nil {
		return s.give(n)
	}
	return fmt.Sprintf("t%d", n), nil
}

func TestRefusedTokenIsReplacedOnceAndTheRequestRepeated(t *testing.T) {
	t.Parallel()
	for name, refusal := range map[string]answer{
		"401":       {401, nil, "No token in request"},
		"400":       expired,
		"400 plain": {400, nil, "Invalid JWT token"},
	} {
		s := script(t, refusal, answer{201, nil, dirAnswer})
		_, err := instanceOn(t, s.Server, cozy.Cached(&source{})).MakeDir(t.Context(), "d1", "sub", cozy.Times{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		want := []request{
			{Line: "POST /files/d1?Type=directory&Name=sub", Host: host, Auth: "Bearer t1"},
			{Line: "POST /files/d1?Type=directory&Name=sub", Host: host, Auth: "Bearer t2"},
		}
		if diff := cmp.Diff(want, s.got()); diff != "" {
			t.Errorf("%s: requests (-want +got):\n%s", name, diff)
		}
	}
}

func TestTokenThatStaysRefusedIsReportedAfterOneRepetition(t *testing.T) {
	t.Parallel()
	s := script(t, expired)
	_, err := instanceOn(t, s.Server, cozy.Cached(&source{})).DiskUsage(t.Context())
	if !cozy.IsTokenRefused(err) || len(s.got()) != 2 {
		t.Errorf("got %v after %d requests", err, len(s.got()))
	}
}

func TestSourceThatRepeatsARefusedTokenEndsTheRequest(t *testing.T) {
	t.Parallel()
	same := func(int64) (string, error) { return "same", nil }
	for name, tokens := range map[string]cozy.TokenSource{
		"static": cozy.Static("same"),
		"cached": cozy.Cached(&source{give: same}),
	} {
		s := script(t, expired)
		_, err := instanceOn(t, s.Server, tokens).DiskUsage(t.Context())
		if !errors.Is(err, cozy.ErrToken) || len(s.got()) != 1 {
			t.Errorf("%s: got %v after %d requests", name, err, len(s.got()))
		}
	}
}

func TestCachedAsksOnceForAllConcurrentCallers(t *testing.T) {
	t.Parallel()
	src := &source{wait: make(chan struct{})}
	tokens := cozy.Cached(src)
	var wg sync.WaitGroup
	got := make([]string, 20)
	for k := range got {
		wg.Go(func() { got[k], _ = tokens.Token(t.Context(), host, "") })
	}
	close(src.wait)
	wg.Wait()
	for _, token := range got {
		if token != "t1" {
			t.Errorf("got %q, want t1", token)
		}
	}
	// All found the same token refused: one asks for the next.
	for range 5 {
		if token, err := tokens.Token(t.Context(), host, "t1"); token != "t2" || err != nil {
			t.Errorf("got %q, %v; want t2", token, err)
		}
	}
	if n := src.calls.Load(); n != 2 {
		t.Errorf("source was asked %d times, want 2", n)
	}
	if token, _ := tokens.Token(t.Context(), "bob.cozy.example", ""); token != "t3" {
		t.Errorf("another host got %q", token)
	}
}

func TestCachedCallerThatGivesUpStopsNobodyElse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		src := &source{wait: make(chan struct{})}
		tokens := cozy.Cached(src)
		impatient, cancel := context.WithCancel(t.Context())
		first := make(chan error, 1)
		go func() {
			_, err := tokens.Token(impatient, host, "")
			first <- err
		}()
		synctest.Wait()
		second := make(chan string, 1)
		go func() {
			token, _ := tokens.Token(t.Context(), host, "")
			second <- token
		}()
		synctest.Wait()
		cancel()
		if err := <-first; !errors.Is(err, context.Canceled) {
			t.Errorf("first caller got %v", err)
		}
		close(src.wait)
		if token := <-second; token != "t1" {
			t.Errorf("second caller got %q", token)
		}
	})
}

func TestCachedKeepsNoFailure(t *testing.T) {
	t.Parallel()
	tokens := cozy.Cached(&source{give: func(n int64) (string, error) {
		if n == 1 {
			return "", errors.New("away")
		}
		return "good", nil
	}})
	if _, err := tokens.Token(t.Context(), host, ""); err == nil {
		t.Error("the first failure was lost")
	}
	if token, err := tokens.Token(t.Context(), host, ""); token != "good" || err != nil {
		t.Errorf("got %q, %v", token, err)
	}
}

// jwt is an unsigned token that ends at a time.
func jwt(n int64, exp time.Time) string {
	payload := fmt.Sprintf(`{"n":%d,"exp":%d}`, n, exp.Unix())
	return "e30." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".sig"
}

func TestCachedReplacesTokensBeforeTheyEnd(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		give   func(n int64) (string, error)
		usable time.Duration
	}{
		"says when": {func(n int64) (string, error) { return jwt(n, time.Now().Add(time.Hour)), nil }, 58 * time.Minute},
		"short":     {func(n int64) (string, error) { return jwt(n, time.Now().Add(100*time.Second)), nil }, 90 * time.Second},
		"says not":  {nil, 20 * time.Minute},
		"no jwt":    {func(n int64) (string, error) { return fmt.Sprintf("a.?%d.c", n), nil }, 20 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				src := &source{give: test.give}
				tokens := cozy.Cached(src)
				for _, step := range []struct {
					after time.Duration
					calls int64
				}{{0, 1}, {test.usable - time.Second, 1}, {2 * time.Second, 2}} {
					<-time.After(step.after) // by the bubble's clock
					if _, err := tokens.Token(t.Context(), host, ""); err != nil {
						t.Fatal(err)
					}
					if n := src.calls.Load(); n != step.calls {
						t.Errorf("after %v more: asked %d times, want %d", step.after, n, step.calls)
					}
				}
			})
		})
	}
}

func TestCachedIsBounded(t *testing.T) {
	t.Parallel()
	src := &source{}
	tokens := cozy.Cached(src)
	const hosts = 10_050
	for pass := range 2 {
		for k := range hosts {
			if _, err := tokens.Token(t.Context(), fmt.Sprint(k), ""); err != nil {
				t.Fatal(pass, err)
			}
		}
	}
	if n := src.calls.Load(); n <= hosts || n > hosts+2000 {
		t.Errorf("source was asked %d times for %d hosts in two passes", n, hosts)
	}
}

func TestClouderyIsAskedAsRecorded(t *testing.T) {
	t.Parallel()
	s := script(t, answer{201, nil, `{"token":"tok"}`})
	token, err := cozy.NewCloudery(s.Client(), s.URL+"/", "secret", "io.cozy.files").Token(t.Context(), "alice.localhost:8080", "")
	if token != "tok" || err != nil {
		t.Fatalf("got %q, %v", token, err)
	}
	body := `{"audience":"app","scope":"io.cozy.files","subject":"settings"}`
	want := []request{{
		Line: "POST /api/public/instances/alice.localhost:8080/token", Host: s.Listener.Addr().String(),
		Auth: "Bearer secret", Type: "application/json", Body: body, Length: int64(len(body)),
	}}
	if diff := cmp.Diff(want, s.got()); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
}

func TestAdminIsAskedAsRecorded(t *testing.T) {
	t.Parallel()
	s := script(t, answer{200, nil, "tok\n"})
	source := cozy.NewAdmin(s.Client(), s.URL, "admin", "pw", "io.cozy.files io.cozy.accounts")
	token, err := source.Token(t.Context(), "alice.localhost:8080", "")
	if token != "tok" || err != nil {
		t.Fatalf("got %q, %v", token, err)
	}
	want := []request{{
		Line: "POST /instances/token?Audience=app&Domain=alice.localhost%3A8080" +
			"&Scope=io.cozy.files+io.cozy.accounts&Subject=settings",
		Host: s.Listener.Addr().String(), Auth: "Basic YWRtaW46cHc=",
	}}
	if diff := cmp.Diff(want, s.got()); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
}

func TestIssuersFailWithoutSpillingSecrets(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answer answer
		gone   bool
	}{
		"unknown instance": {answer{404, nil, `{"errors":[{"status":"404","title":"Not Found","detail":"Instance not found"}]}`}, true},
		"no such route":    {answer{404, nil, "404 page not found"}, false},
		"own login":        {answer{401, nil, "Unauthorized"}, false},
		"expired":          {expired, false},
		"down":             {answer{503, nil, "down"}, false},
		"empty":            {answer{200, nil, `{}`}, false},
		"not json":         {answer{200, nil, `{"token":"tok-secret`}, false},
		"two lines":        {answer{200, nil, "{\"token\":\"tok-secret\\r\\nX: y\"}"}, false},
		"huge":             {answer{200, nil, strings.Repeat("x", 1<<20)}, false},
	} {
		s := script(t, test.answer)
		_, err := cozy.NewCloudery(s.Client(), s.URL, "tok-secret", "x").Token(t.Context(), host, "")
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: got %v", name, err)
		}
		if cozy.IsInstanceGone(err) != test.gone || cozy.IsTokenRefused(err) {
			t.Errorf("%s: gone %t, token refused %t", name, cozy.IsInstanceGone(err), cozy.IsTokenRefused(err))
		}
	}
}
