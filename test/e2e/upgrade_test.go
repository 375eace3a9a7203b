package e2e_test

import (
	"testing"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/test/rig"
)

// rollout is a user's migration while versions come and go.
type rollout struct {
	user rig.User
	cozy *rig.Instance
	id   string
}

// Slow enough that none ends before the test lets it, fast enough to see it go on.
const rolloutFiles, rolloutSize, rolloutDelay = 300, 1000, 700

func startRollout(t *testing.T, r *rig.Rig, name string, trigger *rig.Trigger) *rollout {
	t.Helper()
	m := &rollout{user: r.AddUser(name), cozy: r.AddInstance(name + rig.InstanceSuffix)}
	r.Generate(m.user, "many", rolloutFiles, rolloutSize)
	slowUploads(r, m.cozy, rolloutDelay)
	m.id = trigger.MustStart(t, m.cozy, r.Order(m.user))
	return m
}

// awaitProgress waits for files that were copied from now on, and before the end.
func (m *rollout) awaitProgress(t *testing.T, r *rig.Rig) {
	t.Helper()
	before := filesDone(t, r, m.id)
	rig.Await(t, rig.Patience, m.cozy.Host+" going on", func() bool { return filesDone(t, r, m.id) > before })
	if filesDone(t, r, m.id) == rolloutFiles {
		t.Fatalf("all files of %s are copied: nothing was shown", m.cozy.Host)
	}
}

func TestVersionsWorkSideBySideAndFollowOneAnother(t *testing.T) {
	t.Parallel()
	previous := backends.Previous(t)
	t.Logf("the previous version is %s", previous.Name)
	r := backends.New(t)
	workers := rig.Env{"SLOTS": "4", "TRANSFERS": "1"}
	r.EmptyLedger()
	previous.ApplySchema(r)
	oldWorker, oldTrigger := previous.StartMigrator(r, workers), previous.StartTrigger(r)
	alice := startRollout(t, r, "alice", oldTrigger)
	alice.awaitProgress(t, r)

	// The new version's schema while the old one works, then both.
	r.ApplySchema()
	alice.awaitProgress(t, r)
	newWorker, newTrigger := r.StartMigrator(workers), r.StartTrigger(nil)
	bob, carol := startRollout(t, r, "bob", newTrigger), startRollout(t, r, "carol", oldTrigger)
	bob.awaitProgress(t, r)
	carol.awaitProgress(t, r)

	// The rollout ends: the new worker takes over what the old one had.
	oldWorker.Stop(t)
	oldTrigger.Stop(t)
	alice.awaitProgress(t, r)

	// A rollback: the old version finds what the new one made of the ledger.
	oldWorker = previous.StartMigrator(r, workers)
	newWorker.Stop(t)
	for _, m := range []*rollout{alice, bob, carol} {
		m.awaitProgress(t, r)
	}

	r.HealCozy()
	for _, m := range []*rollout{alice, bob, carol} {
		doc := m.cozy.AwaitStatus(m.id, contract.StatusCompleted, rig.Patience)
		wantEqual(t, r.Files(m.user), m.cozy)
		wantWhole(t, doc, rolloutFiles, rolloutFiles*rolloutSize)
	}
	oldWorker.Stop(t)
}

// As when everything is applied to a cluster at once and the schema's Job is last.
func TestAWorkerThatStartsBeforeItsSchemaWaitsForIt(t *testing.T) {
	t.Parallel()
	r := backends.New(t)
	r.StartMigrator(nil).Stop(t) // the queues are there from an earlier time
	trigger := r.StartTrigger(nil)
	alice, cozy := r.AddUser("alice"), r.AddInstance(host)
	r.Generate(alice, "few", 3, 100)
	r.EmptyLedger()

	worker := r.LaunchMigrator(nil)
	rig.Await(t, rig.Patience, "the worker telling what it waits for", func() bool {
		return len(worker.Log.All("waiting for the ledger's schema")) > 0
	})
	id := trigger.MustStart(t, cozy, r.Order(alice))
	if worker.Ready() {
		t.Error("a worker without a schema is ready")
	}
	if queue, _ := r.Queue("migrator.nextcloud.requested"); queue.Consumers > 0 {
		t.Error("a worker without a schema takes messages")
	}

	r.ApplySchema()
	worker.AwaitReady()
	wantWhole(t, cozy.AwaitStatus(id, contract.StatusCompleted, rig.Patience), 3, 300)
}
