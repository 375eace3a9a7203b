package e2e_test

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/test/rig"
)

// typedPassword is one that somebody put into the address of the Nextcloud.
const typedPassword = "planted-typed-password"

// TestSecretsStayWhereTheyBelong walks through what goes well and what goes wrong,
// and then looks for every secret in all that the services wrote.
func TestSecretsStayWhereTheyBelong(t *testing.T) {
	t.Parallel()
	r := backends.New(t)
	s := &secretive{Rig: r, alice: r.AddUser("alice"), cozy: r.AddInstance(host), places: map[string]string{}}
	s.Generate(s.alice, "many", 60, 1000)
	s.messages, s.dead = s.TapMigrations(), s.Tap("migrator.nextcloud.dead", amqp.ExchangeFanout)
	s.trigger = s.StartTrigger(nil)
	// One by one: what an archive brought needs no login any more.
	slowly := rig.Env{"LEASE_TTL": "4s", "TRANSFERS": "4", "ARCHIVES": "false"}
	s.migrators = []*rig.Service{s.StartMigrator(slowly), s.StartMigrator(slowly)}

	s.succeed(t)
	s.beRefused(t)
	s.loseTokens(t)
	s.loseServers(t)
	s.loseLogin(t)
	s.sendNonsense()
	s.collect(t)
	s.wantNoSecrets(t)
}

type secretive struct {
	*rig.Rig
	alice          rig.User
	cozy           *rig.Instance
	trigger        *rig.Trigger
	migrators      []*rig.Service
	messages, dead *rig.Tap
	places         map[string]string // what is searched, by name
}

// start asks for a migration and keeps the answer.
func (s *secretive) start(t *testing.T, o rig.Order) rig.Answer {
	t.Helper()
	answer := s.trigger.Start(t, s.cozy, o)
	s.places[fmt.Sprintf("answer %d of the trigger", len(s.places))] = fmt.Sprint(answer.Header, answer.Body)
	return answer
}

func (s *secretive) succeed(t *testing.T) {
	t.Helper()
	for _, password := range []string{s.alice.AppPassword, s.alice.LoginPassword} {
		order := s.Order(s.alice)
		order.AppPassword = password
		s.cozy.AwaitStatus(s.start(t, order).MigrationID(t), contract.StatusCompleted, rig.Patience)
	}
}

// beRefused meets the refusals of the trigger with true passwords in the request.
func (s *secretive) beRefused(t *testing.T) {
	t.Helper()
	order := s.Order(s.alice)
	address, err := url.Parse(order.URL)
	if err != nil {
		t.Fatal(err)
	}
	address.User = url.UserPassword("alice", typedPassword)
	for _, bad := range []string{address.String(), "ftp://alice:" + typedPassword + "@cloud.test", "alice:" + typedPassword + "@cloud.test", "http://127.0.0.1:9"} {
		order.URL = bad
		s.start(t, order)
	}
	order = s.Order(s.alice)
	order.Login = "nobody"
	s.start(t, order)
	order.TargetDir = order.AppPassword
	s.start(t, order)
	s.trigger.Post(t, s.cozy, `{"nextcloud_app_password":"`+order.AppPassword)
	stranger := *s.cozy
	stranger.Host = "alice.elsewhere.test"
	s.trigger.Start(t, &stranger, order)
}

// loseTokens expires what the services hold in mid-run, and lets the first tries to
// get new ones fail.
func (s *secretive) loseTokens(t *testing.T) {
	t.Helper()
	s.Generate(s.alice, "more", 60, 1000)
	slowUploads(s.Rig, s.cozy, 150)
	id := s.start(t, s.Order(s.alice)).MigrationID(t)
	rig.Await(t, rig.Patience, "in mid-run", func() bool { return filesDone(t, s.Rig, id) > 2 })
	s.SpoilCozy(rig.Fault{"method": "POST", "pathPrefix": "/instances/token", "status": 403, "times": 2})
	s.cozy.Change(map[string]any{"expireTokens": true})
	s.cozy.Token = s.cozy.MintToken(map[string]any{})
	s.cozy.AwaitStatus(id, contract.StatusCompleted, rig.Patience)
	s.HealCozy()
}

// loseServers breaks connections on all sides.
func (s *secretive) loseServers(t *testing.T) {
	t.Helper()
	s.Generate(s.alice, "again", 60, 1000)
	s.SpoilNextcloud(rig.Fault{"method": "GET", "path_prefix": "/remote.php/", "drop": true, "times": 10})
	s.SpoilNextcloud(rig.Fault{"method": "PROPFIND", "status": 500, "skip": 3, "times": 2})
	s.SpoilCozy(rig.Fault{"method": "POST", "pathPrefix": "/files/", "queryContains": "Type=file", "resetMidBody": true, "times": 5})
	id := s.start(t, s.Order(s.alice)).MigrationID(t)
	s.Broker.Cut()
	s.start(t, s.Order(s.alice))
	s.Broker.Restore(t)
	s.trigger.AwaitReady()
	s.cozy.AwaitStatus(id, contract.StatusCompleted, rig.Patience)
	s.HealNextcloud()
	s.HealCozy()
}

