package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	amqp "github.com/rabbitmq/amqp091-go"

	"example.org/ncm/pkg/transcripttest"
	"example.org/ncm/test/rig"
)

// What the recording calls by name: the instance, and the Nextcloud that was played
// to the stack, whose answer depends on the login.
const (
	recordedHost      = "bob.localhost:8080"
	recordedNextcloud = "http://127.0.0.1:8099"
)

// unreachable is how each 502 begins.
const unreachable = "nextcloud unreachable: nextcloud unreachable: "

// reworded are the exchanges in which the trigger gives another reason than the
// stack, whose words quote the URL with the login, or tell what an address inside
// its network answers.
var reworded = map[string]string{ //nolint:gochecknoglobals // never written
	"url without scheme":             "the address is not a URL",
	"url ftp":                        "unsupported protocol scheme",
	"unreachable host (closed port)": "the server does not answer",
	"unknown host":                   "the server does not answer",
	"private ip":                     "the server does not answer",
	"login=notjson":                  "the address is not the one of a Nextcloud",
	"login=redir":                    "the server redirects elsewhere",
}

// Calls that the recording cannot tell in full by itself.
const (
	listing   = "GET migration route" // the trigger may answer it, the stack has no such page
	powerless = "perm: noperm"        // was sent with a token that has no right to migrations
)

func TestTheSettingsPagesCallsAreAnsweredAsRecorded(t *testing.T) {
	t.Parallel()
	r := backends.New(t)
	exchanges := transcripttest.Cozy(t, "08-*.txt")
	p := &replay{t: t, cozy: r.AddInstance(recordedHost), trigger: r.StartTrigger(nil), names: map[string]string{}}
	nextcloud := httptest.NewServer(http.HandlerFunc(playNextcloud))
	defer nextcloud.Close()
	p.names[recordedNextcloud] = nextcloud.URL
	replayed := 0
	for _, e := range exchanges {
		if e.Title == "success" { // before it, there was no queue
			p.messages = r.TapMigrations()
		}
		switch path, _, _ := strings.Cut(e.Target, "?"); {
		case e.Title == listing:
			continue
		case strings.HasPrefix(path, rig.MigrationsPath):
			p.call(e)
			replayed++
		case !strings.HasSuffix(path, "/_normal_docs"):
			p.store(e)
		}
	}
	if replayed < 40 {
		t.Errorf("only %d calls were replayed", replayed)
	}
}

// replay sends recorded requests, with the names of this run in place of the
// recorded ones.
type replay struct {
	t        *testing.T
	cozy     *rig.Instance
	trigger  *rig.Trigger
	messages *rig.Tap
	names    map[string]string // recorded to own: ids, revisions, addresses
}

// own puts the names of this run into recorded text.
func (p *replay) own(text string) string {
	for recorded, own := range p.names {
		text = strings.ReplaceAll(text, recorded, own)
	}
	return text
}

// call replays a call of the trigger's route.
func (p *replay) call(e transcripttest.CozyExchange) {
	p.t.Helper()
	token := p.cozy.Token
	if e.Title == powerless {
		token = p.cozy.MintToken(map[string]any{"audience": "cli", "scope": "io.cozy.files"})
	}
	answer := p.trigger.Ask(p.t, rig.Request{
		Method: e.Method, URL: p.own(e.Target), Host: e.Header.Get("Host"), Token: token,
		ContentType: e.Header.Get("Content-Type"), Body: p.own(e.Body),
	})
	if e.Status == http.StatusCreated {
		p.learn(e.Text, answer.Body)
	}
	want := p.own(e.Text)
	if reason, differs := reworded[e.Title]; differs {
		want = reword(p.t, want, reason)
	}
	if diff := cmp.Diff(shown(e.Status, e.Answer, want), shown(answer.Status, answer.Header, answer.Body)); diff != "" {
		p.t.Errorf("%s (-recorded +answered):\n%s", e.Title, diff)
	}
	for _, m := range e.Messages {
		p.wantMessage(e.Title, m)
	}
}

// store replays what the stack itself answers: reads, which show what the trigger
// wrote, and writes, which change what it says next.
func (p *replay) store(e transcripttest.CozyExchange) {
	p.t.Helper()
	answer := p.cozy.Call(e.Method, p.own(e.Target), p.own(e.Body))
	if answer.Status != e.Status {
		p.t.Fatalf("%s: the stack answers %d %s", e.Title, answer.Status, answer.Body)
	}
	recorded, now := decode[map[string]any](p.t, []byte(e.Text)), decode[map[string]any](p.t, []byte(answer.Body))
	for _, rev := range []string{"rev", "_rev"} {
		if name, ok := recorded[rev].(string); ok {
			p.names[name], _ = now[rev].(string)
		}
	}
	if e.Method == http.MethodGet {
		p.wantDocument(e.Title, decode[map[string]any](p.t, []byte(p.own(e.Text))), now)
	}
}

