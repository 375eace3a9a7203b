package request_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/services/trigger/internal/request"
)

func tracked(id string, status contract.Status) request.Document {
	d := request.Document{ID: id, Tracking: contract.NewTracking("/", "/Nextcloud")}
	d.Status = status
	return d
}

func TestCancelTellsTheWorkersAndNobodyElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.docs.add(tracked("m1", contract.StatusPending))
	w.docs.add(tracked("m2", contract.StatusRunning))
	for _, id := range []string{"m1", "m1", "m2"} {
		if err := w.desk.Cancel(t.Context(), instance, id); err != nil {
			t.Errorf("cancel %s: %v", id, err)
		}
	}
	want := []contract.Canceled{
		{MigrationID: "m1", WorkplaceFQDN: instance}, {MigrationID: "m1", WorkplaceFQDN: instance}, {MigrationID: "m2", WorkplaceFQDN: instance},
	}
	if diff := cmp.Diff(want, w.queue.canceled, cmpopts.IgnoreFields(contract.Canceled{}, "Timestamp")); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
	if w.queue.canceled[0].Timestamp == 0 {
		t.Error("the message has no time")
	}
	if d, _ := w.docs.get("m1"); d.Rev != "1" {
		t.Error("the document was written")
	}
}

func TestCancelRefusesWhatIsOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, status := range []contract.Status{contract.StatusCompleted, contract.StatusFailed, contract.StatusCanceled} {
		w.docs.add(tracked(string(status), status))
		wantCode(t, w.desk.Cancel(t.Context(), instance, string(status)), request.CodeConflict)
	}
	wantCode(t, w.desk.Cancel(t.Context(), instance, "unknown"), request.CodeNotFound)
	if len(w.queue.canceled) != 0 {
		t.Errorf("messages %v", w.queue.canceled)
	}
}

func TestCancelWithoutABrokerMayBeRetried(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.docs.add(tracked("m1", contract.StatusRunning))
	w.queue.publish = func(contract.Requested) error { return errors.New("no broker") }
	wantCode(t, w.desk.Cancel(t.Context(), instance, "m1"), request.CodeUnavailable)
}
