package main

import (
	"net/http"
	"strings"
	"testing"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/pkg/nextcloudtest"
)

func TestALoginPasswordIsExchangedAndGivenBack(t *testing.T) {
	t.Parallel()
	const login = "planted-login-password"
	b := newBench(t, brokerURL(t))
	b.settings.ExchangePassword = true
	listen(t, b.broker)
	if err := b.nextcloud.AddUser(nextcloudtest.User{ID: "joe id", Logins: []string{"joe"}, Password: login}); err != nil {
		t.Fatal(err)
	}
	b.start(t)
	b.ready(t)
	b.fill(t, "a")
	order := b.order()
	order["nextcloud_app_password"] = login
	ask := func() (id, made string) {
		t.Helper()
		if status, body := b.post(t, b.instance, order); status != http.StatusCreated {
			t.Fatalf("status %d: %s", status, body)
		}
		for _, doc := range b.cozy.Instance(b.instance).Docs(contract.DoctypeMigrations) {
			if doc["status"] == "pending" {
				id, _ = doc["_id"].(string)
			}
		}
		account := b.cozy.Instance(b.instance).Docs(contract.DoctypeAccounts)[0]
		for _, token := range b.nextcloud.AppPasswords("joe id") {
			a := contract.Account{}
			a.Issue(id, token)
			issued, _ := account["issued_password"].(map[string]any)
			if issued["sha256"] != a.Issued.SHA256 || issued["migration_id"] != id {
				t.Errorf("account says %v of the password of %s", issued, id)
			}
			made = token
		}
		if n := len(b.nextcloud.AppPasswords("joe id")); n != 1 {
			t.Errorf("%d app passwords, want one", n)
		}
		return id, made
	}
	id, first := ask()
	b.finish(t, id, nil)
	id, second := ask() // gives the first one back
	if first == second {
		t.Error("the first one still works")
	}
	b.finish(t, id, nil)
	if res, body := b.ask(t, "POST", "/"+id+"/delete-source", ""); res.StatusCode != http.StatusNoContent {
		t.Fatalf("status %d: %s", res.StatusCode, body)
	}
	if n := len(b.nextcloud.AppPasswords("joe id")); n != 0 {
		t.Errorf("%d app passwords are left", n)
	}
	for _, secret := range []string{login, first, second} {
		if strings.Contains(b.log.String(), secret) {
			t.Error("a password is in the log")
		}
	}
}
