package nextcloud_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/ncm/pkg/nextcloudtest"
	"example.org/ncm/services/migrator/internal/nextcloud"
	"example.org/ncm/services/migrator/internal/transfer"
)

// roundTrip is a transport made of a function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func answer(status int, header http.Header, body io.Reader) *http.Response {
	if header == nil {
		header = http.Header{}
	}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(body), ContentLength: -1, ProtoMajor: 1}
}

// simple is a Source on a transport made of a function.
func simple(t *testing.T, f roundTrip) *nextcloud.Source {
	t.Helper()
	s, err := nextcloud.New(nextcloud.Config{HTTP: f, BaseURL: "https://cloud.example/", Login: "alice", Password: password, Unanswered: 8})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestRequestsGoToTheExactAddress(t *testing.T) {
	t.Parallel()
	tests := []struct{ base, root, file, want string }{
		{"https://cloud.example", "", "a", "https://cloud.example/remote.php/dav/files/alice/a"},
		{"https://cloud.example/sub/", "/x/", "a b", "https://cloud.example/sub/remote.php/dav/files/alice/x/a%20b"},
		{"https://cloud.example/s%20b/%25/", "100%", "%41", "https://cloud.example/s%20b/%25/remote.php/dav/files/alice/100%25/%2541"},
		{"http://[::1]:8080/", "", "#?", "http://[::1]:8080/remote.php/dav/files/alice/%23%3F"},
		{"http://[2001:db8::1]/", "", "[", "http://[2001:db8::1]/remote.php/dav/files/alice/%5B"},
		{"https://cloud.example//", "", "e\u0301", "https://cloud.example/remote.php/dav/files/alice/e%CC%81"},
		{"https://cloud.example", "", "a\nb", "https://cloud.example/remote.php/dav/files/alice/a%0Ab"},
	}
	for _, tt := range tests {
		var got []string
		s, err := nextcloud.New(nextcloud.Config{
			BaseURL: tt.base, Root: tt.root, Login: "alice", Password: password,
			HTTP: roundTrip(func(r *http.Request) (*http.Response, error) {
				got = append(got, r.URL.String())
				login, pass, _ := r.BasicAuth()
				if login != "alice" || pass != password || r.Header.Get("Accept-Encoding") != "identity" {
					t.Errorf("%s: headers %v", tt.base, r.Header)
				}
				return answer(http.StatusNotFound, nil, http.NoBody), nil
			}),
		})
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = read(t.Context(), s, tt.file)
		wantError(t, err, transfer.EntryFails, transfer.ReasonNotFound)
		_, _, err = list(t.Context(), s, tt.file)
		wantError(t, err, transfer.EntryFails, transfer.ReasonNotFound)
		if diff := cmp.Diff([]string{tt.want, tt.want + "/"}, got); diff != "" {
			t.Errorf("addresses of GET and PROPFIND (-want +got):\n%s", diff)
		}
	}
}

// aside are the questions about a login that are not about its files.
var aside = map[string]func(context.Context, nextcloud.Config) error{
	"ocs/v2.php/cloud/user": func(ctx context.Context, c nextcloud.Config) error {
		id, err := nextcloud.UserID(ctx, c)
		if err == nil && id != "alice" {
			err = fmt.Errorf("the user is %q", id)
		}
		return err
	},
	"ocs/v2.php/core/apppassword": nextcloud.GiveBack,
}

func TestQuestionsAboutALoginGoToTheExactAddress(t *testing.T) {
	t.Parallel()
	for route, ask := range aside {
		for _, base := range []string{"https://cloud.example", "https://cloud.example/", "https://cloud.example/sub", "https://cloud.example/sub/"} {
			var got string
			err := ask(t.Context(), nextcloud.Config{BaseURL: base, Login: "alice@mail.example", HTTP: roundTrip(func(r *http.Request) (*http.Response, error) {
				got = r.URL.String()
				return answer(http.StatusOK, nil, strings.NewReader(`{"ocs":{"data":{"id":"alice"}}}`)), nil
			})})
			if want := strings.TrimSuffix(base, "/") + "/" + route; err != nil || got != want {
				t.Errorf("asked %s, %v; want %s", got, err, want)
			}
		}
	}
}

// TestAnAnswerThatNeverEndsIsGivenUp whatever was asked for: its silence holds no slot.
func TestAnAnswerThatNeverEndsIsGivenUp(t *testing.T) {
	t.Parallel()
	asks := map[string]func(context.Context, nextcloud.Config) error{
		"an archive that is none": func(ctx context.Context, c nextcloud.Config) error {
			s, err := nextcloud.New(c)
			if err != nil {
				return err
			}
			return s.Archive(ctx, "small", []transfer.File{{Name: "a"}}, func(int, []byte) error { return nil })
		},
	}
	maps.Copy(asks, aside)
	for name, ask := range asks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				err := ask(t.Context(), nextcloud.Config{BaseURL: "https://cloud.example/", Login: "alice", HTTP: roundTrip(func(r *http.Request) (*http.Response, error) {
					return answer(http.StatusOK, nil, &silent{r.Context(), strings.NewReader("{")}), nil
				})})
				if took := time.Since(began); took != time.Minute {
					t.Errorf("given up after %v with %v, want a minute", took, err)
				}
			})
		})
	}
}

