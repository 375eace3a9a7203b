package request_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/services/trigger/internal/request"
)

// seen builds a document by how long ago things happened to it; zero: never.
func seen(created, requested, started, heartbeat time.Duration) request.Document {
	at := func(d time.Duration) *time.Time {
		if d == 0 {
			return nil
		}
		return ago(d)
	}
	d := request.Document{ID: "stuck", CreatedAt: at(created), RequestedAt: at(requested)}
	d.Tracking = contract.NewTracking("/Photos", "/Nextcloud")
	d.StartedAt, d.LastHeartbeatAt = at(started), at(heartbeat)
	return d
}

func TestStartPublishesAgainWhatNobodyWorksOn(t *testing.T) {
	t.Parallel()
	const second, minute, hour = time.Second, time.Minute, time.Hour
	for name, c := range map[string]struct {
		created, requested, started, heartbeat time.Duration
		want                                   int // messages
	}{
		"just requested":                                {59 * second, 59 * second, 0, 0, 0},
		"not started for a minute":                      {minute, minute, 0, 0, 1},
		"published again a moment ago":                  {hour, 30 * second, 0, 0, 0},
		"running with a heartbeat":                      {hour, hour, hour, 9 * minute, 0},
		"no heartbeat for ten minutes":                  {hour, hour, hour, 10 * minute, 1},
		"started ten minutes ago without any heartbeat": {0, 0, 10 * minute, 0, 1},
		"started a moment ago by another service":       {0, 0, minute, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.docs.add(seen(c.created, c.requested, c.started, c.heartbeat))
				_, err := w.start(t.Context())
				wantCode(t, err, request.CodeConflict)
				var want []contract.Requested
				for range c.want {
					want = append(want, contract.Requested{
						MigrationID: "stuck", WorkplaceFQDN: instance, AccountID: "acc1",
						SourcePath: "/Photos", Timestamp: time.Now().Unix(),
					})
				}
				if diff := cmp.Diff(want, w.queue.sent); diff != "" {
					t.Errorf("messages (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestStartPublishesAStuckDocumentOnceAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.docs.add(seen(time.Hour, time.Hour, 0, 0))
		var all sync.WaitGroup
		for range 5 {
			all.Go(func() {
				if _, err := w.start(t.Context()); request.CodeOf(err) != request.CodeConflict {
					t.Errorf("answer is %v, want a conflict", err)
				}
			})
		}
		all.Wait()
		if len(w.queue.sent) != 1 {
			t.Fatalf("%d messages at once, want 1", len(w.queue.sent))
		}
		pass(time.Minute)
		_, err := w.start(t.Context())
		wantCode(t, err, request.CodeConflict)
		if len(w.queue.sent) != 2 {
			t.Errorf("%d messages a minute later, want 2", len(w.queue.sent))
		}
	})
}

func TestStartWaitsAMinuteFromMeetingAForeignDocument(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.docs.add(request.Document{ID: "foreign", Tracking: contract.NewTracking("/", "/Nextcloud")})
		for _, want := range []int{0, 0, 1} {
			_, err := w.start(t.Context())
			wantCode(t, err, request.CodeConflict)
			if len(w.queue.sent) != want {
				t.Fatalf("%d messages, want %d", len(w.queue.sent), want)
			}
			pass(30 * time.Second)
		}
	})
}

func TestStartRefusesEvenWhenItCannotPublishAgain(t *testing.T) {
	t.Parallel()
	for name, breakIt := range map[string]func(w *world){
		"queue":      func(w *world) { w.queue.publish = func(contract.Requested) error { return errBroken } },
		"document":   func(w *world) { w.docs.onWrite = func(string) error { return errBroken } },
		"no account": func(w *world) { w.accounts.find = func() (string, error) { return "", request.ErrNotFound } },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.docs.add(seen(time.Hour, time.Hour, 0, 0))
			breakIt(w)
			_, err := w.start(t.Context())
			wantCode(t, err, request.CodeConflict)
			if !strings.Contains(w.log.String(), "stuck migration not published again") {
				t.Errorf("log does not say so: %s", w.log)
			}
		})
	}
}

// A request that stops between its document and the claim has published nothing
// and perhaps not saved its login: there is nothing to carry on with.
func TestStartReplacesADocumentWhoseRequestDied(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.docs.add(request.Document{
		ID: "dead", CreatedAt: ago(time.Minute), Tracking: contract.NewTracking("/", "/Nextcloud"),
	})
	doc, err := w.start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := w.docs.status("dead"); got != contract.StatusFailed {
		t.Errorf("dead document is %s, want failed", got)
	}
	if len(w.queue.sent) != 1 || w.queue.sent[0].MigrationID != doc.ID {
		t.Errorf("messages %+v, want one for %s", w.queue.sent, doc.ID)
	}
}

func TestStartRespectsADocumentWhoseRequestMayLive(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.docs.add(request.Document{
		ID: "young", CreatedAt: ago(30 * time.Second), Tracking: contract.NewTracking("/", "/Nextcloud"),
	})
	_, err := w.start(t.Context())
	wantCode(t, err, request.CodeConflict)
	if got := w.docs.status("young"); got != contract.StatusPending {
		t.Errorf("young document is %s, want it untouched", got)
	}
}

// The crash windows of Start: whatever was reached when a trigger died, the next
// request after a minute leads to a message for the one active document.
func TestStartIsRepairedAfterACrashAnywhere(t *testing.T) {
	t.Parallel()
	for name, crash := range map[string]func(w *world, die func() error){
		"after the document": func(w *world, die func() error) {
			w.docs.created = func(string) { w.docs.onActive = die }
		},
		"after the account": func(w *world, die func() error) {
			w.accounts.save = func(contract.Account) (string, error) {
				w.docs.onRead = die
				return "acc1", nil
			}
		},
		"after the claim": func(w *world, die func() error) {
			w.queue.publish = func(contract.Requested) error { return die() }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				crash(w, func() error {
					// The dead do not mark anything failed either.
					w.docs.onRead = func() error { return context.Canceled }
					return context.Canceled
				})
				if _, err := w.start(t.Context()); err == nil {
					t.Fatal("the request survived")
				}
				revived := newWorld(t)
				revived.docs.docs = w.docs.docs
				pass(time.Minute)
				_, _ = revived.start(t.Context())
				checkOneActive(t, revived, 0)
			})
		})
	}
}
