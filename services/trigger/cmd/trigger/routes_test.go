package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/pkg/cozytest"
	"example.org/ncm/pkg/nextcloudtest"
)

// begun is a bench whose program runs, with a migration of some path.
func begun(t *testing.T, path string) (b *bench, id string) {
	t.Helper()
	b = newBench(t, brokerURL(t))
	listen(t, b.broker)
	b.start(t)
	b.ready(t)
	order := b.order()
	order["source_path"] = path
	if status, body := b.post(t, b.instance, order); status != http.StatusCreated {
		t.Fatalf("status %d: %s", status, body)
	}
	return b, fmt.Sprint(b.document(t, b.instance)["_id"])
}

// finish writes what the workers would write into a document.
func (b *bench) finish(t *testing.T, id string, change map[string]any) {
	t.Helper()
	inst := b.cozy.Instance(b.instance)
	doc, _ := inst.Doc(contract.DoctypeMigrations, id)
	doc["status"] = contract.StatusCompleted
	doc["of_others"] = "kept"
	for name, value := range change {
		doc[name] = value
	}
	if _, _, err := inst.PutDoc(contract.DoctypeMigrations, id, doc); err != nil {
		t.Fatal(err)
	}
}

// fill makes files in the home of the user.
func (b *bench) fill(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		file := filepath.Join(b.nextcloud.Root("joe id"), name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte("x"), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
}

// left counts what is directly in the home and in the trashbin.
func (b *bench) left(t *testing.T) (home, trash int) {
	t.Helper()
	root := b.nextcloud.Root("joe id")
	files, err := os.ReadDir(root)
	thrown, trashErr := os.ReadDir(filepath.Join(filepath.Dir(root), "trash"))
	if err := errors.Join(err, trashErr); err != nil {
		t.Fatal(err)
	}
	return len(files), len(thrown)
}

func TestCancelReachesTheWorkers(t *testing.T) {
	t.Parallel()
	b := newBench(t, brokerURL(t))
	messages := listen(t, b.broker)
	b.start(t)
	b.ready(t)
	b.post(t, b.instance, b.order())
	doc := b.document(t, b.instance)
	id := fmt.Sprint(doc["_id"])
	for range 2 {
		if res, body := b.ask(t, "POST", "/"+id+"/cancel", ""); res.StatusCode != http.StatusAccepted || body != "" || res.Header.Get("Content-Type") != "" {
			t.Fatalf("status %d, header %v: %s", res.StatusCode, res.Header, body)
		}
	}
	deadline, got := time.After(patience), 0
	for got < 2 {
		select {
		case m := <-messages:
			canceled, err := contract.DecodeCanceled(m.Body)
			if m.RoutingKey != contract.KeyCanceled || canceled.WorkplaceFQDN != b.instance {
				continue
			}
			want := fmt.Sprintf(`{"migrationId":%q,"workplaceFqdn":%q,"timestamp":%d}`, id, b.instance, canceled.Timestamp)
			if err != nil || string(m.Body) != want || m.MessageId != id || m.ContentType != "application/json" {
				t.Errorf("message %s of %+v, want %s", m.Body, m, want)
			}
			got++
		case <-deadline:
			t.Fatalf("%d messages", got)
		}
	}
	if after := b.document(t, b.instance); after["_rev"] != doc["_rev"] {
		t.Error("the document was written")
	}
	b.finish(t, id, nil)
	if res, body := b.ask(t, "POST", "/"+id+"/cancel", ""); res.StatusCode != http.StatusConflict || !strings.Contains(body, "terminal state") {
		t.Errorf("status %d: %s", res.StatusCode, body)
	}
}

func TestDeleteSourceEmptiesTheHomeAndStampsTheDocument(t *testing.T) {
	t.Parallel()
	b, id := begun(t, "/")
	for n := range 300 {
		b.fill(t, fmt.Sprintf("dir %d/é #%%.txt", n))
	}
	if res, body := b.ask(t, "POST", "/"+id+"/delete-source", ""); res.StatusCode != http.StatusConflict {
		t.Fatalf("pending: status %d: %s", res.StatusCode, body)
	}
	b.finish(t, id, map[string]any{"errors": []map[string]any{{"path": "/a", "message": "m", "at": time.Now()}}, "errors_truncated_count": 2})
	res, body := b.ask(t, "POST", "/"+id+"/delete-source", "{}")
	if res.StatusCode != http.StatusConflict || !strings.Contains(body, "3 files of the nextcloud migration were not imported") {
		t.Fatalf("with errors: status %d: %s", res.StatusCode, body)
	}
	if home, _ := b.left(t); home != 300 {
		t.Fatalf("%d entries are left before anything was asked for", home)
	}
	if res, body := b.ask(t, "POST", "/"+id+"/delete-source", `{"force":true}`); res.StatusCode != http.StatusNoContent || body != "" {
		t.Fatalf("by force: status %d: %s", res.StatusCode, body)
	}
	if home, trash := b.left(t); home != 0 || trash != 0 {
		t.Errorf("%d entries and %d in the trashbin are left", home, trash)
	}
	doc := b.document(t, b.instance)
	if doc["source_deleted_at"] == nil || doc["of_others"] != "kept" || doc["status"] != "completed" || fmt.Sprint(doc["errors_truncated_count"]) != "2" {
		t.Errorf("document %v", doc)
	}
	if res, body := b.ask(t, "POST", "/"+id+"/delete-source", ""); res.StatusCode != http.StatusConflict || !strings.Contains(body, "already deleted") {
		t.Errorf("again: status %d: %s", res.StatusCode, body)
	}
}

func TestDeleteSourceGoesOnAfterAHalfDoneOne(t *testing.T) {
	t.Parallel()
	b, id := begun(t, "/")
	for n := range 20 {
		b.fill(t, fmt.Sprint("file", n))
	}
	b.finish(t, id, nil)
	b.nextcloud.Inject(nextcloudtest.Fault{Method: "DELETE", Skip: 7, Drop: true})
	if res, body := b.ask(t, "POST", "/"+id+"/delete-source", ""); res.StatusCode != http.StatusBadGateway {
		t.Fatalf("status %d: %s", res.StatusCode, body)
	}
	if home, trash := b.left(t); home != 13 || trash != 7 || b.document(t, b.instance)["source_deleted_at"] != nil {
		t.Fatalf("%d entries and %d in the trashbin are left", home, trash)
	}
	b.nextcloud.Inject(nextcloudtest.Fault{Method: "DELETE", PathPrefix: "/remote.php/dav/trashbin/", Status: 500})
	if res, body := b.ask(t, "POST", "/"+id+"/delete-source", ""); res.StatusCode != http.StatusBadGateway {
		t.Fatalf("at the trashbin: status %d: %s", res.StatusCode, body)
	}
	if res, body := b.ask(t, "POST", "/"+id+"/delete-source", ""); res.StatusCode != http.StatusNoContent {
		t.Fatalf("again: status %d: %s", res.StatusCode, body)
	}
	if home, trash := b.left(t); home != 0 || trash != 0 || b.document(t, b.instance)["source_deleted_at"] == nil {
		t.Errorf("%d entries and %d in the trashbin are left", home, trash)
	}
}

func TestDeleteSourceWorksThroughThousandsOfChildren(t *testing.T) {
	t.Parallel()
	const files = 3000
	b, id := begun(t, "/")
	b.client.Timeout = 5 * time.Minute
	for n := range files {
		b.fill(t, fmt.Sprint("file", n))
	}
	b.finish(t, id, nil)
	deleting := make(chan int, 1)
	go func() {
		res, _ := b.ask(t, "POST", "/"+id+"/delete-source", "")
		deleting <- res.StatusCode
	}()
	eventually(t, "deleting", func() bool { return b.nextcloud.Stats().Requests["DELETE"] > 10 })
	if status, body := b.post(t, b.instance, b.order()); status != http.StatusConflict || !strings.Contains(body, "is being deleted") {
		t.Errorf("a migration meanwhile: status %d: %s", status, body)
	}
	if status := <-deleting; status != http.StatusNoContent {
		t.Fatalf("status %d", status)
	}
	if home, trash := b.left(t); home != 0 || trash != 0 {
		t.Errorf("%d entries and %d in the trashbin are left", home, trash)
	}
	if asked := b.nextcloud.Stats().Requests["DELETE"]; asked != files+1 {
		t.Errorf("%d deletions for %d files and the trashbin", asked, files)
	}
	if status, body := b.post(t, b.instance, b.order()); status != http.StatusCreated {
		t.Errorf("a migration afterwards: status %d: %s", status, body)
	}
}

func TestDeleteSourceOfAFolderLeavesItsNeighbours(t *testing.T) {
	t.Parallel()
	b, id := begun(t, "/Photos/2024 été")
	b.fill(t, "Photos/2024 été/a", "Photos/2023/b", "Documents/c")
	b.finish(t, id, nil)
	if res, body := b.ask(t, "POST", "/"+id+"/delete-source", ""); res.StatusCode != http.StatusNoContent {
		t.Fatalf("status %d: %s", res.StatusCode, body)
	}
	for name, want := range map[string]bool{"Photos/2024 été": false, "Photos/2023/b": true, "Documents/c": true} {
		_, err := os.Stat(filepath.Join(b.nextcloud.Root("joe id"), name))
		if (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDeleteSourceWithARevokedPasswordIsUnauthorized(t *testing.T) {
	t.Parallel()
	b, id := begun(t, "/")
	b.fill(t, "a")
	b.finish(t, id, nil)
	b.nextcloud.Revoke(appPassword, 0)
	res, body := b.ask(t, "POST", "/"+id+"/delete-source", "")
	if res.StatusCode != http.StatusUnauthorized || !strings.Contains(body, "nextcloud credentials are invalid") {
		t.Errorf("status %d: %s", res.StatusCode, body)
	}
	if home, _ := b.left(t); home != 1 || b.document(t, b.instance)["source_deleted_at"] != nil {
		t.Errorf("%d entries are left", home)
	}
}

func TestDeleteSourceBelievesNoHostileListing(t *testing.T) {
	t.Parallel()
	b, id := begun(t, "/")
	b.fill(t, "a")
	b.finish(t, id, nil)
	for name, fault := range map[string]nextcloudtest.Fault{
		"hrefs": {HostileHrefs: true}, "cut": {TruncateAfter: 300}, "malformed": {MalformedMultistatus: true}, "bomb": {XMLBomb: true},
	} {
		fault.Method = "PROPFIND"
		b.nextcloud.Inject(fault)
		b.nextcloud.ResetStats()
		res, body := b.ask(t, "POST", "/"+id+"/delete-source", "")
		if deleted := b.nextcloud.Stats().Requests["DELETE"]; res.StatusCode != http.StatusBadGateway || deleted != 0 {
			t.Errorf("%s: status %d, %d deletions: %s", name, res.StatusCode, deleted, body)
		}
	}
}

func TestAStopCutsADeletionAndTheNextProcessGoesOn(t *testing.T) {
	t.Parallel()
	b, id := begun(t, "/")
	b.fill(t, "a", "b", "c")
	b.finish(t, id, nil)
	hang := b.nextcloud.Inject(nextcloudtest.Fault{Method: "DELETE", Skip: 1, Hang: true})
	answered := make(chan int, 1)
	go func() {
		res, _ := b.ask(t, "POST", "/"+id+"/delete-source", "")
		answered <- res.StatusCode
	}()
	eventually(t, "deleting", func() bool { return hang.Hits() > 0 })
	if res, body := b.ask(t, "POST", "/"+id+"/delete-source", ""); res.StatusCode != http.StatusConflict {
		t.Errorf("a second one at once: status %d: %s", res.StatusCode, body)
	}
	b.stop()
	if status := <-answered; status != http.StatusServiceUnavailable {
		t.Errorf("status %d at the stop", status)
	}
	b.start(t)
	b.ready(t)
	if res, body := b.ask(t, "POST", "/"+id+"/delete-source", ""); res.StatusCode != http.StatusNoContent {
		t.Errorf("status %d: %s", res.StatusCode, body)
	}
}

func TestMigrationsAreShownAndListed(t *testing.T) {
	t.Parallel()
	b, first := begun(t, "/a")
	b.finish(t, first, map[string]any{"skipped": []map[string]any{{"path": "/s", "reason": "r", "size": 5}}, "schema_version": 2, "last_heartbeat_at": time.Now()})
	want := []string{first}
	for range 4 {
		b.post(t, b.instance, b.order())
		for _, doc := range b.cozy.Instance(b.instance).Docs(contract.DoctypeMigrations) {
			if doc["status"] == "pending" {
				id := fmt.Sprint(doc["_id"])
				want = append([]string{id}, want...)
				b.finish(t, id, nil)
			}
		}
	}
	var got []string
	for next := "?page[limit]=2"; next != ""; {
		res, body := b.ask(t, "GET", next, "")
		var page struct {
			Data  []struct{ ID string }
			Links struct{ Next string }
			Meta  struct{ Count int }
		}
		if err := json.Unmarshal([]byte(body), &page); err != nil || res.StatusCode != http.StatusOK || page.Meta.Count != 5 || len(got) > 5 {
			t.Fatalf("status %d: %s", res.StatusCode, body)
		}
		for _, d := range page.Data {
			got = append(got, d.ID)
		}
		next = strings.TrimPrefix(page.Links.Next, "/remote/nextcloud/migration")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("list (-want +got):\n%s", diff)
	}
	res, body := b.ask(t, "GET", "/"+first, "")
	if res.StatusCode != http.StatusOK || !strings.Contains(body, `"skipped":[{"path":"/s","reason":"r","size":5}]`) {
		t.Errorf("status %d: %s", res.StatusCode, body)
	}
	for _, id := range []string{"nope", "_all_docs", "_design", "a%2Fb", "..%2Fio.cozy.accounts"} {
		if res, body := b.ask(t, "GET", "/"+id, ""); res.StatusCode != http.StatusNotFound {
			t.Errorf("%s: status %d: %s", id, res.StatusCode, body)
		}
	}
	if res, body := b.ask(t, "HEAD", "/"+first, ""); res.StatusCode != http.StatusOK || body != "" {
		t.Errorf("HEAD: status %d: %s", res.StatusCode, body)
	}
}

func TestReadingNeedsNoMoreThanTheRightToRead(t *testing.T) {
	t.Parallel()
	b, id := begun(t, "/")
	token := b.cozy.Instance(b.instance).MintToken(cozytest.TokenOptions{
		Audience: cozytest.AudienceCLI, Scope: contract.DoctypeMigrations + ":GET",
	})
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{"GET", "", 200},
		{"GET", "/" + id, 200},
		{"POST", "/x/cancel", 403},
		{"POST", "/preflight", 403},
		{"POST", "/x/delete-source", 403},
	} {
		req, err := http.NewRequestWithContext(t.Context(), c.method, "http://"+b.program.api.Addr().String()+"/remote/nextcloud/migration"+c.path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = b.instance
		req.Header.Set("Authorization", "Bearer "+token)
		if status, body := b.do(t, req); status != c.status {
			t.Errorf("%s %s: status %d: %s", c.method, c.path, status, body)
		}
	}
}

func TestPreflightTellsTheAmountAndWritesNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t, "amqp://guest:guest@127.0.0.1:1/") // no broker is needed
	b.start(t)
	b.fill(t, "a", "d/b", "d/e/c")
	inst := b.cozy.Instance(b.instance)
	body, err := json.Marshal(b.order())
	if err != nil {
		t.Fatal(err)
	}
	ask := func() string {
		t.Helper()
		res, text := b.ask(t, "POST", "/preflight", string(body))
		if res.StatusCode != http.StatusOK {
			t.Fatalf("status %d: %s", res.StatusCode, text)
		}
		return text
	}
	want := `{"data":{"type":"io.cozy.nextcloud.migrations.preflight","id":"preflight","attributes":{"can_start":true,"fits":true,"obstacles":[],` +
		`"source":{"path":"/","files":3,"bytes":3},"instance":{"used":0,"quota":null,"free":null},` +
		`"target":{"path":"/Nextcloud imported files","exists":false,"has_content":false}}}}` + "\n"
	if diff := cmp.Diff(want, ask()); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
	inst.SetQuota(2)
	if got := ask(); !strings.Contains(got, `"can_start":false,"fits":false,"obstacles":["quota_exceeded"]`) || !strings.Contains(got, `"quota":2,"free":2`) {
		t.Errorf("answer %s", got)
	}
	wrong := b.order()
	wrong["nextcloud_app_password"] = "wrong"
	text, err := json.Marshal(wrong)
	if err != nil {
		t.Fatal(err)
	}
	if res, body := b.ask(t, "POST", "/preflight", string(text)); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("wrong password: status %d: %s", res.StatusCode, body)
	}
	for _, doctype := range []string{contract.DoctypeAccounts, contract.DoctypeMigrations} {
		if docs := inst.Docs(doctype); len(docs) != 0 {
			t.Errorf("%s: %v", doctype, docs)
		}
	}
}

func TestAppsAskFromTheirOwnOrigin(t *testing.T) {
	t.Parallel()
	b := newBench(t, "amqp://guest:guest@127.0.0.1:1/")
	b.start(t)
	name, domain, _ := strings.Cut(b.instance, ".")
	for origin, allowed := range map[string]bool{
		"http://" + name + "-settings." + domain: true,
		"http://settings." + b.instance:          true,
		"http://other-settings." + domain:        false,
		"http://evil.test":                       false,
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, "http://"+b.program.api.Addr().String()+"/remote/nextcloud/migration", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = b.instance
		req.Header.Set("Origin", origin)
		req.Header.Set("Access-Control-Request-Method", "POST")
		res, _ := b.send(t, req)
		if got := res.Header.Get("Access-Control-Allow-Origin"); res.StatusCode != http.StatusNoContent || (got == origin) != allowed {
			t.Errorf("%s: status %d, allowed %q", origin, res.StatusCode, got)
		}
	}
}
