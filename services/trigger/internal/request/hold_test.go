package request_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/services/trigger/internal/request"
)

const (
	beingDeleted = "nextcloud migration source is being deleted"
	deletingNow  = "the source of a nextcloud migration is being deleted, please retry later"
)

func wantMessage(t *testing.T, err error, want string) {
	t.Helper()
	wantCode(t, err, request.CodeConflict)
	if got := request.MessageOf(err); got != want {
		t.Errorf("message %q, want %q", got, want)
	}
}

// held is when the document last said that its source is being deleted.
func (w *world) held() *time.Time {
	d, _ := w.docs.get("m1")
	return d.SourceDeletingAt
}

func TestADeletionKeepsNewMigrationsAndOtherProcessesAway(t *testing.T) {
	t.Parallel()
	w := eraseWorld(t, "/", "a")
	other := request.New(w.deps) // another process
	w.sources.onDelete = func(string) error {
		_, err := w.start(t.Context())
		wantMessage(t, err, deletingNow)
		wantMessage(t, other.DeleteSource(t.Context(), instance, "m1", true), beingDeleted)
		p, err := other.Preflight(t.Context(), instance, order())
		if err != nil || len(p.Obstacles) != 1 || p.Obstacles[0] != request.ObstacleActive {
			t.Errorf("preflight: %v, %v", p.Obstacles, err)
		}
		return nil
	}
	if err := w.erase(t.Context()); err != nil || !w.stamped() || w.held() != nil {
		t.Fatalf("delete: %v, still held: %v", err, w.held())
	}
	if _, err := w.start(t.Context()); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// TestAMigrationThatWasBegunBeforeADeletionGivesWay is the order that only the
// second look can see.
func TestAMigrationThatWasBegunBeforeADeletionGivesWay(t *testing.T) {
	t.Parallel()
	w := eraseWorld(t, "/", "a")
	inside, goOn, deleted := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	w.sources.onDelete = func(string) error {
		close(inside)
		<-goOn
		return nil
	}
	w.docs.onCreate = func() error { // the first look found nothing
		go func() { deleted <- w.erase(t.Context()) }()
		<-inside
		return nil
	}
	_, err := w.start(t.Context())
	wantMessage(t, err, deletingNow)
	close(goOn)
	if err := <-deleted; err != nil || !w.stamped() {
		t.Errorf("delete: %v", err)
	}
	if len(w.queue.sent) != 0 || len(w.saved) != 0 || w.docs.status("doc2") != contract.StatusFailed {
		t.Errorf("%d messages, %d accounts, document %s", len(w.queue.sent), len(w.saved), w.docs.status("doc2"))
	}
}

// TestADeletionThatWasBegunBeforeAMigrationGivesWay has the document of the
// migration come between the deletion's hold and its look.
func TestADeletionThatWasBegunBeforeAMigrationGivesWay(t *testing.T) {
	t.Parallel()
	w := eraseWorld(t, "/", "a")
	w.docs.onActive = func() error {
		w.docs.onActive = func() error { return nil }
		w.docs.add(tracked("m2", contract.StatusPending))
		return nil
	}
	wantMessage(t, w.erase(t.Context()), "a nextcloud migration is already in progress")
	if len(w.sources.calls) != 0 || w.held() != nil {
		t.Errorf("the source was asked: %v, still held: %v", w.sources.calls, w.held())
	}
}

func TestAHoldOutlivesItsProcessByAMinute(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		age  time.Duration
		held bool
	}{{30 * time.Second, true}, {61 * time.Second, false}} {
		t.Run(c.age.String(), func(t *testing.T) {
			t.Parallel()
			w := eraseWorld(t, "/", "a")
			w.change(func(d *request.Document) { d.SourceDeletingAt = ago(c.age) })
			if c.held {
				wantMessage(t, w.erase(t.Context()), beingDeleted)
				_, err := w.start(t.Context())
				wantMessage(t, err, deletingNow)
				return
			}
			if _, err := w.start(t.Context()); err != nil {
				t.Errorf("start: %v", err)
			}
			w = eraseWorld(t, "/", "a")
			w.change(func(d *request.Document) { d.SourceDeletingAt = ago(c.age) })
			if err := w.erase(t.Context()); err != nil || !w.stamped() {
				t.Errorf("delete: %v", err)
			}
		})
	}
}

func TestAHoldIsRenewedForAsLongAsItTakes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := eraseWorld(t, "/", "a", "b", "c", "d")
		w.sources.onDelete = func(string) error {
			pass(2 * time.Minute)
			_, err := w.start(t.Context())
			wantMessage(t, err, deletingNow)
			return nil
		}
		if err := w.erase(t.Context()); err != nil || !w.stamped() {
			t.Errorf("delete: %v", err)
		}
	})
}

func TestADeletionEndsWithItsHold(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(w *world, away *atomic.Bool){
		"taken over": func(w *world, _ *atomic.Bool) {
			w.change(func(d *request.Document) { d.SourceDeletingAt = ago(0) })
		},
		"not to be renewed": func(_ *world, away *atomic.Bool) { away.Store(true) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var names []string
				for n := range 100 {
					names = append(names, fmt.Sprint(n))
				}
				w := eraseWorld(t, "/", names...)
				var away atomic.Bool
				w.docs.onRead = func() error {
					if away.Load() {
						return errors.New("the stack is away")
					}
					return nil
				}
				w.sources.onDelete = func(name string) error {
					if name == "0" {
						pass(time.Millisecond)
						lose(w, &away)
					}
					pass(time.Second)
					return nil
				}
				began := time.Now()
				wantCode(t, w.erase(t.Context()), request.CodeUnavailable)
				if took := time.Since(began); took > time.Minute {
					t.Errorf("it went on for %s", took)
				}
				if w.stamped() || w.held() == nil {
					t.Errorf("stamped: %v, held: %v", w.stamped(), w.held())
				}
			})
		})
	}
}

func TestADeletionThatLostItsHoldAtTheEndStampsNothing(t *testing.T) {
	t.Parallel()
	w := eraseWorld(t, "/", "a")
	w.sources.onTrash = func() error {
		w.change(func(d *request.Document) { d.SourceDeletingAt = ago(0) })
		return nil
	}
	wantMessage(t, w.erase(t.Context()), beingDeleted)
	if w.stamped() || w.held() == nil {
		t.Errorf("stamped: %v, held: %v", w.stamped(), w.held())
	}
}
