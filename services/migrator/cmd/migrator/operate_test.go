package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/pkg/nextcloudtest"
	"example.org/ncm/pkg/queue"
	"example.org/ncm/services/migrator/internal/operate"
	"example.org/ncm/services/migrator/internal/postgres"
	"example.org/ncm/services/migrator/internal/postgrestest"
	"example.org/ncm/services/migrator/internal/report"
	"example.org/ncm/services/migrator/internal/transfer"
)

// command runs the program as a shell would, and gives what it printed.
func command(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := run(t.Context(), args, &out)
	return out.String(), err
}

func mustCommand(t *testing.T, args ...string) string {
	t.Helper()
	out, err := command(t, args...)
	if err != nil {
		t.Fatalf("migrator %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// ownLedger gives the test's ledger to the commands as well.
func ownLedger(t *testing.T) *world {
	t.Helper()
	url := postgrestest.URL(t)
	t.Setenv("DATABASE_URL", url)
	return newWorldOn(t, postgrestest.Open(t, url))
}

func TestFailedEntriesAreRetriedAndTheDocumentRunsAgain(t *testing.T) {
	w := ownLedger(t)
	w.seed(t, map[string]string{"good.txt": "1", "bad.txt": "22", "dir/bad.txt": "333"})
	fault := w.nextcloud.Inject(nextcloudtest.Fault{
		Method: "GET", PathSuffix: "bad.txt", Status: 403, Exception: `OCA\DAV\Connector\Sabre\Exception\Forbidden`, Times: -1,
	})
	id := w.request(t, "/")
	stop := w.start(t)
	doc := w.awaitStatus(t, id, "completed")
	if errs, _ := doc["errors"].([]any); len(errs) != 2 {
		t.Fatalf("%d errors in the document, want 2", len(errs))
	}
	await(t, "mirrored end", func() bool { s, _, _ := w.ledger.Snapshot(t.Context(), id); return s.Mirrored == s.Changed })
	stop()

	var shown operate.Details
	if err := json.Unmarshal([]byte(mustCommand(t, "show", id, "--json")), &shown); err != nil || shown.FilesFailed != 2 || shown.State != transfer.StateCompleted {
		t.Fatalf("%v, %+v", err, shown.Migration)
	}
	text := mustCommand(t, "show", id)
	for _, want := range []string{id, host, "completed, 2 entries failed", "/dir/bad.txt", transfer.ReasonForbidden.Message(), "A worker began"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in:\n%s", want, text)
		}
	}
	var refused operate.RefusedError
	if _, err := command(t, "retry", id); !errors.As(err, &refused) || !strings.Contains(err.Error(), "--failed") {
		t.Errorf("retry without --failed: %v", err)
	}

	fault.Remove()
	if out := mustCommand(t, "retry", id, "--failed"); !strings.Contains(out, "2 entries put back") {
		t.Errorf("printed %q", out)
	}
	w.start(t)
	await(t, "second end", func() bool {
		s, _, _ := w.ledger.Snapshot(t.Context(), id)
		return s.FilesDone == 3 && s.Mirrored == s.Changed
	})
	doc = w.awaitStatus(t, id, "completed")
	if errs, _ := doc["errors"].([]any); len(errs) != 0 {
		t.Errorf("the document still lists %v", errs)
	}
	if diff := cmp.Diff(w.want(t), w.got(t)); diff != "" {
		t.Errorf("target differs (-source +target):\n%s", diff)
	}
}

// A trigger deletes the source that a retry would read.
func TestARetryWaitsForADeletionOfTheSource(t *testing.T) {
	w := ownLedger(t)
	w.seed(t, map[string]string{"good.txt": "1", "bad.txt": "22"})
	fault := w.nextcloud.Inject(nextcloudtest.Fault{
		Method: "GET", PathSuffix: "bad.txt", Status: 403, Exception: `OCA\DAV\Connector\Sabre\Exception\Forbidden`, Times: -1,
	})
	id := w.request(t, "/")
	w.start(t)
	w.awaitStatus(t, id, "completed")
	await(t, "mirrored end", func() bool { s, _, _ := w.ledger.Snapshot(t.Context(), id); return s.Mirrored == s.Changed })
	fault.Remove()
	deletes := func(since time.Duration) {
		var doc map[string]any
		ref, err := w.stack(t).GetDoc(t.Context(), contract.DoctypeMigrations, id, &doc)
		if err != nil {
			t.Fatal(err)
		}
		doc["source_deleting_at"] = time.Now().Add(-since).UTC()
		if _, err := w.stack(t).PutDoc(t.Context(), contract.DoctypeMigrations, ref, doc); err != nil {
			t.Fatal(err)
		}
	}
	deletes(0)

	// Who knows the ledger alone can't be told, but the worker looks.
	mustCommand(t, "retry", id, "--failed")
	await(t, "waiting", func() bool {
		s, _, _ := w.ledger.Snapshot(t.Context(), id)
		return s.PauseReason == transfer.ReasonDeleting
	})
	if doc := w.tracking(t, id); doc["status"] != "completed" {
		t.Errorf("the document that is held says %v", doc["status"])
	}
	deletes(contract.DeletionHold) // by a trigger that is gone
	await(t, "second end", func() bool {
		s, _, _ := w.ledger.Snapshot(t.Context(), id)
		return s.State == transfer.StateCompleted && s.FilesDone == 2 && s.Mirrored == s.Changed
	})

	w.stackSettings(t)
	for since, words := range map[time.Duration]string{0: "being deleted", contract.DeletionHold: "nothing failed"} {
		deletes(since)
		var refused operate.RefusedError
		if _, err := command(t, "retry", id); !errors.As(err, &refused) || !strings.Contains(err.Error(), words) {
			t.Errorf("retry of what is deleted since %v: %v", since, err)
		}
	}
}

func TestAFailedMigrationIsOpenedAgain(t *testing.T) {
	w := ownLedger(t)
	id := w.request(t, "/no such folder")
	w.start(t)
	w.awaitStatus(t, id, "failed")
	await(t, "mirrored end", func() bool { s, _, _ := w.ledger.Snapshot(t.Context(), id); return s.Mirrored == s.Changed })
	w.seed(t, map[string]string{"no such folder/now.txt": "here"})
	mustCommand(t, "retry", id)
	doc := w.awaitStatus(t, id, "completed")
	if doc["failure_reason"] != nil {
		t.Errorf("the document still says %v", doc["failure_reason"])
	}
}

func TestShowTellsWhatBothServersAreAskedForAtOnce(t *testing.T) {
	w := ownLedger(t)
	id := w.request(t, "/")
	if _, err := w.ledger.Admit(t.Context(), transfer.Migration{ID: id, Instance: host, AccountID: "a", SourcePath: "/"}, time.Now()); err != nil {
		t.Fatal(err)
	}
	lease, _, ok, err := w.ledger.Claim(t.Context(), "another process", time.Minute)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	lease.Parallel = &transfer.Parallel{Source: transfer.Places{Limit: 8, Used: 3, Most: 64}}
	if _, err := w.ledger.Renew(t.Context(), lease, time.Minute); err != nil {
		t.Fatal(err)
	}
	if text := mustCommand(t, "show", id); !strings.Contains(text, "source 3 of 8, at most 64; target without a bound") {
		t.Errorf("shown:\n%s", text)
	}
	if text := mustCommand(t, "show", id, "--json"); !strings.Contains(text, `"parallel":{"source":{"limit":8,"used":3,"most":64}`) {
		t.Errorf("shown as JSON: %s", text)
	}
}

func TestACancellationFromTheCommandLineIsTheUsers(t *testing.T) {
	w := ownLedger(t)
	w.seed(t, tree(5))
	id := w.request(t, "/")
	if out := mustCommand(t, "list", "--active"); !strings.Contains(out, id) || !strings.Contains(out, "waits for a worker") {
		t.Errorf("listed:\n%s", out)
	}
	mustCommand(t, "cancel", id)
	w.start(t)
	w.awaitStatus(t, id, "canceled")
	if _, err := command(t, "retry", id, "--failed"); err == nil {
		t.Error("a canceled migration was opened again")
	}
	if out := mustCommand(t, "list", "--active"); strings.Contains(out, id) {
		t.Errorf("still active:\n%s", out)
	}
	if out := mustCommand(t, "list", "--state", "canceled,failed", "--json"); !strings.Contains(out, id) {
		t.Errorf("not among the canceled:\n%s", out)
	}
	await(t, "mirrored end", func() bool { s, _, _ := w.ledger.Snapshot(t.Context(), id); return s.Mirrored == s.Changed })
	w.returning(t, time.Hour) // a row is needed until its password is given back
	await(t, "purge", func() bool {
		return strings.Contains(mustCommand(t, "purge", "--older-than", "1ms", "--dry-run"), "would remove 1 migration with")
	})
	if out := mustCommand(t, "purge", "--older-than", "1ms"); !strings.Contains(out, "removed 1 migration with") {
		t.Errorf("printed %q", out)
	}
	if _, err := command(t, "show", id); !errors.Is(err, operate.ErrUnknown) {
		t.Errorf("show of a purged migration: %v", err)
	}
}

func TestCommandsSayWhatToDoAboutTheLedger(t *testing.T) {
	url := postgrestest.URL(t)
	for name, tc := range map[string]struct{ url, want string }{
		"wrong password": {strings.Replace(url, ":test@", ":planted-password@", 1), "refuses the user or the password"},
		"no database":    {url[:strings.LastIndex(url, "/")] + "/nowhere?sslmode=disable", "does not exist; create it"},
		"no answer":      {"postgres://postgres:planted-password@127.0.0.1:1/x?sslmode=disable", "does not answer"},
		"no URL":         {"planted-password", "DATABASE_URL is not understood"},
		"no schema":      {url[:strings.LastIndex(url, "/")] + "/postgres?sslmode=disable", "run: migrator schema"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("DATABASE_URL", tc.url)
			for _, args := range [][]string{
				{"list"}, {"show", "m"}, {"cancel", "m"}, {"retry", "m"}, {"report", "m"}, {"purge", "--older-than", "1d"},
			} {
				_, err := command(t, args...)
				if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "planted-password") {
					t.Errorf("migrator %s: %v", strings.Join(args, " "), err)
				}
			}
		})
	}
}

