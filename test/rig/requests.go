package rig

import (
	"encoding/json"
	"net/http"
	"testing"
)

// NextcloudCounts are the Nextcloud's answers so far.
type NextcloudCounts struct {
	Requests map[string]int64 `json:"requests"` // by method
	Sent     int64            `json:"sent"`     // bytes of bodies
}

// NextcloudAnswers counts what the Nextcloud answered.
func (s *Simulator) NextcloudAnswers() (counts NextcloudCounts) {
	s.t.Helper()
	mustAsk(s.t, Request{Method: http.MethodGet, URL: s.nextcloudHost + "/_sim/stats"}).Decode(s.t, &counts)
	return counts
}

// ForgetNextcloudAnswers makes NextcloudAnswers start anew.
func (s *Simulator) ForgetNextcloudAnswers() {
	s.t.Helper()
	order(s.t, http.MethodDelete, s.nextcloudHost+"/_sim/stats", nil)
}

// Claim makes the Nextcloud say of a file of a user that it has a checksum, such as
// "MD5:…".
func (s *Simulator) Claim(u User, path, checksum string) {
	s.t.Helper()
	order(s.t, http.MethodPost, s.nextcloudHost+"/_sim/entries", map[string]any{"user": u.ID, "path": path, "checksum": checksum})
}

// CozyAddr is where the stack listens, for a way of one's own to it.
func (s *Simulator) CozyAddr() string { return s.cozyAddr }

// StackBy is the setting of a service that reaches the stack by an address.
func StackBy(addr string) Env {
	return Env{"STACK_ADDRESS": InstanceSuffix + "=" + addr + ",.localhost=" + addr}
}

// TryStart is Start where the trigger may die before it answers; ok is false then.
func (tr *Trigger) TryStart(t testing.TB, i *Instance, o Order) (answer Answer, ok bool) {
	t.Helper()
	body, err := json.Marshal(o)
	if err != nil {
		t.Fatalf("encode order: %v", err)
	}
	return tr.try(t, i, "", string(body))
}

// TryDeleteSource is DeleteSource where the trigger may die before it answers; ok
// is false then.
func (tr *Trigger) TryDeleteSource(t testing.TB, i *Instance, id string) (answer Answer, ok bool) {
	t.Helper()
	return tr.try(t, i, "/"+id+"/delete-source", "")
}

func (tr *Trigger) try(t testing.TB, i *Instance, path, body string) (Answer, bool) {
	t.Helper()
	answer, err := tr.ask(t, tr.post(i, path, body))
	return answer, err == nil
}
