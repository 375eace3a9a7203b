package rig

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"testing"

	"example.org/ncm/pkg/openapitest"
)

// MigrationsPath is the trigger's route.
const MigrationsPath = "/remote/nextcloud/migration"

// Order is the body with which the Settings page asks for a migration.
type Order struct {
	URL         string `json:"nextcloud_url"`
	Login       string `json:"nextcloud_login"`
	AppPassword string `json:"nextcloud_app_password"`
	SourcePath  string `json:"source_path,omitempty"`
	TargetDir   string `json:"target_dir,omitempty"`
}

// TargetDir is what the Settings page asks for.
const TargetDir = "/Nextcloud imported files"

// Order is what the Settings page sends for all files of a user.
func (s *Simulator) Order(u User) Order {
	return Order{URL: s.NextcloudURL, Login: u.ID, AppPassword: u.AppPassword, TargetDir: TargetDir}
}

// Ask sends any request to the trigger; the URL is a path. Without an answer the
// test goes on as failed, so that goroutines may ask too.
func (tr *Trigger) Ask(t testing.TB, r Request) Answer {
	t.Helper()
	answer, err := tr.ask(t, r)
	if err != nil {
		t.Errorf("ask %s: %v", tr.Name, err)
	}
	return answer
}

// ask is the only way to the trigger's API: whatever it answers has to be
// described in its own OpenAPI document.
func (tr *Trigger) ask(t testing.TB, r Request) (Answer, error) {
	t.Helper()
	r.URL = tr.api + r.URL
	answer, err := ask(t, r)
	if err != nil {
		return Answer{}, err
	}
	target, err := url.Parse(r.URL)
	if err != nil {
		return Answer{}, err
	}
	seen := &http.Response{StatusCode: answer.Status, Header: answer.Header}
	if err := tr.described.Check(context.WithoutCancel(t.Context()), r.Method, target, seen, []byte(answer.Body)); err != nil {
		t.Errorf("%s does not answer as it describes: %v", tr.Name, err)
	}
	return answer, nil
}

// description reads what the trigger says of its API.
func (tr *Trigger) description() *openapitest.Checker {
	tr.rig.t.Helper()
	document := mustAsk(tr.rig.t, Request{Method: http.MethodGet, URL: tr.api + "/openapi.json"})
	described, err := openapitest.New(tr.rig.t.Context(), []byte(document.Body))
	if err != nil {
		tr.rig.t.Fatalf("read the API's description: %v", err)
	}
	return described
}

// Post sends a body to the migrations' route as an app of the instance.
func (tr *Trigger) Post(t testing.TB, i *Instance, body string) Answer {
	t.Helper()
	return tr.Ask(t, tr.post(i, "", body))
}

// DeleteSource asks for the deletion of what a migration copied.
func (tr *Trigger) DeleteSource(t testing.TB, i *Instance, id string) Answer {
	t.Helper()
	return tr.Ask(t, tr.post(i, "/"+id+"/delete-source", ""))
}

// post is a request of an app of the instance for what is below the migrations'
// route.
func (tr *Trigger) post(i *Instance, path, body string) Request {
	return Request{
		Method: http.MethodPost, URL: MigrationsPath + path, Host: i.Host, Token: i.Token,
		ContentType: "application/json", Body: body,
	}
}

// Start asks for a migration.
func (tr *Trigger) Start(t testing.TB, i *Instance, o Order) Answer {
	t.Helper()
	body, err := json.Marshal(o)
	if err != nil {
		t.Fatalf("encode order: %v", err)
	}
	return tr.Post(t, i, string(body))
}

// MustStart asks for a migration and returns its id.
func (tr *Trigger) MustStart(t testing.TB, i *Instance, o Order) (id string) {
	t.Helper()
	return tr.Start(t, i, o).MigrationID(t)
}

// MigrationID reads the id out of the trigger's 201; any other answer ends the test.
func (a Answer) MigrationID(t testing.TB) string {
	t.Helper()
	if a.Status != http.StatusCreated {
		t.Fatalf("ask for a migration: %d %s", a.Status, a.Body)
	}
	var created struct {
		Data struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	a.Decode(t, &created)
	return created.Data.ID
}
