package e2e_test

import (
	"fmt"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/test/rig"
)

// byHand is a migration as the stack's own trigger leaves it: an account, a
// tracking document, and messages in the recorded form.
type byHand struct {
	*rig.Rig
	user    rig.User
	cozy    *rig.Instance
	account string
	id      string
}

func newByHand(t *testing.T) *byHand {
	t.Helper()
	h := &byHand{Rig: backends.New(t)}
	h.user, h.cozy = h.AddUser("alice"), h.AddInstance(host)
	h.Generate(h.user, "many", 100, 1000)
	h.account = h.cozy.AddDocument(contract.DoctypeAccounts, map[string]any{
		"account_type": "nextcloud", "name": h.user.ID, "webdav_user_id": h.user.ID,
		"auth": map[string]string{"url": h.NextcloudURL + "/", "login": h.user.ID, "password": h.user.AppPassword},
	})
	h.id = h.track()
	return h
}

func (h *byHand) track() (id string) {
	return h.cozy.AddDocument(contract.DoctypeMigrations, contract.NewTracking("/", rig.TargetDir))
}

func (h *byHand) request(id string) {
	h.Publish("nextcloud.migration.requested", id, fmt.Sprintf(
		`{"migrationId":%q,"workplaceFqdn":%q,"accountId":%q,"sourcePath":"/","timestamp":1795432685}`, id, h.cozy.Host, h.account))
}

func (h *byHand) cancel(id string) {
	h.Publish("nextcloud.migration.canceled", id, fmt.Sprintf(
		`{"migrationId":%q,"workplaceFqdn":%q,"timestamp":1795432686}`, id, h.cozy.Host))
}

// copied counts what is in the target folder.
func (h *byHand) copied(t *testing.T) int64 {
	t.Helper()
	var files int64
	for e, err := range h.cozy.Files(rig.TargetDir) {
		if err != nil {
			t.Fatal(err)
		}
		if !e.Folder {
			files++
		}
	}
	return files
}

func TestARequestOfTheStacksOwnTriggerIsServed(t *testing.T) {
	t.Parallel()
	h := newByHand(t)
	h.StartMigrator(nil)
	h.request(h.id)
	h.request(h.id) // may come twice
	doc := h.cozy.AwaitStatus(h.id, contract.StatusCompleted, rig.Patience)
	wantEqual(t, h.Files(h.user), h.cozy)
	wantWhole(t, doc, 100, 100_000)
}

func TestACancellationEndsARunningMigration(t *testing.T) {
	t.Parallel()
	h := newByHand(t)
	slowUploads(h.Rig, h.cozy, 500)
	h.StartMigrator(rig.Env{"TRANSFERS": "2"})
	h.request(h.id)
	rig.Await(t, rig.Patience, "in mid-run", func() bool { return filesDone(t, h.Rig, h.id) > 2 })
	h.cancel(h.id)
	doc := h.cozy.AwaitStatus(h.id, contract.StatusCanceled, rig.Patience)
	if doc.CanceledAt == nil || doc.FinishedAt == nil {
		t.Errorf("canceled at %v, finished at %v", doc.CanceledAt, doc.FinishedAt)
	}
	if there := h.copied(t); doc.Progress.FilesImported != there || there == 100 {
		t.Errorf("%d files are counted, %d are there", doc.Progress.FilesImported, there)
	}
}

func TestACancellationThatOvertakesItsRequestHolds(t *testing.T) {
	t.Parallel()
	h := newByHand(t)
	h.StartMigrator(nil)
	h.cancel(h.id)
	rig.Await(t, rig.Patience, "noted", func() bool {
		return rig.Value[int64](t, h.Ledger, "SELECT count(*) FROM cancellation") == 1
	})
	h.request(h.id)
	h.cozy.AwaitStatus(h.id, contract.StatusCanceled, rig.Patience)
	if there := h.copied(t); there > 0 {
		t.Errorf("%d files were copied all the same", there)
	}
}

func TestNoMessageBlocksTheNext(t *testing.T) {
	t.Parallel()
	h := newByHand(t)
	h.StartMigrator(nil)
	dead := h.Tap("migrator.nextcloud.dead", amqp.ExchangeFanout)
	h.cancel("of-a-migration-that-nobody-knows")
	h.Publish(contract.KeyRequested, "m1", `{"migrationId":`)
	h.Publish(contract.KeyRequested, "m2", fmt.Sprintf(
		`{"migrationId":"m2","workplaceFqdn":"alice.elsewhere.test","accountId":%q,"sourcePath":"/","timestamp":1}`, h.account))
	h.Publish(contract.KeyRequested, h.id, fmt.Sprintf(
		`{"migrationId":%q,"workplaceFqdn":%q,"accountId":%q,"sourcePath":"/","timestamp":1,"addedLater":{"a":[1]}}`, h.id, h.cozy.Host, h.account))
	h.cozy.AwaitStatus(h.id, contract.StatusCompleted, rig.Patience)
	got := map[string]bool{dead.Next().MessageId: true, dead.Next().MessageId: true}
	if !got["m1"] || !got["m2"] || len(dead.Rest()) > 0 {
		t.Errorf("dead letters are %v, want m1 and m2", got)
	}
}
