package cozytest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"example.org/ncm/pkg/cozytest"
)

func decode(t *testing.T, text string, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), v); err != nil {
		t.Fatalf("%v: %.200s", err, text)
	}
}

func benchmarkUpload(b *testing.B, stack *cozytest.Stack, token string, i int, body string) {
	b.Helper()
	request := httptest.NewRequest(http.MethodPost,
		fmt.Sprintf("%s?Type=file&Name=%d&Size=%d&CreatedAt=2020-01-01T00:00:00Z&UpdatedAt=2020-01-01T00:00:00Z", inRoot, i, len(body)),
		strings.NewReader(body))
	request.Host = host
	request.Header.Set("Authorization", "Bearer "+token)
	out := httptest.NewRecorder()
	stack.ServeHTTP(out, request)
	if out.Code != http.StatusCreated {
		b.Fatal(out.Code, out.Body)
	}
}

func TestQuotaCountsFilesAndOldVersions(t *testing.T) {
	t.Parallel()
	b := setup(t, cozytest.Config{}, cozytest.InstanceOptions{QuotaBytes: 100})
	id := b.expect(http.StatusCreated, http.MethodPost, inRoot+"?Type=file&Name=f", strings.Repeat("x", 40)).id()
	b.expect(http.StatusOK, http.MethodPut, "/files/"+id, strings.Repeat("y", 50))
	b.expect(http.StatusRequestEntityTooLarge, http.MethodPost, inRoot+"?Type=file&Name=f", strings.Repeat("x", 11))
	b.expect(http.StatusCreated, http.MethodPost, inRoot+"?Type=file&Name=g", strings.Repeat("x", 10))
	b.inst.SetQuota(0)
	b.expect(http.StatusCreated, http.MethodPost, inRoot+"?Type=file&Name=h", strings.Repeat("x", 1000))
}

func TestInstancesAreChosenByHost(t *testing.T) {
	t.Parallel()
	b := setup(t, cozytest.Config{}, cozytest.InstanceOptions{})
	other := b.stack.AddInstance("bob.example:1234", cozytest.InstanceOptions{})
	b.expect(http.StatusCreated, http.MethodPost, inRoot+"?Type=file&Name=f", content)
	if _, ok := other.Lookup("/f"); ok {
		t.Error("the file is in the other instance too")
	}
	if b.stack.Instance("ALICE.example:99") != b.inst || b.stack.Instance("bob.example") != nil {
		t.Error("a host without a port answers for each port, one with a port for that one only")
	}
}

func TestInstancesCanBeBlockedAndGone(t *testing.T) {
	t.Parallel()
	b := setup(t, cozytest.Config{}, cozytest.InstanceOptions{})
	b.inst.SetBlocked(true)
	for reason, want := range map[string]struct {
		status int
		body   string
	}{ // as a stack of July 2026 answered
		"":                     {503, `[{"status":"503","title":"Blocked","code":"UNKNOWN","detail":"The Twake is blocked for an unknown reason","source":{}}]`},
		"OTHER":                {503, `[{"status":"503","title":"Blocked","code":"UNKNOWN","detail":"The Twake is blocked for an unknown reason","source":{}}]`},
		cozytest.BlockedUnpaid: {402, `[{"status":"402","title":"Blocked","code":"UNKNOWN","detail":"The Twake is blocked for an unknown reason","source":{}}]`},
		cozytest.BlockedMoving: {503, `{"error":"The Twake requires a payment"}`},
	} {
		b.inst.SetBlockingReason(reason)
		if got := b.expect(want.status, http.MethodGet, inRoot, "").body; strings.TrimSpace(got) != want.body {
			t.Errorf("%q: %s", reason, got)
		}
	}
	b.inst.SetBlocked(false)
	b.inst.SetGone(true)
	if got := b.expect(http.StatusNotFound, http.MethodGet, inRoot, "").body; got != "Instance not found" {
		t.Errorf("answer %q", got)
	}
	b.inst.SetGone(false)
	b.expect(http.StatusOK, http.MethodGet, inRoot, "")
}

func TestExpiredTokensAreRefusedAndNewOnesWork(t *testing.T) {
	t.Parallel()
	b := setup(t, cozytest.Config{}, cozytest.InstanceOptions{})
	b.inst.ExpireTokens()
	answer := b.expect(http.StatusBadRequest, http.MethodGet, inRoot, "")
	if got := answer.Header.Get("Www-Authenticate"); !strings.Contains(got, "expired") {
		t.Errorf("challenge %q", got)
	}
	b.token = b.inst.AppToken()
	b.expect(http.StatusOK, http.MethodGet, inRoot, "")
	b.token = b.inst.MintToken(cozytest.TokenOptions{Audience: cozytest.AudienceCLI, Scope: "io.cozy.files:GET"})
	b.expect(http.StatusOK, http.MethodGet, inRoot, "")
	b.expect(http.StatusForbidden, http.MethodPost, inRoot+"?Type=file&Name=f", content)
}