// loseLogin revokes the app password in mid-run.
func (s *secretive) loseLogin(t *testing.T) {
	t.Helper()
	s.Generate(s.alice, "last", 60, 1000)
	slowUploads(s.Rig, s.cozy, 300)
	id := s.start(t, s.Order(s.alice)).MigrationID(t)
	rig.Await(t, rig.Patience, "in mid-run", func() bool { return filesDone(t, s.Rig, id) > 2 })
	s.Revoke(s.alice)
	s.cozy.AwaitStatus(id, contract.StatusFailed, rig.Patience)
	s.start(t, s.Order(s.alice))
}

// sendNonsense puts a secret where a message has no place for it.
func (s *secretive) sendNonsense() {
	s.Publish(contract.KeyRequested, "m1", `{"migrationId":["`+s.alice.AppPassword+`"],"password":"`+s.alice.AppPassword+`"}`)
}

// collect gathers what the services wrote, everywhere.
func (s *secretive) collect(t *testing.T) {
	t.Helper()
	letter := s.dead.Next()
	s.places["headers of the dead letter"] = fmt.Sprint(letter.Headers)
	for n, m := range s.messages.Rest() {
		if m.MessageId != "m1" { // the test's own
			s.places[fmt.Sprint("message ", n)] = fmt.Sprintf("%+v %s", m, m.Body)
		}
	}
	for n, doc := range s.cozy.Documents(contract.DoctypeMigrations) {
		s.places[fmt.Sprint("tracking document ", n)] = string(doc)
	}
	s.places["ledger"] = s.Ledger.Dump(t)
	for _, service := range append(s.migrators, s.trigger.Service) {
		s.places["metrics of "+service.Name] = service.Operation("/metrics").Body
		s.places["readiness of "+service.Name] = service.Operation("/readyz").Body
	}
	for _, p := range s.Processes() {
		arguments, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.PID()))
		if err != nil { // not on Linux
			arguments = []byte(p.Arguments())
		}
		s.places["arguments of "+p.Name] = string(arguments)
		p.Dump(t)
		s.places["log of "+p.Name] = p.Log.String()
	}
}

func (s *secretive) wantNoSecrets(t *testing.T) {
	t.Helper()
	s.wantWitnesses(t)
	for name, secret := range s.secrets() {
		for place, text := range s.places {
			if at := strings.Index(text, secret); at >= 0 {
				t.Errorf("the %s is in the %s: …%s…", name, place, text[max(0, at-200):min(len(text), at+200)])
			}
		}
	}
}

// wantWitnesses checks that the places hold what they have to: what is not there
// holds no secret either.
func (s *secretive) wantWitnesses(t *testing.T) {
	t.Helper()
	witnesses := map[string]string{
		"ledger": s.cozy.Host, "message 0": s.cozy.Host, "tracking document 0": rig.TargetDir,
		"headers of the dead letter": "x-", "log of " + s.trigger.Name: "request answered",
	}
	// One of them may have served every migration.
	for _, m := range s.migrators {
		s.places["logs together"] += s.places["log of "+m.Name]
		s.places["metrics together"] += s.places["metrics of "+m.Name]
	}
	witnesses["logs together"], witnesses["metrics together"] = "slice ended", "migrator_slices_total"
	for _, p := range s.Processes() {
		s.places["crash dump of "+p.Name] = s.places["log of "+p.Name]
		witnesses["crash dump of "+p.Name] = "goroutine 1 "
	}
	for place, witness := range witnesses {
		if !strings.Contains(s.places[place], witness) {
			t.Errorf("the %s says nothing of %q: nothing was shown", place, witness)
		}
	}
}

// secrets are the planted ones in every form in which they travel, and the
// beginning of every token of the stack.
func (s *secretive) secrets() map[string]string {
	secrets := map[string]string{}
	for name, secret := range map[string]string{
		"app password":    s.alice.AppPassword,
		"login password":  s.alice.LoginPassword,
		"typed password":  typedPassword,
		"admin password":  rig.AdminPassword,
		"server password": rig.ServerPassword,
		"token":           s.cozy.Token,
	} {
		secrets[name] = secret
		secrets[name+" in base64"] = base64.StdEncoding.EncodeToString([]byte(secret))
	}
	for name, login := range map[string]string{
		"app password":   s.alice.ID + ":" + s.alice.AppPassword,
		"login password": s.alice.ID + ":" + s.alice.LoginPassword,
		"admin password": "admin:" + rig.AdminPassword,
	} {
		secrets[name+" in basic authentication"] = base64.StdEncoding.EncodeToString([]byte(login))
	}
	header, _, _ := strings.Cut(s.cozy.Token, ".")
	secrets["beginning of a token"] = header
	secrets["authorization header"] = "Bearer "
	return secrets
}
