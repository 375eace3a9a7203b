package request_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/services/trigger/internal/request"
)

// schedule lets requests take one step at a time, in an order drawn by lot.
type schedule struct {
	mu     sync.Mutex
	parked []chan struct{}
}

// step waits until the lot falls on the caller.
func (s *schedule) step() error {
	turn := make(chan struct{})
	s.mu.Lock()
	s.parked = append(s.parked, turn)
	s.mu.Unlock()
	<-turn
	return nil
}

// run draws until nobody waits any more. Time passes between the steps, so that
// a document's time and the order of creation are independent.
func (s *schedule) run(lot *rand.Rand) {
	for {
		synctest.Wait()
		pass(time.Duration(lot.IntN(2)) * time.Millisecond)
		s.mu.Lock()
		if len(s.parked) == 0 {
			s.mu.Unlock()
			return
		}
		i := lot.IntN(len(s.parked))
		turn := s.parked[i]
		s.parked = append(s.parked[:i], s.parked[i+1:]...)
		s.mu.Unlock()
		close(turn)
	}
}

// collide runs requests on one instance under a schedule and returns what they
// were answered.
func collide(t *testing.T, w *world, requests int, lot *rand.Rand) []error {
	t.Helper()
	var s schedule
	w.docs.onActive, w.docs.onCreate, w.docs.onRead = s.step, s.step, s.step
	w.docs.onWrite = func(string) error { return s.step() }
	w.docs.name = func() string { return fmt.Sprintf("%016x", lot.Uint64()) }
	answers := make([]error, requests)
	var all sync.WaitGroup
	for i := range answers {
		all.Go(func() { _, answers[i] = w.start(t.Context()) })
	}
	s.run(lot)
	all.Wait()
	return answers
}

func TestOfSimultaneousRequestsExactlyOneStarts(t *testing.T) {
	t.Parallel()
	for _, requests := range []int{2, 3, 4} {
		t.Run(fmt.Sprint(requests), func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(1500) {
				synctest.Test(t, func(t *testing.T) {
					lot := rand.New(rand.NewPCG(seed, uint64(requests)))
					w := newWorld(t)
					answers := collide(t, w, requests, lot)
					started, refused := 0, 0
					for _, err := range answers {
						switch {
						case err == nil:
							started++
						case request.CodeOf(err) == request.CodeConflict:
							refused++
						}
					}
					if started != 1 || refused != requests-1 {
						t.Fatalf("seed %d: %d started, %d refused: %v", seed, started, refused, answers)
					}
					checkOneActive(t, w, seed)
				})
			}
		})
	}
}

// checkOneActive wants the one message to be of the one active document.
func checkOneActive(t *testing.T, w *world, seed uint64) {
	t.Helper()
	for id, d := range w.docs.docs {
		switch {
		case d.Status == contract.StatusFailed && d.FinishedAt != nil && len(d.Errors) == 1:
		case d.Status == contract.StatusPending && len(w.queue.sent) == 1 && w.queue.sent[0].MigrationID == id:
		default:
			t.Fatalf("seed %d: document %s is %+v, messages %+v", seed, id, d, w.queue.sent)
		}
	}
}

func TestStartGivesWayToADocumentOfTheStackItself(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.docs.created = func(string) {
		w.docs.add(request.Document{ID: "foreign", Tracking: contract.NewTracking("/", "/Nextcloud")})
	}
	_, err := w.start(t.Context())
	wantCode(t, err, request.CodeConflict)
	if got := w.docs.status("foreign"); got != contract.StatusPending {
		t.Errorf("the other document is %s, want it untouched", got)
	}
	if got := w.docs.status("doc1"); got != contract.StatusFailed {
		t.Errorf("own document is %s, want failed", got)
	}
	if len(w.saved) != 0 {
		t.Error("the loser replaced the login of the winner")
	}
}

func TestStartIsRefusedWhileAMigrationIsActive(t *testing.T) {
	t.Parallel()
	for status, want := range map[contract.Status]request.Code{
		contract.StatusPending:   request.CodeConflict,
		contract.StatusRunning:   request.CodeConflict,
		contract.StatusCompleted: "",
		contract.StatusFailed:    "",
		contract.StatusCanceled:  "",
	} {
		t.Run(string(status), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.docs.add(request.Document{
				ID: "other", CreatedAt: ago(time.Second), RequestedAt: ago(time.Second),
				Tracking: contract.Tracking{Status: status},
			})
			_, err := w.start(t.Context())
			if want == "" && err == nil {
				return
			}
			wantCode(t, err, want)
			if got := request.MessageOf(err); got != "a nextcloud migration is already in progress" {
				t.Errorf("message %q", got)
			}
		})
	}
}