func TestWhatIsNotThereIsSaid(t *testing.T) {
	w, broker := ownLedger(t), ownVhost(t)
	for want, url := range map[string]string{
		"refuses the user or the password": strings.Replace(broker, ":test@", ":planted-password@", 1),
		"does not answer":                  "amqp://u:planted-password@127.0.0.1:1/",
		"start a migrator":                 broker,
	} {
		t.Setenv("RABBITMQ_URL", url)
		for _, args := range [][]string{{"list"}, {"replay", "m"}, {"drop", "--all"}} {
			out, err := command(t, append([]string{"dead-letters"}, args...)...)
			if err == nil || exitStatus(err) != exitFailed || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "planted-password") || out != "" {
				t.Errorf("migrator dead-letters %s: %v, printed %q", strings.Join(args, " "), err, out)
			}
		}
	}
	t.Setenv("RABBITMQ_URL", broker)
	consume(t, w, broker)
	for want, args := range map[string][]string{
		"the ledger has no such migration\n": {"list", "--instance", "nobody.test"},
		"there are no dead letters\n":        {"dead-letters"},
		"dropped 0 dead letters\n":           {"dead-letters", "drop", "--all"},
		"":                                   {"dead-letters", "--json"},
	} {
		if out := mustCommand(t, args...); out != want {
			t.Errorf("migrator %s printed %q, want %q", strings.Join(args, " "), out, want)
		}
	}
	for _, args := range [][]string{
		{"show", "nobody"}, {"report", "nobody"}, {"retry", "nobody"}, {"cancel", "nobody"}, {"dead-letters", "replay", "nobody"}, {"dead-letters", "drop", "nobody"},
	} {
		_, err := command(t, args...)
		if err == nil || exitStatus(err) != exitFailed || !strings.Contains(err.Error(), `"nobody"; migrator `) {
			t.Errorf("migrator %s: %v", strings.Join(args, " "), err)
		}
	}
	for _, args := range [][]string{{"list", "--most", "0"}, {"show", "m", "--most=-1"}, {"dead-letters", "--most=many"}} {
		if _, err := command(t, args...); exitStatus(err) != exitUsage {
			t.Errorf("migrator %s: %v", strings.Join(args, " "), err)
		}
	}
}

func TestTheFieldsOfJSONAreDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../../docs/OPERATIONS.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "### --json\n")
	section, _, _ = strings.Cut(section, "\n#")
	for _, object := range []any{
		operate.Migration{},
		operate.ReasonCount{},
		operate.Event{},
		operate.Entry{},
		operate.DeadLetter{},
		operate.Purged{},
		operate.Finding{},
		report.Row{},
		postgres.SchemaFile{},
	} {
		kind := reflect.TypeOf(object)
		for field := range kind.Fields() {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if name == "" || !strings.Contains(section, "`"+name+"`") {
				t.Errorf("the field %q of %s is not described", name, kind)
			}
		}
	}
}

func TestSchemaStatus(t *testing.T) {
	t.Setenv("DATABASE_URL", postgrestest.URL(t))
	if out := mustCommand(t, "schema", "status"); !strings.Contains(out, "0001_ledger.sql") {
		t.Errorf("printed %q", out)
	}
	if out := mustCommand(t, "schema"); !strings.Contains(out, "up to date") {
		t.Errorf("printed %q", out)
	}
	t.Setenv("DATABASE_URL", postgrestest.EmptyURL(t))
	if _, err := command(t, "schema", "status"); !errors.Is(err, errSchemaBehind) {
		t.Errorf("status of an empty database: %v", err)
	}
}

