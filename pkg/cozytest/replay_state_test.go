package cozytest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"example.org/ncm/pkg/cozytest"
	"example.org/ncm/pkg/transcripttest"
)

// restoreBody makes long bodies anew, of which the recording holds the
// beginning.
func (r *replay) restoreBody(x *exchange) string {
	mark := transcripttest.Elision.FindStringSubmatchIndex(x.Body)
	if mark == nil {
		return x.Body
	}
	var length int
	_, _ = fmt.Sscan(x.Body[mark[2]:mark[3]], &length)
	switch {
	case strings.Contains(x.Title, "chunked"):
		const chunk = 10000
		return strings.Repeat("2710\r\n"+strings.Repeat("a", chunk)+"\r\n", length/(chunk+8)) + "0\r\n\r\n"
	case strings.Contains(x.Title, "binary.cozy-note"):
		var all [256]byte
		for i := range all {
			all[i] = byte(i)
		}
		return strings.Repeat(string(all[:]), length/len(all))
	case strings.HasPrefix(x.Body, `{"status"`):
		return r.bigDocument(x, length)
	case strings.Contains(x.Title, "PUT account"):
		return strings.TrimSuffix(x.Body[:mark[0]], ", ") + `, "state": "x"}`
	}
	return strings.Repeat(x.Body[:1], length)
}

// bigDocument repeats the errors of a tracking document up to a length.
func (r *replay) bigDocument(x *exchange, length int) string {
	head, _, ok := strings.Cut(x.Body, `"errors": [`)
	_, doctype, _ := strings.Cut(x.Target, "/data/")
	doctype, id, _ := strings.Cut(doctype, "/")
	id = r.world.translate(id)
	doc, found := r.stack.Instance(x.Header.Get("Host")).Doc(doctype, id)
	if !ok || !found {
		r.t.Fatalf("%v: no document to repeat the errors of", x)
	}
	var list strings.Builder
	for i := 0; list.Len() < length-len(head)-500; i++ {
		if i > 0 {
			list.WriteString(", ")
		}
		fmt.Fprintf(&list, `{"path": "/a/%d", "message": "%s", "at": "2026-01-01T00:00:00Z"}`, i, strings.Repeat("m", 100))
	}
	return head + `"errors": [` + list.String() + `], "skipped": [], "started_at": null, "finished_at": null, ` +
		fmt.Sprintf(`"foo": {"a": 1}, "_id": "%s", "_rev": "%s"}`, id, doc["_rev"])
}

// token chooses the token that an exchange was recorded with, which its title
// tells.
func (r *replay) token(x *exchange) string {
	kind := "app"
	if open, rest, ok := strings.Cut(x.Title, "["); ok && open == "" {
		kind, _, _ = strings.Cut(rest, "]")
	} else {
		for _, c := range []struct{ part, kind string }{
			{"cli token files only", "cli files only"},
			{"without io.cozy.settings perm", "noperm app"},
			{"permissions/self konn", "konn"},
			{"permissions/self cli", "cli"},
			{"noperm", "noperm app"},
			{"konn", "konn"},
			{"cli token", "cli"},
			{"oauth", "oauth"},
		} {
			if strings.Contains(strings.ToLower(x.Title), c.part) {
				kind = c.kind
				break
			}
		}
	}
	if kind == "oauth" && x.file == "06" {
		kind = "garbage" // the recording's first try with one failed
	}
	return r.mint(x.Header.Get("Host"), kind)
}

func (r *replay) mint(host, kind string) string {
	if token := r.tokens[host+kind]; token != "" {
		return token
	}
	const all = "io.cozy.files io.cozy.accounts io.cozy.nextcloud.migrations io.cozy.settings"
	options, known := map[string]cozytest.TokenOptions{
		"app":                {},
		"konn":               {Audience: cozytest.AudienceKonnector},
		"cli":                {Audience: cozytest.AudienceCLI, Scope: all},
		"oauth":              {Audience: cozytest.AudienceOAuth, Scope: all},
		"expired app":        {TTL: -time.Second},
		"expired konn":       {Audience: cozytest.AudienceKonnector, TTL: -time.Second},
		"expired cli":        {Audience: cozytest.AudienceCLI, Scope: all, TTL: -time.Second},
		"app not installed":  {Subject: "notinstalled"},
		"konn not installed": {Audience: cozytest.AudienceKonnector, Subject: "notinstalled"},
		"noperm app":         {Subject: "noperm"},
		"cli wrong scope":    {Audience: cozytest.AudienceCLI, Scope: "io.cozy.contacts"},
		"cli files only":     {Audience: cozytest.AudienceCLI, Scope: "io.cozy.files"},
		"cli scope GET only": {Audience: cozytest.AudienceCLI, Scope: "io.cozy.files:GET io.cozy.nextcloud.migrations:GET"},
		"cli empty scope":    {Audience: cozytest.AudienceCLI},
	}[kind]
	switch {
	case kind == "other instance's token":
		host = bob
	case !known:
		return "garbage"
	}
	if r.stack.Instance(host) == nil {
		return "garbage"
	}
	token := r.stack.Instance(host).MintToken(options)
	r.tokens[host+kind] = token
	return token
}

