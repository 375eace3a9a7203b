package e2e_test

import (
	"testing"
	"time"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/test/rig"
)

const (
	handoverFiles = 400
	handoverSize  = 2000
)

// handover is a migration in mid-run that one of two workers holds.
type handover struct {
	*rig.Rig
	user           rig.User
	cozy           *rig.Instance
	id             string
	holder, waiter *rig.Service
	term           int64
}

func startHandover(t *testing.T, settings rig.Env) *handover {
	t.Helper()
	h := &handover{Rig: backends.New(t)}
	h.user, h.cozy = h.AddUser("alice"), h.AddInstance(host)
	h.Generate(h.user, "many", handoverFiles, handoverSize)
	slowUploads(h.Rig, h.cozy, 150)
	h.holder, h.waiter = h.StartMigrator(settings), h.StartMigrator(settings)
	trigger := h.StartTrigger(nil)
	h.id = trigger.MustStart(t, h.cozy, h.Order(h.user))
	rig.Await(t, rig.Patience, "in mid-run", func() bool { return filesDone(t, h.Rig, h.id) > handoverFiles/10 })
	if h.waiter.Metric("migrator_slots_busy") == 1 {
		h.holder, h.waiter = h.waiter, h.holder
	}
	h.term = h.leaseTerm(t)
	return h
}

func (h *handover) leaseTerm(t *testing.T) int64 {
	t.Helper()
	return rig.Value[int64](t, h.Ledger, "SELECT lease_term FROM migration WHERE id = $1", h.id)
}

// awaitTakeover waits for the other worker to hold the migration.
func (h *handover) awaitTakeover(t *testing.T) {
	t.Helper()
	if done := filesDone(t, h.Rig, h.id); done == handoverFiles {
		t.Fatal("the first worker did all of it: nothing was shown")
	}
	gone := time.Now()
	rig.Await(t, rig.Patience, "taken over", func() bool { return h.leaseTerm(t) > h.term })
	t.Logf("taken over after %v", time.Since(gone).Round(time.Millisecond))
	if h.holder.Running() {
		t.Error("the first worker is still there")
	}
}

// wantWholeAndOnce lets the migration end and checks that each file was made once.
func (h *handover) wantWholeAndOnce(t *testing.T) {
	t.Helper()
	h.HealCozy()
	doc := h.cozy.AwaitStatus(h.id, contract.StatusCompleted, rig.Patience)
	report := wantEqual(t, h.Files(h.user), h.cozy)
	wantWhole(t, doc, handoverFiles, handoverFiles*handoverSize)
	entries := int64(report.Target.Files + report.Target.Folders + 1) // and the target folder
	if made := h.CozyAnswers()["POST /files/:id"][201]; made != entries {
		t.Errorf("the stack made %d files and folders for %d", made, entries)
	}
}

func TestAKilledWorkersMigrationIsTakenOverWhenItsLeaseEnds(t *testing.T) {
	t.Parallel()
	h := startHandover(t, rig.Env{"SLOTS": "1", "TRANSFERS": "4", "LEASE_TTL": "4s"})
	h.holder.Kill()
	h.awaitTakeover(t)
	h.wantWholeAndOnce(t)
}

func TestAStoppedWorkersMigrationGoesOnBeforeItsLeaseEnds(t *testing.T) {
	t.Parallel()
	h := startHandover(t, rig.Env{"SLOTS": "1", "TRANSFERS": "4", "LEASE_TTL": "10m"})
	h.holder.Stop(t)
	h.awaitTakeover(t)
	h.wantWholeAndOnce(t)
}
