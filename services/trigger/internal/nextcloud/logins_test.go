package nextcloud_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/pkg/egress"
	"example.org/ncm/pkg/nextcloudtest"
	"example.org/ncm/services/trigger/internal/nextcloud"
	"example.org/ncm/services/trigger/internal/request"
)

const (
	password  = "app-password-7391"
	prefix    = "nextcloud unreachable: nextcloud unreachable: "
	noAnswer  = prefix + "the server does not answer"
	noNextc   = prefix + "the address is not the one of a Nextcloud"
	elsewhere = prefix + "the server redirects elsewhere"

	appPasswordAdvice = ": this nextcloud does not accept login passwords here, please create an app password in its security settings"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newLogins makes a checker that reaches this machine, unless it is guarded.
func newLogins(t *testing.T, guarded bool) *nextcloud.Logins {
	t.Helper()
	options := egress.Options{}
	if !guarded {
		options.Allow = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	}
	transport := egress.NewTransport(options)
	t.Cleanup(transport.CloseIdleConnections)
	return nextcloud.New(nextcloud.Config{
		Client:    &http.Client{Transport: transport, CheckRedirect: egress.CheckRedirect},
		AllowHTTP: true,
	})
}

func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

func check(t *testing.T, logins *nextcloud.Logins, url string) (string, error) {
	t.Helper()
	id, err := logins.Check(t.Context(), contract.AccountAuth{URL: url, Login: "joe", Password: password})
	if err != nil && strings.Contains(err.Error(), password) {
		t.Errorf("the password is in the error: %v", err)
	}
	return id, err
}

func wantRefusal(t *testing.T, err error, code request.Code, message string) {
	t.Helper()
	if got := request.CodeOf(err); got != code {
		t.Errorf("code %q, want %q (%v)", got, code, err)
	}
	if got := request.MessageOf(err); got != message {
		t.Errorf("message %q, want %q", got, message)
	}
}

func TestCheckAsksForTheUser(t *testing.T) {
	t.Parallel()
	var asked *http.Request
	root := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked = r
		_, _ = fmt.Fprint(w, `{"ocs":{"meta":{"statuscode":200},"data":{"id":"joe@home 1"}}}`)
	})
	id, err := check(t, newLogins(t, false), root+"/sub/path/")
	if err != nil || id != "joe@home 1" {
		t.Fatalf("id %q, error %v", id, err)
	}
	if got, want := asked.URL.Path, "/sub/path/ocs/v2.php/cloud/user"; got != want {
		t.Errorf("path %q, want %q", got, want)
	}
	if login, pass, _ := asked.BasicAuth(); login != "joe" || pass != password {
		t.Errorf("login %q and its password were not sent", login)
	}
	for name, want := range map[string]string{"OCS-APIRequest": "true", "Accept": "application/json"} {
		if got := asked.Header.Get(name); got != want {
			t.Errorf("header %s is %q, want %q", name, got, want)
		}
	}
}

func TestCheckReadsTheAnswer(t *testing.T) {
	t.Parallel()
	const credentials = "nextcloud credentials are invalid"
	for name, c := range map[string]struct {
		status  int
		body    string
		code    request.Code
		message string
	}{
		"a user":             {200, `{"ocs":{"meta":{"statuscode":200},"data":{"id":"x"}}}`, "", ""},
		"no id":              {200, `{"ocs":{"data":{}}}`, "", ""},
		"no data":            {200, `{"ocs":{"meta":{"statuscode":200},"data":[]}}`, "", ""},
		"401":                {401, `{"ocs":{"meta":{"statuscode":997},"data":[]}}`, request.CodeBadCredentials, credentials},
		"403":                {403, ``, request.CodeBadCredentials, credentials},
		"second factor":      {401, `{"ocs":{"meta":{"status":"failure","statuscode":997,"message":"Current user is not logged in"},"data":[]}}`, request.CodeBadCredentials, credentials + appPasswordAdvice},
		"of an old version":  {401, `<?xml version="1.0"?><ocs><meta><statuscode>997</statuscode><message>Current user is not logged in</message></meta></ocs>`, request.CodeBadCredentials, credentials + appPasswordAdvice},
		"997 in a 200":       {200, `{"ocs":{"meta":{"statuscode":997},"data":[]}}`, request.CodeBadCredentials, credentials},
		"throttled":          {429, `{"ocs":{"meta":{"statuscode":429},"data":[]}}`, request.CodeUnreachable, prefix + "it refuses logins for now because of too many attempts, please retry in half an hour"},
		"server error":       {500, ``, request.CodeUnreachable, prefix + "unexpected status 500 from nextcloud cloud/user probe"},
		"unavailable":        {503, `{}`, request.CodeUnreachable, prefix + "unexpected status 503 from nextcloud cloud/user probe"},
		"a web page":         {200, `<!DOCTYPE html>`, request.CodeUnreachable, noNextc},
		"other JSON":         {200, `{"hello":"world"}`, request.CodeUnreachable, noNextc},
		"not even an object": {200, `[]`, request.CodeUnreachable, noNextc},
		"endless":            {200, `{"ocs":{"data":{"id":"` + strings.Repeat("x", 2<<20), request.CodeUnreachable, noNextc},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(c.status)
				_, _ = fmt.Fprint(w, c.body)
			})
			_, err := check(t, newLogins(t, false), root+"/")
			if c.code == "" && err == nil {
				return
			}
			wantRefusal(t, err, c.code, c.message)
		})
	}
}

