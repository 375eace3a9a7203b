package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/test/rig"
)

// refusal is the body of an answer in JSON:API.
func refusal(status int, detail string) string {
	return fmt.Sprintf(`{"errors":[{"status":"%d","title":%q,"detail":%q,"source":{}}]}`+"\n", status, http.StatusText(status), detail)
}

const (
	unavailable = "migration service is unavailable, please retry later"
	jsonAPI     = "application/vnd.api+json"
	plainText   = "text/plain; charset=UTF-8"
)

func wantAnswer(t *testing.T, answer rig.Answer, status int, contentType, body string) {
	t.Helper()
	if answer.Status != status || answer.Header.Get("Content-Type") != contentType {
		t.Errorf("answer is %d %s, want %d %s", answer.Status, answer.Header.Get("Content-Type"), status, contentType)
	}
	if diff := cmp.Diff(body, answer.Body); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
}

// trigged is a rig with a trigger and one instance, and no worker.
type trigged struct {
	*rig.Rig
	trigger *rig.Trigger
	cozy    *rig.Instance
	order   rig.Order
}

func newTrigged(t *testing.T) *trigged {
	t.Helper()
	r := backends.New(t)
	return &trigged{Rig: r, trigger: r.StartTrigger(nil), cozy: r.AddInstance(host), order: r.Order(r.AddUser("alice"))}
}

var ids = regexp.MustCompile(`"(id|rev)":"[0-9a-f-]+"`) //nolint:gochecknoglobals // never written

func TestAStartedMigrationIsAnsweredWith201(t *testing.T) {
	t.Parallel()
	r := newTrigged(t)
	r.TapMigrations()
	r.order.TargetDir = ""
	answer := r.trigger.Start(t, r.cozy, r.order)
	answer.Body = ids.ReplaceAllString(answer.Body, `"$1":"…"`)
	wantAnswer(t, answer, http.StatusCreated, jsonAPI, `{"data":{"type":"io.cozy.nextcloud.migrations","id":"…","attributes":{"status":"pending",`+
		`"target_dir":"/Nextcloud","source_path":"/","progress":{"files_imported":0,"files_total":0,"bytes_imported":0,"bytes_total":0},`+
		`"errors":[],"skipped":[],"started_at":null,"finished_at":null},"meta":{"rev":"…"}}}`+"\n")

	wantAnswer(t, r.trigger.Start(t, r.cozy, r.order), http.StatusConflict, jsonAPI, inProgress)
}

func TestAFaultyBodyIsAnsweredWith400(t *testing.T) {
	t.Parallel()
	r := newTrigged(t)
	full := map[string]string{"nextcloud_url": r.NextcloudURL, "nextcloud_login": "alice", "nextcloud_app_password": "pw"}
	with := func(field, value string) string {
		body := map[string]string{field: value}
		for name, given := range full {
			if name != field {
				body[name] = given
			}
		}
		content, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
	const unclean = "target_dir must be a clean absolute path"
	for body, detail := range map[string]string{
		`{nope`:                               "invalid JSON body",
		`[]`:                                  "invalid JSON body",
		``:                                    "nextcloud_url is required",
		with("nextcloud_url", " \t"):          "nextcloud_url is required",
		with("nextcloud_login", ""):           "nextcloud_login is required",
		with("nextcloud_app_password", "\n "): "nextcloud_app_password is required",
		with("target_dir", "Photos"):          unclean,
		with("target_dir", "/a/../b"):         unclean,
		with("target_dir", "/a//b"):           unclean,
		with("target_dir", "/ "):              unclean,
	} {
		t.Run(body, func(t *testing.T) {
			wantAnswer(t, r.trigger.Post(t, r.cozy, body), http.StatusBadRequest, jsonAPI, refusal(http.StatusBadRequest, detail))
		})
	}
	r.wantNoDocument(t)
}

// wantNoDocument checks that a refusal left nothing behind.
func (r *trigged) wantNoDocument(t *testing.T) {
	t.Helper()
	if docs := r.cozy.Documents(contract.DoctypeMigrations); len(docs) > 0 {
		t.Errorf("%d tracking documents were made", len(docs))
	}
	if accounts := r.cozy.Documents(contract.DoctypeAccounts); len(accounts) > 0 {
		t.Errorf("%d accounts were made", len(accounts))
	}
}

func TestACallerWithoutTheRightIsRefused(t *testing.T) {
	t.Parallel()
	r := newTrigged(t)
	for name, c := range map[string]struct {
		token  string
		status int
		body   string
	}{
		"no token":         {"", http.StatusUnauthorized, "No token in request"},
		"nobody's token":   {"planted-token-of-nobody", http.StatusBadRequest, "Invalid JWT token"},
		"expired token":    {r.cozy.MintToken(map[string]any{"ttlSeconds": -1}), http.StatusBadRequest, "Expired token"},
		"other permission": {r.cozy.MintToken(map[string]any{"audience": "cli", "scope": "io.cozy.files"}), http.StatusForbidden, "Forbidden"},
		"other verb": {
			r.cozy.MintToken(map[string]any{"audience": "cli", "scope": contract.DoctypeMigrations + ":GET"}), http.StatusForbidden, "Forbidden",
		},
	} {
		t.Run(name, func(t *testing.T) {
			caller := *r.cozy
			caller.Token = c.token
			wantAnswer(t, r.trigger.Start(t, &caller, r.order), c.status, plainText, c.body)
		})
	}
	r.wantNoDocument(t)
}

func TestAHostThatIsNoInstanceIsAnsweredWith404(t *testing.T) {
	t.Parallel()
	r := newTrigged(t)
	for _, stranger := range []string{"alice.elsewhere.test", "nobody" + rig.InstanceSuffix, "127.0.0.1", rig.InstanceSuffix[1:]} {
		t.Run(stranger, func(t *testing.T) {
			caller := *r.cozy
			caller.Host = stranger
			wantAnswer(t, r.trigger.Start(t, &caller, r.order), http.StatusNotFound, jsonAPI, refusal(http.StatusNotFound, "Instance not found"))
		})
	}
}

func TestARefusedLoginIsAnsweredWith401(t *testing.T) {
	t.Parallel()
	r := newTrigged(t)
	r.order.AppPassword = "not the password"
	wantAnswer(t, r.trigger.Start(t, r.cozy, r.order), http.StatusUnauthorized, jsonAPI,
		refusal(http.StatusUnauthorized, "nextcloud credentials are invalid"))
	r.wantNoDocument(t)
}

func TestWhatIsNoNextcloudIsAnsweredWith502(t *testing.T) {
	t.Parallel()
	r := newTrigged(t)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/redirects/ocs/v2.php/cloud/user":
			http.Redirect(w, r, "http://localhost:9/", http.StatusFound)
		case "/text/ocs/v2.php/cloud/user":
			_, _ = fmt.Fprint(w, "welcome")
		case "/teapot/ocs/v2.php/cloud/user":
			w.WriteHeader(http.StatusTeapot)
		default:
			panic(http.ErrAbortHandler)
		}
	}))
	t.Cleanup(elsewhere.Close)
	for url, reason := range map[string]string{
		"cloud.example.org":            "invalid NextCloud account",
		"127.0.0.1:8443":               "the address is not a URL",
		"http://":                      "invalid NextCloud account",
		"ftp://cloud.example.org":      "unsupported protocol scheme",
		"http://127.0.0.1:9":           "the server does not answer",
		"http://nextcloud.invalid":     "the server does not answer",
		"http://10.255.255.1":          "the server does not answer",
		"http://169.254.169.254/":      "the server does not answer",
		elsewhere.URL + "/hangs up":    "the server does not answer",
		elsewhere.URL + "/redirects":   "the server redirects elsewhere",
		elsewhere.URL + "/text":        "the address is not the one of a Nextcloud",
		elsewhere.URL + "/teapot":      "unexpected status 418 from nextcloud cloud/user probe",
		r.NextcloudURL + "/not/there/": "unexpected status 404 from nextcloud cloud/user probe",
	} {
		t.Run(url, func(t *testing.T) {
			order := r.order
			order.URL = url
			wantAnswer(t, r.trigger.Start(t, r.cozy, order), http.StatusBadGateway, jsonAPI, refusal(http.StatusBadGateway, unreachable+reason))
		})
	}
	r.wantNoDocument(t)
}