// wantDocument compares a document with the recorded one, whose fields are all
// there; others may be.
func (p *replay) wantDocument(name string, want, got map[string]any) {
	p.t.Helper()
	for field := range got {
		if _, recorded := want[field]; !recorded || field == "_rev" {
			delete(got, field)
		}
	}
	delete(want, "_rev")
	const stamp = "source_deleted_at" // the trigger's own clock
	if at, ok := got[stamp].(string); ok {
		if _, err := time.Parse(time.RFC3339Nano, at); err == nil && want[stamp] != nil {
			want[stamp] = at
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		p.t.Errorf("%s: document (-recorded +stored):\n%s", name, diff)
	}
}

// learn takes the names of a new migration.
func (p *replay) learn(recorded, answered string) {
	p.t.Helper()
	type created struct {
		Data struct {
			ID   string `json:"id"`
			Meta struct {
				Rev string `json:"rev"`
			} `json:"meta"`
		} `json:"data"`
	}
	before, now := decode[created](p.t, []byte(recorded)).Data, decode[created](p.t, []byte(answered)).Data
	p.names[before.ID], p.names[before.Meta.Rev] = now.ID, now.Meta.Rev
}

// reword puts another reason into a recorded 502.
func reword(t *testing.T, recorded, reason string) string {
	t.Helper()
	detail := regexp.MustCompile(`"detail":"` + unreachable + `.*","source"`)
	if !detail.MatchString(recorded) {
		t.Errorf("the recording %q gives no reason", recorded)
	}
	return detail.ReplaceAllLiteralString(recorded, `"detail":"`+unreachable+reason+`","source"`)
}

// shown is what a caller sees of an answer.
func shown(status int, header http.Header, body string) map[string]any {
	seen := map[string]any{"status": status, "body": body}
	for _, name := range []string{"Content-Type", "Content-Security-Policy", "X-Content-Type-Options", "Vary"} {
		seen[name] = header.Get(name)
	}
	return seen
}

// wantMessage compares the next message with a recorded one, in the recording's
// own form.
func (p *replay) wantMessage(name string, want transcripttest.Message) {
	p.t.Helper()
	d := p.messages.Next()
	type ids struct {
		AccountID string `json:"accountId"`
		Timestamp int64  `json:"timestamp"`
	}
	before, now := decode[ids](p.t, []byte(want.Body)), decode[ids](p.t, d.Body)
	if _, known := p.names[before.AccountID]; !known {
		p.names[before.AccountID] = now.AccountID
	}
	if age := time.Since(time.Unix(now.Timestamp, 0)); age < -time.Second || age > time.Minute || d.Timestamp.Unix()-now.Timestamp > 1 {
		p.t.Errorf("%s: the message says %d, its property %v", name, now.Timestamp, d.Timestamp)
	}
	wantBody := strings.Replace(p.own(want.Body), fmt.Sprint(before.Timestamp), fmt.Sprint(now.Timestamp), 1)
	if diff := cmp.Diff(wantBody, string(d.Body)); diff != "" {
		p.t.Errorf("%s: message (-recorded +sent):\n%s", name, diff)
	}
	wantProperties := timestampProperty.ReplaceAllString(p.own(want.Properties), "timestamp=…")
	if diff := cmp.Diff(wantProperties, properties(d)); diff != "" {
		p.t.Errorf("%s: message properties (-recorded +sent):\n%s", name, diff)
	}
	if !json.Valid(d.Body) {
		p.t.Errorf("%s: the message is not JSON", name)
	}
}

var timestampProperty = regexp.MustCompile(`timestamp=[^(]*\([0-9]+\)`) //nolint:gochecknoglobals // never written

// properties writes a message's properties as the recording does, the time left out.
func properties(d amqp.Delivery) string {
	return fmt.Sprintf("exchange=%q routing_key=%q content_type=%q content_encoding=%q delivery_mode=%d priority=%d"+
		" correlation_id=%q reply_to=%q expiration=%q message_id=%q timestamp=… type=%q user_id=%q app_id=%q headers=%v redelivered=%v",
		d.Exchange, d.RoutingKey, d.ContentType, d.ContentEncoding, d.DeliveryMode, d.Priority,
		d.CorrelationId, d.ReplyTo, d.Expiration, d.MessageId, d.Type, d.UserId, d.AppId, d.Headers, d.Redelivered)
}