func TestCheckFollowsRedirectsOnlyWithinTheOrigin(t *testing.T) {
	t.Parallel()
	stolen := make(chan string, 1)
	thief := serve(t, func(_ http.ResponseWriter, r *http.Request) { stolen <- r.Header.Get("Authorization") })
	root := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/moved/ocs/v2.php/cloud/user":
			http.Redirect(w, r, "/ocs/v2.php/cloud/user", http.StatusMovedPermanently)
		case "/ocs/v2.php/cloud/user":
			_, _ = fmt.Fprint(w, `{"ocs":{"data":{"id":"x"}}}`)
		case "/away/ocs/v2.php/cloud/user":
			http.Redirect(w, r, thief, http.StatusFound)
		default:
			http.Redirect(w, r, r.URL.Path, http.StatusFound)
		}
	})
	logins := newLogins(t, false)
	if id, err := check(t, logins, root+"/moved/"); err != nil || id != "x" {
		t.Errorf("within the origin: id %q, error %v", id, err)
	}
	_, err := check(t, logins, root+"/loop/")
	wantRefusal(t, err, request.CodeUnreachable, elsewhere)
	_, err = check(t, logins, root+"/away/")
	wantRefusal(t, err, request.CodeUnreachable, elsewhere)
	select {
	case header := <-stolen:
		t.Errorf("another origin was asked, with authorization %q", header)
	default:
	}
}

func TestCheckTellsMaintenance(t *testing.T) {
	t.Parallel()
	server := nextcloudtest.New(nextcloudtest.Config{Dir: t.TempDir()})
	server.SetMaintenance(true)
	_, err := check(t, newLogins(t, false), serve(t, server.ServeHTTP)+"/")
	wantRefusal(t, err, request.CodeUnreachable, prefix+"it is in maintenance, please retry when it is back")
}

// One wording, so that nobody learns what is behind a firewall.
func TestCheckDoesNotTellClosedFromForbidden(t *testing.T) {
	t.Parallel()
	root := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprint(w, `{"ocs":{"data":{"id":"x"}}}`)
	})
	for name, c := range map[string]struct {
		url     string
		guarded bool
	}{
		"closed port":  {"http://127.0.0.1:1/", false},
		"forbidden":    {root + "/", true},
		"metadata":     {"http://169.254.169.254/", true},
		"private":      {"http://10.255.255.1/", true},
		"unknown host": {"http://nextcloud.invalid/", true},
		"no TLS":       {strings.Replace(root, "http://", "https://", 1) + "/", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := check(t, newLogins(t, c.guarded), c.url)
			wantRefusal(t, err, request.CodeUnreachable, noAnswer)
			if told := strings.Contains(err.Error(), "ALLOWED_PRIVATE_RANGES"); told != c.guarded && name != "unknown host" {
				t.Errorf("the log says %q", err)
			}
		})
	}
}

func TestCheckStopsWithItsContext(t *testing.T) {
	t.Parallel()
	released := make(chan struct{})
	root := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		close(released)
	})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := newLogins(t, false).Check(ctx, contract.AccountAuth{URL: root + "/", Login: "joe", Password: password})
	wantRefusal(t, err, request.CodeUnreachable, noAnswer)
	<-released
}

func TestCheckRefusesAddressesThatAreNone(t *testing.T) {
	t.Parallel()
	for url, message := range map[string]string{
		"127.0.0.1:8099/":                        "the address is not a URL",
		"http://%zz/":                            "the address is not a URL",
		"http:///":                               "invalid NextCloud account",
		"cloud.example/":                         "invalid NextCloud account",
		"ftp://cloud.example/":                   "unsupported protocol scheme",
		"https://joe:" + password + "@a.example": "invalid NextCloud account",
		"https://joe:" + password + "@a b:x/":    "the address is not a URL",
		"https://a.example/?x=/":                 "invalid NextCloud account",
		"https://a.example/#/":                   "invalid NextCloud account",
	} {
		t.Run(url, func(t *testing.T) {
			t.Parallel()
			_, err := check(t, newLogins(t, true), url)
			wantRefusal(t, err, request.CodeUnreachable, prefix+message)
		})
	}
}

func TestCheckSendsNoPasswordInClearTextUnlessAllowed(t *testing.T) {
	t.Parallel()
	strict := nextcloud.New(nextcloud.Config{Client: http.DefaultClient})
	_, err := check(t, strict, "http://127.0.0.1:1/")
	wantRefusal(t, err, request.CodeUnreachable, prefix+"the address has to begin with https://")
}