func TestWithoutAWorkersQueueTheAnswerIs503AndTheDocumentFailed(t *testing.T) {
	t.Parallel()
	r := newTrigged(t)
	wantAnswer(t, r.trigger.Start(t, r.cozy, r.order), http.StatusServiceUnavailable, jsonAPI, refusal(http.StatusServiceUnavailable, unavailable))
	docs := trackingDocuments(t, r.cozy)
	if len(docs) != 1 || docs[0].Status != contract.StatusFailed || docs[0].FinishedAt == nil || len(docs[0].Errors) != 1 {
		t.Errorf("tracking documents %+v, want one that failed", docs)
	}

	r.StartMigrator(nil)
	r.cozy.AwaitStatus(r.trigger.MustStart(t, r.cozy, r.order), contract.StatusCompleted, rig.Patience)
}

func TestWithoutTheBrokerTheAnswerIs503AtOnce(t *testing.T) {
	t.Parallel()
	r := newTrigged(t)
	r.TapMigrations()
	r.Broker.Cut()
	rig.Await(t, rig.Patience, "unready", func() bool { return !r.trigger.Ready() })
	quickest := rig.Patience
	for range 3 {
		answer := r.trigger.Start(t, r.cozy, r.order)
		wantAnswer(t, answer, http.StatusServiceUnavailable, jsonAPI, refusal(http.StatusServiceUnavailable, unavailable))
		quickest = min(quickest, answer.Took)
	}
	if quickest > time.Second {
		t.Errorf("the answer took %v", quickest)
	}
	if n := activeDocuments(t, r.cozy); n > 0 {
		t.Errorf("%d tracking documents are active and block the next request", n)
	}

	r.Broker.Restore(t)
	r.trigger.AwaitReady()
	r.trigger.MustStart(t, r.cozy, r.order)
}

func TestABrokerThatGoesAwayMeanwhileFailsTheDocument(t *testing.T) {
	t.Parallel()
	r := newTrigged(t)
	r.TapMigrations()
	r.SpoilNextcloud(rig.Fault{"method": "GET", "path_prefix": "/ocs/", "delay": "5s"})
	var answer rig.Answer
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		answer = r.trigger.Start(t, r.cozy, r.order)
	}()
	rig.Await(t, rig.Patience, "asking the Nextcloud", func() bool { return r.NextcloudInFlight() > 0 })
	r.Broker.Cut()
	<-asked
	wantAnswer(t, answer, http.StatusServiceUnavailable, jsonAPI, refusal(http.StatusServiceUnavailable, unavailable))
	docs := trackingDocuments(t, r.cozy)
	if len(docs) != 1 || docs[0].Status != contract.StatusFailed {
		t.Errorf("tracking documents %+v, want one that failed", docs)
	}
}