func TestRefusalsAreClassified(t *testing.T) {
	t.Parallel()
	sabre := func(name string) string { return `Sabre\DAV\Exception\` + name }
	tests := map[string]struct {
		fault  nextcloudtest.Fault
		class  transfer.Class
		reason transfer.Reason
		after  time.Duration
	}{
		"login refused":       {nextcloudtest.Fault{Status: 401, Exception: sabre("NotAuthenticated")}, transfer.MigrationStops, transfer.ReasonLoginRefused, 0},
		"forbidden":           {nextcloudtest.Fault{Status: 403, Exception: sabre("Forbidden"), Message: "denied"}, transfer.EntryFails, transfer.ReasonForbidden, 0},
		"not found":           {nextcloudtest.Fault{Status: 404, Exception: sabre("NotFound")}, transfer.EntryFails, transfer.ReasonNotFound, 0},
		"bad request":         {nextcloudtest.Fault{Status: 400}, transfer.EntryFails, transfer.ReasonForbidden, 0},
		"changed":             {nextcloudtest.Fault{Status: 412, Exception: sabre("PreconditionFailed")}, transfer.Again, transfer.ReasonChanged, 0},
		"locked":              {nextcloudtest.Fault{Status: 423, Exception: `OCA\DAV\Connector\Sabre\Exception\FileLocked`, Message: `"/Private" is locked`}, transfer.Again, transfer.ReasonBusy, 0},
		"too early":           {nextcloudtest.Fault{Status: 425}, transfer.Again, transfer.ReasonBusy, 0},
		"throttled":           {nextcloudtest.Fault{Status: 429, RetryAfter: 7 * time.Second}, transfer.Again, transfer.ReasonBusy, 7 * time.Second},
		"internal error":      {nextcloudtest.Fault{Status: 500}, transfer.Again, transfer.ReasonBusy, 0},
		"bad gateway":         {nextcloudtest.Fault{Status: 502, Body: "<html><body>502"}, transfer.Again, transfer.ReasonBusy, 0},
		"maintenance":         {nextcloudtest.Fault{Status: 503, Exception: `OCA\DAV\Exception\ServerMaintenanceMode`, Message: "System is in maintenance mode.", RetryAfter: 120 * time.Second}, transfer.Again, transfer.ReasonBusy, 120 * time.Second},
		"account disabled":    {nextcloudtest.Fault{Status: 503, Exception: sabre("ServiceUnavailable"), Message: `OC\User\DisabledUserException: Account disabled`}, transfer.MigrationStops, transfer.ReasonLoginRefused, 0},
		"gone from disk":      {nextcloudtest.Fault{Status: 503, Exception: sabre("ServiceUnavailable"), Message: "Could not open file: Private/a.txt, file doesn't seem to exist"}, transfer.EntryFails, transfer.ReasonNotFound, 0},
		"storage away":        {nextcloudtest.Fault{Status: 503, Exception: sabre("ServiceUnavailable"), Message: "Storage with mount id 2 is not available"}, transfer.Again, transfer.ReasonStorageAway, 0},
		"redis away":          {nextcloudtest.Fault{Status: 503, Exception: sabre("ServiceUnavailable"), Message: "RedisException: Redis server went away"}, transfer.Again, transfer.ReasonBusy, 0},
		"overloaded proxy":    {nextcloudtest.Fault{Status: 503, Body: strings.Repeat("x", 200_000)}, transfer.Again, transfer.ReasonBusy, 0},
		"success of a kind":   {nextcloudtest.Fault{Status: 206, Body: "part"}, transfer.Again, transfer.ReasonIncomplete, 0},
		"no answer":           {nextcloudtest.Fault{Drop: true}, transfer.Again, transfer.ReasonUnreachable, 0},
		"redirect elsewhere":  {nextcloudtest.Fault{RedirectTo: "https://evil.example/"}, transfer.Again, transfer.ReasonUnreachable, 0},
		"redirect to a login": {nextcloudtest.Fault{RedirectTo: "/next%20cloud/index.php/login"}, transfer.Again, transfer.ReasonUnreachable, 0},
		"redirect to itself":  {nextcloudtest.Fault{RedirectTo: "?", Times: -1}, transfer.Again, transfer.ReasonUnreachable, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCloud(t, "Private/a.txt")
			check := func(err error) {
				t.Helper()
				wantError(t, err, tt.class, tt.reason)
				if got := transfer.AsError(err).RetryAfter; got != tt.after {
					t.Errorf("retry after %v, want %v", got, tt.after)
				}
			}
			c.Inject(tt.fault)
			_, _, err := read(t.Context(), c.source(t), "Private/a.txt")
			check(err)
			c.Inject(tt.fault)
			_, _, err = list(t.Context(), c.source(t), "Private")
			check(err)
		})
	}
}

func TestRefusalsOfTheRootStopTheMigration(t *testing.T) {
	t.Parallel()
	tests := map[transfer.Reason]nextcloudtest.Fault{
		transfer.ReasonLoginRefused:  {RedirectTo: "https://sso.example/login"},
		transfer.ReasonForbidden:     {Status: 403},
		transfer.ReasonSourceMissing: {Status: 404},
	}
	for reason, fault := range tests {
		c := newCloud(t)
		c.Inject(fault)
		_, err := c.source(t).Check(t.Context())
		wantError(t, err, transfer.MigrationStops, reason)
	}
}

func TestRefusedLoginIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	c := newCloud(t, "a.txt")
	s := c.source(t, func(c *nextcloud.Config) { c.Password = "wrong-" + password })
	for range 20 {
		_, _, err := read(t.Context(), s, "a.txt")
		wantError(t, err, transfer.MigrationStops, transfer.ReasonLoginRefused)
		_, err = s.Check(t.Context())
		wantError(t, err, transfer.MigrationStops, transfer.ReasonLoginRefused)
	}
	if got := c.Stats().Statuses[http.StatusUnauthorized]; got != 1 {
		t.Errorf("%d refused logins were sent, want 1", got)
	}
}

func TestARevokedLoginIsRefusedLessOftenThanLocksUsOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var sent atomic.Int64
		s := simple(t, func(*http.Request) (*http.Response, error) {
			sent.Add(1)
			time.Sleep(60 * time.Millisecond) //nolint:forbidigo // the time of the bubble
			return answer(http.StatusUnauthorized, nil, http.NoBody), nil
		})
		var readers sync.WaitGroup
		for range 40 {
			readers.Go(func() {
				_, err := s.Open(t.Context(), "a.txt")
				wantError(t, err, transfer.MigrationStops, transfer.ReasonLoginRefused)
			})
		}
		readers.Wait()
		const lockout = 11
		if n := sent.Load(); n >= lockout-2 {
			t.Errorf("%d requests were refused, %d lock our address out", n, lockout)
		}
	})
}

func TestBodiesThatAreNotWhatWasAnnouncedFail(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		fault  nextcloudtest.Fault
		reason transfer.Reason
	}{
		"cut":       {nextcloudtest.Fault{TruncateAfter: 5}, transfer.ReasonIncomplete},
		"announced": {nextcloudtest.Fault{WrongContentLength: 3}, transfer.ReasonIncomplete},
		"gzip":      {nextcloudtest.Fault{Header: map[string]string{"Content-Encoding": "gzip"}}, transfer.ReasonIncomplete},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCloud(t, "a.txt")
			c.Inject(tt.fault)
			_, _, err := read(t.Context(), c.source(t), "a.txt")
			wantError(t, err, transfer.Again, tt.reason)
		})
	}
	t.Run("reset", func(t *testing.T) {
		t.Parallel()
		c := newCloud(t)
		if err := c.AddGenerated(userID, "big.bin", 8<<20, 1); err != nil {
			t.Fatal(err)
		}
		c.Inject(nextcloudtest.Fault{ResetAfter: 1 << 19})
		_, _, err := read(t.Context(), c.source(t), "big.bin")
		if e := transfer.AsError(err); e.Class != transfer.Again || e.Reason != transfer.ReasonIncomplete && e.Reason != transfer.ReasonUnreachable {
			t.Errorf("got error %v", err)
		}
	})
	t.Run("longer than announced", func(t *testing.T) {
		t.Parallel()
		s := simple(t, func(*http.Request) (*http.Response, error) {
			resp := answer(http.StatusOK, http.Header{"Etag": {`"e"`}}, strings.NewReader("too long"))
			resp.ContentLength = 3
			return resp, nil
		})
		_, _, err := read(t.Context(), s, "a")
		wantError(t, err, transfer.Again, transfer.ReasonIncomplete)
	})
}

func TestSizeIsUnknownWhereOnlyTheConnectionEndsTheBody(t *testing.T) {
	t.Parallel()
	for _, content := range []string{"", "some"} {
		s := simple(t, func(*http.Request) (*http.Response, error) {
			return answer(http.StatusOK, http.Header{"Etag": {`"e"`}}, strings.NewReader(content)), nil
		})
		got, body, err := read(t.Context(), s, "a")
		if err != nil || got != content || body.Size != -1 {
			t.Errorf("got %q of size %d, error %v", got, body.Size, err)
		}
	}
}

func TestBodyOfUnknownLengthIsReadWhole(t *testing.T) {
	t.Parallel()
	const content = "chunked content"
	s := simple(t, func(*http.Request) (*http.Response, error) {
		resp := answer(http.StatusOK, http.Header{"Etag": {`W/"e"`}}, strings.NewReader(content))
		resp.TransferEncoding = []string{"chunked"}
		return resp, nil
	})
	got, body, err := read(t.Context(), s, "a")
	if err != nil || got != content || body.Size != -1 || body.ETag != "e" {
		t.Errorf("got %q of size %d, ETag %q, error %v", got, body.Size, body.ETag, err)
	}
}

func TestSpoiledListingsFail(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]nextcloudtest.Fault{
		"cut":       {TruncateAfter: 900},
		"malformed": {MalformedMultistatus: true},
		"hostile":   {HostileHrefs: true},
		"bomb":      {XMLBomb: true},
		"gzip":      {Header: map[string]string{"Content-Encoding": "gzip"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCloud(t, "d/a.txt", "d/b.txt")
			c.Inject(fault)
			_, _, err := list(t.Context(), c.source(t), "d")
			wantError(t, err, transfer.Again, transfer.ReasonIncomplete)
		})
	}
	t.Run("endless", func(t *testing.T) {
		t.Parallel()
		c := newCloud(t, "d/a.txt")
		c.Inject(nextcloudtest.Fault{EndlessMultistatus: true})
		_, children, err := list(t.Context(), c.source(t, func(c *nextcloud.Config) { c.MaxEntries = 300 }), "d")
		if e := transfer.AsError(err); e.Reason != transfer.ReasonIncomplete || len(children) > 300 {
			t.Errorf("%d children, error %v", len(children), err)
		}
	})
}

func TestRedirectOfTheRootIsFollowedWithinTheOrigin(t *testing.T) {
	t.Parallel()
	c := newCloud(t, "d/a b.txt")
	moved := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if rest, old := strings.CutPrefix(r.URL.EscapedPath(), "/old/"); old {
			http.Redirect(w, r, "/next%20cloud/"+rest, http.StatusMovedPermanently)
			return
		}
		c.ServeHTTP(w, r)
	}))
	defer moved.Close()
	s := c.source(t, func(cfg *nextcloud.Config) {
		cfg.BaseURL, cfg.HTTP = moved.URL+"/old/", moved.Client().Transport
	})
	_, children, err := list(t.Context(), s, "d")
	if diff := cmp.Diff([]string{"a b.txt"}, names(children)); err != nil || diff != "" {
		t.Errorf("error %v, names (-want +got):\n%s", err, diff)
	}
	if got, _, err := read(t.Context(), s, "d/a b.txt"); err != nil || got != "content of a b.txt" {
		t.Errorf("got %q, error %v", got, err)
	}
}

func TestLoginNeverLeavesTheOrigin(t *testing.T) {
	t.Parallel()
	for _, target := range []string{
		"https://cloud.example:8443/remote.php/dav/files/alice/a", "http://cloud.example/remote.php/dav/files/alice/a",
		"https://evil.example/remote.php/dav/files/alice/a", "//evil.example/remote.php/dav/files/alice/a", "http://169.254.169.254/",
	} {
		for _, status := range []int{301, 302, 303, 307, 308} {
			requests := 0
			s := simple(t, func(r *http.Request) (*http.Response, error) {
				if requests++; r.URL.Host != "cloud.example" || r.URL.Scheme != "https" {
					t.Errorf("a request went to %s", r.URL)
				}
				return answer(status, http.Header{"Location": {target}}, http.NoBody), nil
			})
			if _, _, err := read(t.Context(), s, "a"); err == nil || requests != 1 {
				t.Errorf("%d to %s: error %v after %d requests", status, target, err, requests)
			}
		}
	}
}

func TestContextErrorsPassUntouched(t *testing.T) {
	t.Parallel()
	c := newCloud(t, "a.txt")
	c.Inject(nextcloudtest.Fault{Hang: true, Times: -1})
	s := c.source(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, _, err := read(ctx, s, "a.txt")
	var classified *transfer.Error
	if !errors.Is(err, context.DeadlineExceeded) || errors.As(err, &classified) {
		t.Errorf("GET: got error %v", err)
	}
	_, _, err = list(ctx, s, "")
	if !errors.Is(err, context.DeadlineExceeded) || errors.As(err, &classified) {
		t.Errorf("PROPFIND: got error %v", err)
	}
}

func TestCancelCutsARunningBody(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	if err := c.AddGenerated(userID, "big.bin", 1<<40, 1); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	b, err := c.source(t).Open(ctx, "big.bin")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	if _, err := io.CopyN(io.Discard, b, 1<<20); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := io.Copy(io.Discard, b); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v", err)
	}
}

// silent is a body that gives a little and then nothing until the request ends.
type silent struct {
	ctx  context.Context
	rest io.Reader
}

func (s *silent) Read(p []byte) (int, error) {
	if n, err := s.rest.Read(p); err == nil {
		return n, nil
	}
	<-s.ctx.Done()
	return 0, s.ctx.Err()
}

func TestSilenceEndsARequestButNotASlowReader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := simple(t, func(r *http.Request) (*http.Response, error) {
			if strings.HasSuffix(r.URL.Path, "/mute") {
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
			resp := answer(http.StatusOK, http.Header{"Etag": {`"e"`}}, &silent{r.Context(), strings.NewReader("abc")})
			resp.ContentLength = 10
			return resp, nil
		})
		start := time.Now()
		_, _, err := read(t.Context(), s, "mute")
		wantError(t, err, transfer.Again, transfer.ReasonUnreachable)
		if took := time.Since(start); took != time.Minute {
			t.Errorf("gave up after %v, want a minute", took)
		}
		b, err := s.Open(t.Context(), "slow")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = b.Close() }()
		time.Sleep(time.Hour) //nolint:forbidigo // the bubble's clock: a target that takes its time
		if n, err := io.ReadFull(b, make([]byte, 3)); n != 3 || err != nil {
			t.Fatalf("read %d bytes, error %v", n, err)
		}
		start = time.Now()
		_, err = b.Read(make([]byte, 1))
		wantError(t, err, transfer.Again, transfer.ReasonUnreachable)
		if took := time.Since(start); took != time.Minute {
			t.Errorf("gave up after %v, want a minute", took)
		}
	})
}

func TestConnectionsAreUsedAgainAfterRefusals(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	ports := map[string]bool{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		ports[r.RemoteAddr] = true
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, strings.Repeat("x", 30_000))
	}))
	defer srv.Close()
	s, err := nextcloud.New(nextcloud.Config{HTTP: srv.Client().Transport, BaseURL: srv.URL, Login: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		_, _, err := read(t.Context(), s, fmt.Sprintf("%d", i))
		wantError(t, err, transfer.EntryFails, transfer.ReasonNotFound)
	}
	if len(ports) != 1 {
		t.Errorf("%d connections for ten requests, want one", len(ports))
	}
}

func TestSourceServesManyAtOnce(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	if err := c.AddGeneratedFolder(userID, "many", 100, 1000); err != nil {
		t.Fatal(err)
	}
	s := c.source(t)
	_, files, err := list(t.Context(), s, "many")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var bytes atomic.Int64
	for _, f := range files {
		wg.Go(func() {
			content, _, err := read(t.Context(), s, "many/"+f.Name)
			if err != nil {
				t.Error(err)
			}
			bytes.Add(int64(len(content)))
		})
	}
	wg.Wait()
	if bytes.Load() != 100_000 {
		t.Errorf("read %d bytes, want 100000", bytes.Load())
	}
}

func TestNamesAndSecretsStayOutOfTheLog(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	c := newCloud(t, "Private/a.txt")
	c.Inject(nextcloudtest.Fault{Status: 503, Exception: "E", Message: "Private/a.txt", Times: -1})
	s := c.source(t, func(cfg *nextcloud.Config) {
		cfg.Logger = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelInfo}))
	})
	_, _, err := read(t.Context(), s, "Private/a.txt")
	wantError(t, err, transfer.Again, transfer.ReasonBusy)
	if log.String() != "" {
		t.Errorf("logged above debug: %s", log.String())
	}
}

func TestRetryAfterIsSecondsOrADate(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "0": 0, "120": 2 * time.Minute, "-5": 0, "soon": 0, "99999999": 24 * time.Hour,
		"Mon, 23 Nov 2026 12:01:00 GMT": time.Minute, "Mon, 23 Nov 2026 11:00:00 GMT": 0,
	} {
		if got := nextcloud.ParseRetryAfter(value, now); got != want {
			t.Errorf("%q: got %v, want %v", value, got, want)
		}
	}
}