func TestAges(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"90d": 2160 * time.Hour, "12h": 12 * time.Hour, "106751d": 106751 * 24 * time.Hour,
		"0d": 0, "-1h": 0, "soon": 0, "d": 0,
		"213504d": 0, "9999999999999999999d": 0, // whose nanoseconds begin again at half an hour, or nowhere
	} {
		var a age
		if err := a.UnmarshalText([]byte(text)); time.Duration(a) != want || (err == nil) != (want > 0) {
			t.Errorf("%s: %v, %v", text, time.Duration(a), err)
		}
	}
}

func TestDeadLettersKeepTheirHandsOffTheTerminal(t *testing.T) {
	t.Parallel()
	const hostile = "\x1b[2Jx"
	letters := []queue.DeadLetter{{Delivery: queue.Delivery{MessageID: hostile, RoutingKey: hostile}, From: hostile, Reason: hostile}}
	var out bytes.Buffer
	if err := new(listDeadLetters).print(&out, letters); err != nil {
		t.Fatal(err)
	}
	if text := out.String(); strings.Contains(text, "\x1b") || strings.Count(text, "[2Jx") != 4 {
		t.Errorf("printed %q", text)
	}
}

func TestExitStatus(t *testing.T) {
	t.Parallel()
	_, usage := command(t, "fly")
	if got := exitStatus(usage); got != exitUsage {
		t.Errorf("usage: %d", got)
	}
	if got := exitStatus(errUnhealthy); got != exitFailed {
		t.Errorf("failure: %d", got)
	}
}

func TestReportPrintsEveryEntryAndChosenOnes(t *testing.T) {
	w := ownLedger(t)
	w.seed(t, map[string]string{"good.txt": "1", "bad.txt": "22"})
	w.nextcloud.Inject(nextcloudtest.Fault{
		Method: "GET", PathSuffix: "bad.txt", Status: 403, Exception: `OCA\DAV\Connector\Sabre\Exception\Forbidden`, Times: -1,
	})
	id := w.request(t, "/")
	stop := w.start(t)
	w.awaitStatus(t, id, "completed")
	stop()

	const (
		head = "path,result,reason,size,md5,target path\r\n"
		bad  = "/bad.txt,failed,The Nextcloud does not allow this account to read it.,2,,\r\n"
		good = "/good.txt,imported,,1,c4ca4238a0b923820dcc509a6f75849b,\r\n"
	)
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"report", id}, head + bad + good},
		{[]string{"report", id, "--only", "failed"}, head + bad},
		{[]string{"report", id, "--only", "renamed"}, head},
		{[]string{"report", id, "--only", "failed", "--json"}, `{"path":"/bad.txt","result":"failed","reason":"The Nextcloud does not allow this account to read it.","size":2}` + "\n"},
	} {
		if diff := cmp.Diff(c.want, mustCommand(t, c.args...)); diff != "" {
			t.Errorf("%v (-want +got):\n%s", c.args, diff)
		}
	}
	if _, err := command(t, "report", "unknown"); !errors.Is(err, operate.ErrUnknown) {
		t.Errorf("an unknown migration: %v", err)
	}
}
