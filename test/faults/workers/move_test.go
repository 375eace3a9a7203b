package workers_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/test/rig"
)

// The migrator's queues.
const (
	queueRequested = "migrator.nextcloud.requested"
	queueCanceled  = "migrator.nextcloud.canceled"
	queueDead      = "migrator.nextcloud.dead"
)

// transfers are the bodies under way at once, unless a test says otherwise.
const transfers = 4

// steady are settings for tests in which no lease should run out, quick for those
// that wait until one does.
func steady() rig.Env { return rig.Env{"TRANSFERS": "4", "SLOTS": "2"} }
func quick() rig.Env  { return with(steady(), rig.Env{"LEASE_TTL": "4s"}) }

// with adds settings.
func with(settings rig.Env, more rig.Env) rig.Env {
	for name, value := range more {
		settings[name] = value
	}
	return settings
}

// move is one user's migration, as the stack's own trigger leaves it: an account
// and a tracking document. request sends its message.
type move struct {
	*rig.Rig
	user    rig.User
	cozy    *rig.Instance
	account string
	id      string
}

func newMove(t *testing.T, r *rig.Rig, name string) *move {
	t.Helper()
	m := &move{Rig: r, user: r.AddUser(name), cozy: r.AddInstance(name + rig.InstanceSuffix)}
	m.account = m.cozy.AddDocument(contract.DoctypeAccounts, map[string]any{
		"account_type": "nextcloud", "name": m.user.ID, "webdav_user_id": m.user.ID,
		"auth": map[string]string{"url": m.NextcloudURL + "/", "login": m.user.ID, "password": m.user.AppPassword},
	})
	m.id = m.cozy.AddDocument(contract.DoctypeMigrations, contract.NewTracking("/", rig.TargetDir))
	return m
}

// fill generates files of 4 kB in a number of folders.
func (m *move) fill(folders, filesInEach int) {
	for n := range folders {
		m.Generate(m.user, fmt.Sprintf("folder %03d", n), filesInEach, 4000)
	}
}

// mark makes favourites of all files and folders.
func (m *move) mark(t *testing.T) {
	t.Helper()
	for e, err := range m.Files(m.user) {
		if err != nil {
			t.Fatal(err)
		}
		m.Set(m.user, e.Path, map[string]any{"favorite": true})
	}
}

// unmarked are the files and folders in the target that are no favourites.
func (m *move) unmarked(t *testing.T) (paths []string) {
	t.Helper()
	for _, e := range m.cozy.Entries() {
		if name, below := strings.CutPrefix(e.Path, rig.TargetDir+"/"); below && !e.Favorite && !rig.IsReport(name) {
			paths = append(paths, e.Path)
		}
	}
	return paths
}

func (m *move) requestBody() string {
	return fmt.Sprintf(`{"migrationId":%q,"workplaceFqdn":%q,"accountId":%q,"sourcePath":"/","timestamp":%d}`,
		m.id, m.cozy.Host, m.account, time.Now().Unix())
}

func (m *move) request() { m.Publish(contract.KeyRequested, m.id, m.requestBody()) }

func (m *move) cancel() {
	m.Publish(contract.KeyCanceled, m.id, fmt.Sprintf(
		`{"migrationId":%q,"workplaceFqdn":%q,"timestamp":%d}`, m.id, m.cozy.Host, time.Now().Unix()))
}

// slow makes each upload into the instance take longer, so that the work does not run
// out before the test has shown what it wants; HealCozy ends it.
func (m *move) slow(by time.Duration) {
	m.SpoilCozy(rig.Fault{
		"host": m.cozy.Host, "method": "POST", "pathPrefix": "/files/", "queryContains": "Type=file", "delayMs": by.Milliseconds(),
	})
}

// done is how many files the ledger has as copied.
func (m *move) done(t *testing.T) int64 {
	t.Helper()
	return rig.Value[int64](t, m.Ledger, "SELECT files_done FROM migration WHERE id = $1", m.id)
}

// state is the ledger's; empty before the request is admitted.
func (m *move) state(t *testing.T) string {
	t.Helper()
	return rig.Value[string](t, m.Ledger, "SELECT state FROM migration WHERE id = $1", m.id)
}

// term counts who held the lease so far.
func (m *move) term(t *testing.T) int64 {
	t.Helper()
	return rig.Value[int64](t, m.Ledger, "SELECT lease_term FROM migration WHERE id = $1", m.id)
}

// clock is the database's, by which promises about time are measured: what the test
// itself waits for is late on a busy machine.
func (m *move) clock(t *testing.T) time.Time {
	t.Helper()
	return rig.Value[time.Time](t, m.Ledger, "SELECT clock_timestamp()")
}

// since says how long after a moment something happened that the ledger notes.
func (m *move) since(t *testing.T, moment time.Time, column string) time.Duration {
	t.Helper()
	rig.Await(t, rig.Patience, column+" noted", func() bool {
		return rig.Value[bool](t, m.Ledger, "SELECT "+column+" IS NOT NULL FROM migration WHERE id = $1", m.id)
	})
	return rig.Value[time.Time](t, m.Ledger, "SELECT "+column+" FROM migration WHERE id = $1", m.id).Sub(moment)
}

// awaitMore waits until a number of files more are copied than there were, and
// fails when that was the end.
func (m *move) awaitMore(t *testing.T, than, more int64, within time.Duration) {
	t.Helper()
	rig.Await(t, within, fmt.Sprintf("%d files further than %d", more, than), func() bool { return m.done(t) >= than+more })
	if state := m.state(t); state != "running" {
		t.Fatalf("the migration is %s already: nothing would be shown", state)
	}
}

// awaitMid waits until the migration is well under way.
func (m *move) awaitMid(t *testing.T) {
	t.Helper()
	m.awaitMore(t, 0, 20, rig.Patience)
}

func (m *move) awaitCompleted(t *testing.T, within time.Duration) {
	t.Helper()
	m.cozy.AwaitStatus(m.id, contract.StatusCompleted, within)
}

// posted counts the stack's answers to creations of files and folders, by status.
func posted(r *rig.Rig) map[int]int64 { return r.CozyAnswers()["POST /files/:id"] }

// holder finds who works on the one migration of a rig.
func holder(t *testing.T, workers ...*rig.Service) (busy *rig.Service, others []*rig.Service) {
	t.Helper()
	for _, w := range workers {
		if busy == nil && w.Metric("migrator_slots_busy") > 0 {
			busy = w
			continue
		}
		others = append(others, w)
	}
	if busy == nil {
		t.Fatal("nobody works")
	}
	return busy, others
}
