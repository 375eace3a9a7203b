package workers_test

import (
	"testing"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/pkg/failpoint"
	"example.org/ncm/test/rig"
)

// A password that was given back is given back once more by whoever finds it due.
func TestAWorkerThatDiesAfterItGaveAPasswordBackIsRepaired(t *testing.T) {
	t.Parallel()
	r := backends.New(t)
	m := &move{Rig: r, user: r.AddUser("alice"), cozy: r.AddInstance("alice" + rig.InstanceSuffix)}
	m.fill(1, 2)
	settings := with(quick(), rig.Env{"RETURN_PASSWORD_AFTER": "0s"})
	dying := failpoints.StartMigrator(r, failpoint.PasswordReturned, settings)
	order := r.Order(m.user)
	order.AppPassword = m.user.LoginPassword
	m.id = r.StartTrigger(nil).MustStart(t, m.cozy, order)
	dying.AwaitCrash(t, rig.Patience)
	if !rig.Value[bool](t, m.Ledger, "SELECT password_due_at IS NOT NULL FROM migration") {
		t.Error("the ledger knows of it")
	}
	rig.Value[int64](t, m.Ledger, "WITH due AS (UPDATE migration SET password_due_at = now() RETURNING id) SELECT count(*) FROM due")
	r.StartMigrator(settings)
	rig.Await(t, rig.Patience, "noted", func() bool {
		return rig.Value[bool](t, m.Ledger, "SELECT password_due_at IS NULL FROM migration")
	})
	m.cozy.AwaitStatus(m.id, contract.StatusCompleted, rig.Patience)
}