func TestAdminAPIGivesTokens(t *testing.T) {
	t.Parallel()
	b := setup(t, cozytest.Config{AdminUser: "root", AdminPassword: "pw", TokenTTL: time.Hour}, cozytest.InstanceOptions{})
	ask := func(password, query string) *httptest.ResponseRecorder {
		request := httptest.NewRequest(http.MethodPost, "/instances/token?"+query, nil)
		request.SetBasicAuth("root", password)
		out := httptest.NewRecorder()
		b.stack.AdminHandler().ServeHTTP(out, request)
		return out
	}
	for _, c := range []struct {
		password, query string
		status          int
	}{
		{"wrong", "Domain=" + host, http.StatusUnauthorized},
		{"pw", "Domain=nobody.example", http.StatusNotFound},
		{"pw", "Domain=" + host + "&Audience=moon", http.StatusBadRequest},
		{"pw", "Domain=" + host + "&Expire=soon", http.StatusOK},
		{"pw", "Domain=" + host + "&Audience=app&Subject=settings&Scope=io.cozy.files&Expire=5m", http.StatusOK},
	} {
		if got := ask(c.password, c.query).Code; got != c.status {
			t.Errorf("%s: %d, want %d", c.query, got, c.status)
		}
	}
	b.token = ask("pw", "Domain="+host+"&Audience=app&Subject=settings").Body.String()
	b.expect(http.StatusOK, http.MethodGet, inRoot, "")
	if b.stack.Count("POST /instances/token") != 6 {
		t.Errorf("stats %v", b.stack.Stats())
	}
}

// As a real stack does it.
func TestAnAppsTokenOfTheAdminAPILivesHalfAnHour(t *testing.T) {
	t.Parallel()
	b := setup(t, cozytest.Config{AdminUser: "root", AdminPassword: "pw"}, cozytest.InstanceOptions{})
	for query, status := range map[string]int{
		"Audience=app&Subject=settings":                  http.StatusOK,
		"Audience=app&Subject=settings&Expire=30m0s":     http.StatusBadRequest,
		"Audience=app&Subject=settings&Expire=23h29m":    http.StatusBadRequest,
		"Audience=app&Subject=settings&Expire=24h":       http.StatusOK,
		"Audience=konnector&Subject=nextcloud&Expire=5m": http.StatusOK,
		"Audience=cli&Scope=io.cozy.files&Expire=5m":     http.StatusOK,
		"Audience=cli&Scope=io.cozy.files&Expire=-5m":    http.StatusBadRequest,
	} {
		request := httptest.NewRequest(http.MethodPost, "/instances/token?Domain="+host+"&"+query, nil)
		request.SetBasicAuth("root", "pw")
		out := httptest.NewRecorder()
		b.stack.AdminHandler().ServeHTTP(out, request)
		use := httptest.NewRequest(http.MethodGet, inRoot, nil)
		use.Host = host
		use.Header.Set("Authorization", "Bearer "+out.Body.String())
		used := httptest.NewRecorder()
		b.stack.ServeHTTP(used, use)
		if out.Code != http.StatusOK || used.Code != status {
			t.Errorf("%s: %d, and %d in use, want %d", query, out.Code, used.Code, status)
		}
	}
}

func TestClouderyGivesTokens(t *testing.T) {
	t.Parallel()
	b := setup(t, cozytest.Config{ClouderyToken: "secret"}, cozytest.InstanceOptions{})
	ask := func(bearer, fqdn, body string) *httptest.ResponseRecorder {
		request := httptest.NewRequest(http.MethodPost, "/api/public/instances/"+fqdn+"/token", strings.NewReader(body))
		request.Header.Set("Authorization", "Bearer "+bearer)
		out := httptest.NewRecorder()
		b.stack.ClouderyHandler().ServeHTTP(out, request)
		return out
	}
	const order = `{"audience":"app","scope":"io.cozy.files","subject":"settings"}`
	for _, c := range []struct {
		bearer, fqdn, body string
		status             int
	}{
		{"wrong", host, order, http.StatusUnauthorized},
		{"secret", "nobody.example", order, http.StatusNotFound},
		{"secret", host, "{", http.StatusBadRequest},
		{"secret", host, order, http.StatusOK},
	} {
		if got := ask(c.bearer, c.fqdn, c.body).Code; got != c.status {
			t.Errorf("%+v: %d", c, got)
		}
	}
	var answer struct{ Token string }
	decode(t, ask("secret", host, order).Body.String(), &answer)
	b.token = answer.Token
	b.expect(http.StatusOK, http.MethodGet, inRoot, "")
}

