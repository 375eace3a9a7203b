package e2e_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/test/rig"
)

const (
	rounds       = 100
	roundsAtOnce = 4
)

func TestOfTwoRequestsAtOnceExactlyOneWins(t *testing.T) {
	t.Parallel()
	r := backends.New(t)
	order := r.Order(r.AddUser("alice"))
	messages := r.TapMigrations()
	triggers := []*rig.Trigger{r.StartTrigger(nil), r.StartTrigger(nil)}
	instances := make([]*rig.Instance, rounds)
	for n := range instances {
		instances[n] = r.AddInstance(fmt.Sprintf("user%d%s", n, rig.InstanceSuffix))
	}

	var running sync.WaitGroup
	turn := make(chan struct{}, roundsAtOnce)
	for _, instance := range instances {
		running.Go(func() {
			turn <- struct{}{}
			defer func() { <-turn }()
			wantOneWinner(t, triggers, instance, order)
		})
	}
	running.Wait()
	contested := 0
	for _, instance := range instances {
		if n := activeDocuments(t, instance); n != 1 {
			t.Errorf("%s has %d active tracking documents", instance.Host, n)
		}
		if len(trackingDocuments(t, instance)) == 2 {
			contested++
		}
	}
	if contested == 0 {
		t.Error("no two requests met: nothing was shown")
	}
	t.Logf("%d of %d rounds were decided after both requests had made their documents", contested, rounds)
	seen := map[string]int{}
	for range rounds {
		seen[messages.Next().MessageId]++
	}
	if extra := len(messages.Rest()); len(seen) != rounds || extra > 0 {
		t.Errorf("messages of %d migrations and %d more came, want one for each of %d", len(seen), extra, rounds)
	}
}

// wantOneWinner asks all triggers at the same moment.
func wantOneWinner(t *testing.T, triggers []*rig.Trigger, instance *rig.Instance, order rig.Order) {
	answers := make([]rig.Answer, len(triggers))
	var asking sync.WaitGroup
	start := make(chan struct{})
	for n, trigger := range triggers {
		asking.Go(func() {
			<-start
			answers[n] = trigger.Start(t, instance, order)
		})
	}
	close(start)
	asking.Wait()
	got := map[int]int{}
	for _, answer := range answers {
		got[answer.Status]++
		if answer.Status == http.StatusConflict && answer.Body != inProgress {
			t.Errorf("%s: the loser is told %s", instance.Host, answer.Body)
		}
	}
	if got[http.StatusCreated] != 1 || got[http.StatusConflict] != 1 {
		t.Errorf("%s: statuses and how often: %v", instance.Host, got)
	}
}

const inProgress = `{"errors":[{"status":"409","title":"Conflict","detail":"a nextcloud migration is already in progress","source":{}}]}` + "\n"

func activeDocuments(t *testing.T, instance *rig.Instance) int {
	t.Helper()
	active := 0
	for _, doc := range trackingDocuments(t, instance) {
		if !doc.Status.Final() {
			active++
		}
	}
	return active
}

func trackingDocuments(t *testing.T, instance *rig.Instance) []contract.Tracking {
	t.Helper()
	var docs []contract.Tracking
	for _, raw := range instance.Documents(contract.DoctypeMigrations) {
		docs = append(docs, decode[contract.Tracking](t, raw))
	}
	return docs
}