// prepare brings about what happened between two recorded exchanges.
func (r *replay) prepare(x *exchange) {
	switch {
	case x.file == "03" && x.Title == "disk-usage, unlimited quota":
		r.fillBob()
	case x.file == "03" && x.Title == "disk-usage, quota 1MB":
		r.stack.Instance(bob).SetQuota(2_010_000)
	case x.file == "03" && strings.Contains(x.Title, "DiskQuota="):
		_, quota, _ := strings.Cut(x.Title, "DiskQuota=")
		quota, _, _ = strings.Cut(quota, " ")
		r.patchInstance("DiskQuota=" + quota)
	case x.file == "07":
		r.patchInstance(fmt.Sprintf("BlockingReason=PAYMENT_FAILED&Blocked=%v", strings.HasPrefix(x.Title, "blocked instance")))
	case strings.HasSuffix(x.Target, "/_normal_docs") && x.Header.Get("Host") == bob:
		r.patchInstance("Blocked=false")
		r.seedRows(x)
	}
}

func (r *replay) patchInstance(query string) {
	request, _ := http.NewRequest(http.MethodPatch, r.server.URL+"/instances/"+bob+"?"+query, nil)
	request.Host = "admin.localhost"
	request.SetBasicAuth(adminUser, adminPassword)
	answer, err := r.server.Client().Do(request)
	if err != nil || answer.StatusCode != http.StatusOK {
		r.t.Fatalf("patch instance: %v, %v", answer, err)
	}
	answer.Body.Close()
}

// fillBob gives the instance the usage that the recording starts with.
func (r *replay) fillBob() {
	inst := r.stack.Instance(bob)
	first := upload(r.t, inst, http.MethodPost, cozytest.RootID, "?Type=file&Name=a.bin", strings.Repeat("v", 600_000))
	upload(r.t, inst, http.MethodPut, first, "", strings.Repeat("f", 410_000))
}

// upload sends a body straight to an instance and returns the file's id.
func upload(t *testing.T, inst *cozytest.Instance, method, id, query, body string) string {
	t.Helper()
	request := httptest.NewRequest(method, "/files/"+id+query, strings.NewReader(body))
	request.Header.Set("Authorization", "Bearer "+inst.AppToken())
	out := httptest.NewRecorder()
	inst.ServeHTTP(out, request)
	var doc struct {
		Data struct{ ID string } `json:"data"`
	}
	if err := json.Unmarshal(out.Body.Bytes(), &doc); err != nil || doc.Data.ID == "" {
		t.Fatalf("%s %s: %d %s", method, id, out.Code, out.Body)
	}
	return doc.Data.ID
}

// seedRows puts documents in place that routes outside of cozytest made.
func (r *replay) seedRows(x *exchange) {
	text := x.text
	if x.Cut {
		text = completeJSON(text)
	}
	var list struct{ Rows []map[string]any }
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		r.t.Fatalf("%v: %v", x, err)
	}
	_, rest, _ := strings.Cut(x.Target, "/data/")
	doctype, _, _ := strings.Cut(rest, "/")
	for _, row := range list.Rows {
		id, _ := row["_id"].(string)
		if _, known := r.stack.Instance(bob).Doc(doctype, id); !known {
			r.seed(x.Header.Get("Host"), doctype, row)
		}
	}
}

func (r *replay) seed(host, doctype string, row map[string]any) {
	id, _ := row["_id"].(string)
	rev, _ := row["_rev"].(string)
	if auth, ok := row["auth"].(map[string]any); ok {
		auth["password"] = "pw"
		delete(auth, "credentials_encrypted")
	}
	_, newRev, err := r.stack.Instance(host).PutDoc(doctype, id, row)
	if err != nil {
		r.t.Fatal(err)
	}
	r.world.toSim[rev] = newRev
}

// standIn does to the documents what the trigger's routes did.
func (r *replay) standIn(x *exchange) {
	if x.Status == http.StatusNoContent {
		id := strings.Split(x.Target, "/")[4]
		doc, _ := r.stack.Instance(bob).Doc("io.cozy.nextcloud.migrations", id)
		doc["source_deleted_at"] = "2026-11-23T11:18:11.381977349Z"
		if _, _, err := r.stack.Instance(bob).PutDoc("io.cozy.nextcloud.migrations", id, doc); err != nil {
			r.t.Fatal(err)
		}
	}
	if x.Status != http.StatusCreated {
		return
	}
	var doc struct {
		Data struct {
			ID         string
			Attributes map[string]any
			Meta       struct{ Rev string }
		}
	}
	if err := json.Unmarshal([]byte(x.text), &doc); err != nil {
		r.t.Fatalf("%v: %v", x, err)
	}
	doc.Data.Attributes["_id"], doc.Data.Attributes["_rev"] = doc.Data.ID, doc.Data.Meta.Rev
	r.seed(x.Header.Get("Host"), "io.cozy.nextcloud.migrations", doc.Data.Attributes)
}
