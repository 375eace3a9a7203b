package nextcloud_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/pkg/nextcloudtest"
	"example.org/ncm/services/trigger/internal/nextcloud"
	"example.org/ncm/services/trigger/internal/request"
)

func TestPasswordsAreExchangedAndGivenBack(t *testing.T) {
	t.Parallel()
	sim := nextcloudtest.New(nextcloudtest.Config{Dir: t.TempDir(), SubPath: "/nc"})
	if err := sim.AddUser(nextcloudtest.User{ID: "joe", Password: "login password"}); err != nil {
		t.Fatal(err)
	}
	var agents []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		agents = append(agents, r.UserAgent())
		sim.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	logins := nextcloud.New(nextcloud.Config{Client: server.Client(), AllowHTTP: true})
	account := contract.AccountAuth{URL: server.URL + "/nc/", Login: "joe", Password: "login password"}

	made, err := logins.Exchange(t.Context(), "alice.cozy.example", account)
	if err != nil || len(sim.AppPasswords("joe")) != 1 || made != sim.AppPasswords("joe")[0] {
		t.Fatalf("made %d, error %v", len(sim.AppPasswords("joe")), err)
	}
	if agents[0] != "Migration to alice.cozy.example" {
		t.Errorf("the session is called %q", agents[0])
	}
	if err := logins.GiveBack(t.Context(), account); request.CodeOf(err) != request.CodeUnreachable {
		t.Errorf("a login password given back: %v", err)
	}
	account.Password = made
	if again, err := logins.Exchange(t.Context(), "alice.cozy.example", account); again != "" || err != nil {
		t.Errorf("an app password exchanged: %v", err)
	}
	for range 2 { // the second time it has ended
		if err := logins.GiveBack(t.Context(), account); err != nil || len(sim.AppPasswords("joe")) != 0 {
			t.Errorf("%d are left, error %v", len(sim.AppPasswords("joe")), err)
		}
	}
	if _, err := logins.Exchange(t.Context(), "alice.cozy.example", account); request.CodeOf(err) != request.CodeBadCredentials {
		t.Errorf("a refused login: %v", err)
	}
	for _, f := range []nextcloudtest.Fault{{Status: 500}, {Status: 200, Body: "<html>"}, {Status: 429}, {Drop: true, Times: -1}} {
		sim.Inject(f)
		if _, err := logins.Exchange(t.Context(), "alice.cozy.example", account); request.CodeOf(err) != request.CodeUnreachable {
			t.Errorf("fault %+v: %v", f, err)
		}
	}
}
