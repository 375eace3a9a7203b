package workers_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/pkg/failpoint"
	"example.org/ncm/test/rig"
)

// A retry is written into the ledger; that it goes on, the user learns from a worker.
func TestAWorkerThatDiesBeforeItTellsOfARetryIsRepaired(t *testing.T) {
	t.Parallel()
	m := newMove(t, backends.New(t), "alice")
	m.fill(1, 20)
	settings := with(quick(), rig.Env{"LEASE_TTL": "3s"})
	m.refuse(t)
	first := m.StartMigrator(settings)
	m.request()
	m.awaitTold(t)
	first.Stop(t)
	m.HealNextcloud()

	dying := failpoints.StartMigrator(m.Rig, failpoint.Reopened, settings)
	m.RunMigrator(nil, "retry", m.id, "--failed").AwaitEnd(t, rig.Patience)
	dying.AwaitCrash(t, rig.Patience)
	if doc := m.cozy.Tracking(m.id); m.state(t) != "running" || doc.Status != contract.StatusCompleted {
		t.Errorf("the ledger says %s, the tracking document %s", m.state(t), doc.Status)
	}
	m.StartMigrator(settings)
	rig.Await(t, rig.Patience, "completed", func() bool { return m.state(t) == "completed" && m.done(t) == 20 })
	aftermath(t, m)
}

func TestAMigrateOnceThatDiesIsGoneOnWithByTheSameCommand(t *testing.T) {
	t.Parallel()
	for name, w := range map[string]struct {
		at        string
		documents int // when it died
	}{
		"ledger and tracking document":                       {failpoint.Once, 0},
		"tracking document and work":                         {failpoint.OnceDocument, 1},
		"file in the target and ledger":                      {failpoint.FileCreated + ":10", 1},
		"report in the target and final state in the ledger": {failpoint.Reported, 1},
		"final state in the ledger and tracking document":    {failpoint.Finished, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := backends.New(t)
			m := &move{Rig: r, user: r.AddUser("alice"), cozy: r.AddInstance("alice" + rig.InstanceSuffix)}
			m.fill(2, 20)
			settings := rig.Env{"NEXTCLOUD_APP_PASSWORD": m.user.AppPassword, "REPORT": "always"}
			command := []string{
				"migrate-once", "--nextcloud", m.NextcloudURL + "/", "--login", m.user.ID, "--instance", m.cozy.Host, "--target", rig.TargetDir,
			}
			failpoints.RunMigrator(r, w.at, settings, command...).AwaitCrash(t, rig.Patience)
			m.id = rig.Value[string](t, m.Ledger, "SELECT id FROM migration")
			if n := len(m.cozy.Documents(contract.DoctypeMigrations)); n != w.documents {
				t.Errorf("%d tracking documents, want %d", n, w.documents)
			}
			m.RunMigrator(settings, command...).AwaitEnd(t, rig.Patience)
			if n := rig.Value[int64](t, m.Ledger, "SELECT count(*) FROM migration"); n > 1 && w.at != failpoint.Finished {
				t.Errorf("%d migrations, want the one that was begun", n)
			}
			m.wantMirrored(t)
			m.wantFiles(t)
			m.wantTrueLedger(t)
		})
	}
}

// Of a deletion of the source and a retry the later one is refused.
func TestARetryAndADeletionOfTheSourceAreNeverBothAtWork(t *testing.T) {
	t.Parallel()
	const token = "planted-operator-token"
	r := backends.New(t)
	m := newMove(t, r, "alice")
	m.fill(1, 20)
	m.refuse(t)
	worker := m.StartMigrator(with(quick(), rig.Env{"OPERATOR_TOKEN": token}))
	m.request()
	m.awaitTold(t)
	m.HealNextcloud()
	retry := func() rig.Answer {
		return worker.Operate(t, token, "migrations/"+m.id+"/retry?failed=true")
	}
	deleting := func(since time.Duration) {
		m.change(t, func(doc map[string]any) { doc[deletingField] = time.Now().Add(-since).UTC() })
	}

	deleting(0)
	if answer := retry(); answer.Status != http.StatusConflict || !strings.Contains(answer.Body, "being deleted") {
		t.Errorf("retry while the source is being deleted: %d %s", answer.Status, answer.Body)
	}
	deleting(heldFor) // by a trigger that is gone
	m.slow(time.Second)
	if answer := retry(); answer.Status != http.StatusOK {
		t.Fatalf("retry: %d %s", answer.Status, answer.Body)
	}
	rig.Await(t, rig.Patience, "at work", func() bool { return m.cozy.Tracking(m.id).Status == contract.StatusRunning })
	if answer := r.StartTrigger(nil).DeleteSource(t, m.cozy, m.id); answer.Status != http.StatusConflict {
		t.Errorf("deletion of what is being copied again: %d %s", answer.Status, answer.Body)
	}
	m.HealCozy()
	rig.Await(t, rig.Patience, "completed", func() bool { return m.state(t) == "completed" && m.done(t) == 20 })
	aftermath(t, m)
}

// awaitTold waits until the document says that the migration is completed, and the
// ledger that it does.
func (m *move) awaitTold(t *testing.T) {
	t.Helper()
	m.awaitCompleted(t, rig.Patience)
	rig.Await(t, rig.Patience, "told", func() bool {
		return rig.Value[bool](t, m.Ledger, "SELECT mirrored >= changed FROM migration WHERE id = $1", m.id)
	})
}

// refuse makes the source refuse the files of the first folder, of an archive and alone.
func (m *move) refuse(t *testing.T) {
	t.Helper()
	m.SpoilNextcloud(rig.Fault{"method": "GET", "path_prefix": "/remote.php/dav/files/" + m.user.ID + "/folder 000", "status": 403, "times": -1})
}
