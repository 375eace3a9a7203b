package workers_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/pkg/failpoint"
	"example.org/ncm/test/rig"
)

// repairedAfter is how long a trigger's traces have to be old for another trigger
// to take it for dead. There is no setting for it, so these tests wait.
const repairedAfter = time.Minute

func TestATriggerThatDiesBetweenTwoWritesIsRepairedByTheNextRequest(t *testing.T) {
	t.Parallel()
	for name, w := range map[string]struct {
		at string
		// anew says whether the repair begins another migration.
		anew bool
	}{
		"tracking document and account":    {failpoint.TriggerDocument, true},
		"app password and account":         {failpoint.TriggerExchanged, true},
		"account and claim":                {failpoint.TriggerAccount, true},
		"claim and message":                {failpoint.TriggerClaim, false},
		"message and answer to the caller": {failpoint.TriggerPublished, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := backends.New(t)
			m := &move{Rig: r, user: r.AddUser("alice"), cozy: r.AddInstance("alice" + rig.InstanceSuffix)}
			m.fill(2, 20)
			m.StartMigrator(steady())
			dying := failpoints.StartTrigger(r, w.at)
			order := r.Order(m.user)
			if w.at == failpoint.TriggerExchanged {
				order.AppPassword = m.user.LoginPassword
			}
			if answer, ok := dying.TryStart(t, m.cozy, order); ok {
				t.Fatalf("the trigger lives and says %d %s", answer.Status, answer.Body)
			}
			dying.AwaitCrash(t, rig.Patience)
			died := time.Now()
			m.id = m.onlyDocument(t)
			trigger := r.StartTrigger(nil)
			if w.at == failpoint.TriggerPublished {
				m.awaitCompleted(t, rig.Patience)
			} else {
				began := m.id
				m.askUntilStarted(t, trigger)
				m.awaitCompleted(t, rig.Patience)
				if (m.id != began) != w.anew {
					t.Errorf("migration %s was interrupted, %s completed", began, m.id)
				}
				if w.anew && m.cozy.Tracking(began).Status != contract.StatusFailed {
					t.Errorf("the interrupted migration is %s", m.cozy.Tracking(began).Status)
				}
			}
			measured(t, "death at %s: completed after %v", w.at, time.Since(died).Round(10*time.Millisecond))
			if accounts := m.cozy.Documents(contract.DoctypeAccounts); len(accounts) != 1 {
				t.Errorf("%d accounts, want one", len(accounts))
			}
			aftermath(t, m)
		})
	}
}

// onlyDocument gives the id of the only tracking document.
func (m *move) onlyDocument(t *testing.T) string {
	t.Helper()
	docs := m.cozy.Documents(contract.DoctypeMigrations)
	if len(docs) != 1 {
		t.Fatalf("%d tracking documents, want one", len(docs))
	}
	var doc struct {
		ID string `json:"_id"`
	}
	if err := json.Unmarshal(docs[0], &doc); err != nil {
		t.Fatalf("read tracking document: %v", err)
	}
	return doc.ID
}

// askUntilStarted is a user who tries again and again until the workers have a
// migration: the one that was interrupted, or another one in its place.
func (m *move) askUntilStarted(t *testing.T, trigger *rig.Trigger) {
	t.Helper()
	tick := time.NewTicker(3 * time.Second)
	defer tick.Stop()
	late := time.After(repairedAfter + rig.Patience)
	for m.state(t) == "" {
		answer := trigger.Start(t, m.cozy, m.Order(m.user))
		if answer.Status == http.StatusCreated {
			m.id = answer.MigrationID(t)
			return
		}
		if answer.Status != http.StatusConflict {
			t.Fatalf("ask again: %d %s", answer.Status, answer.Body)
		}
		select {
		case <-tick.C:
		case <-late:
			t.Fatal("nothing repairs what the dead trigger left")
		}
	}
}