// TestMaxInFlightMakesOthersWait holds the only place with a body that does
// not end, and sees that the next request starts when it does.
func TestMaxInFlightMakesOthersWait(t *testing.T) {
	t.Parallel()
	b := setup(t, cozytest.Config{}, cozytest.InstanceOptions{MaxInFlight: 1})
	body, feed := io.Pipe()
	first := make(chan int, 1)
	go func() {
		answer, err := b.send(b.request(t.Context(), http.MethodPost, inRoot+"?Type=file&Name=1", body))
		if err != nil {
			t.Error(err)
			first <- 0
			return
		}
		first <- answer.StatusCode
	}()
	if _, err := feed.Write([]byte("the server has taken the request when this is read")); err != nil {
		t.Fatal(err)
	}
	second := make(chan int, 1)
	go func() { second <- b.do(http.MethodPost, inRoot+"?Type=file&Name=2", content).StatusCode }()
	select {
	case status := <-second:
		t.Fatalf("the second request did not wait: %d", status)
	case <-time.After(50 * time.Millisecond):
	}
	feed.Close()
	if one, two := <-first, <-second; one != http.StatusCreated || two != http.StatusCreated {
		t.Errorf("statuses %d and %d", one, two)
	}
}

func TestOfWritesOverOneRevisionOneWins(t *testing.T) {
	t.Parallel()
	b := setup(t, cozytest.Config{}, cozytest.InstanceOptions{})
	const doctype = "io.cozy.nextcloud.migrations"
	id, rev, err := b.inst.PutDoc(doctype, "", map[string]any{"status": "pending"})
	if err != nil {
		t.Fatal(err)
	}
	const writers = 8
	var won, lost int
	var mu sync.Mutex
	var all sync.WaitGroup
	for i := range writers {
		all.Go(func() {
			status := b.do(http.MethodPut, "/data/"+doctype+"/"+id,
				fmt.Sprintf(`{"_id":%q,"_rev":%q,"status":"running","n":%d}`, id, rev, i)).StatusCode
			mu.Lock()
			defer mu.Unlock()
			switch status {
			case http.StatusOK:
				won++
			case http.StatusConflict:
				lost++
			}
		})
	}
	all.Wait()
	if won != 1 || lost != writers-1 {
		t.Errorf("%d won, %d lost", won, lost)
	}
	if doc, ok := b.inst.Doc(doctype, id); !ok || doc["status"] != "running" {
		t.Errorf("document %v", doc)
	}
}

func TestPasswordsAreLockedAway(t *testing.T) {
	t.Parallel()
	b := setup(t, cozytest.Config{}, cozytest.InstanceOptions{})
	const doctype, secret = "io.cozy.accounts", "planted secret"
	id, _, err := b.inst.PutDoc(doctype, "", map[string]any{
		"account_type": "nextcloud", "auth": map[string]any{"login": "joe", "password": secret},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := b.expect(http.StatusOK, http.MethodGet, "/data/"+doctype+"/"+id, "").body; strings.Contains(got, secret) {
		t.Errorf("the password shows: %s", got)
	}
	got := b.expect(http.StatusOK, http.MethodGet, "/data/"+doctype+"/"+id+"?include=credentials", "").body
	if !strings.Contains(got, secret) {
		t.Errorf("the password is lost: %s", got)
	}
	if docs := b.inst.Docs(doctype); len(docs) != 1 || docs[0]["name"] != "joe" {
		t.Errorf("documents %v", docs)
	}
}

func TestDatabasesExistOnceSomethingIsInThem(t *testing.T) {
	t.Parallel()
	b := setup(t, cozytest.Config{}, cozytest.InstanceOptions{})
	b.expect(http.StatusNotFound, http.MethodGet, "/data/io.cozy.accounts/_normal_docs", "")
	b.expect(http.StatusCreated, http.MethodPost, "/data/io.cozy.accounts/", `{"account_type":"x"}`)
	b.expect(http.StatusOK, http.MethodGet, "/data/io.cozy.accounts/_normal_docs", "")
}
