package rig

import (
	"encoding/json"
	"errors"
	"io"
	"iter"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/pkg/cozytest"
	"example.org/ncm/test/tree"
)

// InstanceSuffix is what the hosts of a rig's instances end in.
const InstanceSuffix = ".cozy.test"

// Instance is one user's Cozy.
type Instance struct {
	Host string
	// Token is one of the settings app.
	Token string

	sim *Simulator
}

// AddInstance makes an instance for a host that the services allow: one below
// InstanceSuffix, or below localhost with a port.
func (s *Simulator) AddInstance(host string) *Instance {
	s.t.Helper()
	answer := order(s.t, http.MethodPost, s.AdminURL+"/_sim/instances", map[string]any{"host": host})
	var made struct {
		Host  string `json:"host"`
		Token string `json:"token"`
	}
	answer.Decode(s.t, &made)
	return &Instance{Host: made.Host, Token: made.Token, sim: s}
}

// Change orders a switch of the simulated instance, in the words of its package.
func (i *Instance) Change(switches map[string]any) {
	i.sim.t.Helper()
	switches["host"] = i.Host
	order(i.sim.t, http.MethodPatch, i.sim.AdminURL+"/_sim/instances", switches)
}

// Heal ends the faults that were ordered for this instance.
func (i *Instance) Heal() {
	i.sim.t.Helper()
	order(i.sim.t, http.MethodDelete, i.sim.AdminURL+"/_sim/faults?host="+url.QueryEscape(i.Host), nil)
}

// MintToken gives a token in the words of the simulator: audience, subject, scope
// and ttlSeconds.
func (i *Instance) MintToken(wish map[string]any) string {
	i.sim.t.Helper()
	wish["host"] = i.Host
	answer := order(i.sim.t, http.MethodPost, i.sim.AdminURL+"/_sim/tokens", wish)
	var minted struct {
		Token string `json:"token"`
	}
	answer.Decode(i.sim.t, &minted)
	return minted.Token
}

// Call sends a request to the stack as an app of the instance would.
func (i *Instance) Call(method, path, body string) Answer {
	i.sim.t.Helper()
	return mustAsk(i.sim.t, Request{
		Method: method, URL: i.sim.CozyURL + path, Host: i.Host, Token: i.Token,
		ContentType: "application/json", Body: body,
	})
}

// Tracking reads a tracking document as the Settings page does.
func (i *Instance) Tracking(id string) contract.Tracking {
	i.sim.t.Helper()
	answer := i.Call(http.MethodGet, "/data/"+contract.DoctypeMigrations+"/"+id, "")
	if answer.Status != http.StatusOK {
		i.sim.t.Fatalf("read tracking document %s: %d %s", id, answer.Status, answer.Body)
	}
	var doc contract.Tracking
	answer.Decode(i.sim.t, &doc)
	return doc
}

// AddDocument stores a new document and returns its id.
func (i *Instance) AddDocument(doctype string, value any) (id string) {
	i.sim.t.Helper()
	content, err := json.Marshal(value)
	if err != nil {
		i.sim.t.Fatalf("encode document: %v", err)
	}
	answer := i.Call(http.MethodPost, "/data/"+doctype+"/", string(content))
	var made struct {
		ID string `json:"id"`
	}
	answer.Decode(i.sim.t, &made)
	if made.ID == "" {
		i.sim.t.Fatalf("make document: %d %s", answer.Status, answer.Body)
	}
	return made.ID
}

// Documents are all of a type as they are stored; passwords of accounts are in the
// clear.
func (i *Instance) Documents(doctype string) []json.RawMessage {
	i.sim.t.Helper()
	return i.sim.documents(i.Host, doctype)
}

// Files lists a folder of the instance without the reports of migrations, which the
// source does not have.
func (i *Instance) Files(folder string) iter.Seq2[tree.Entry, error] {
	return func(yield func(tree.Entry, error) bool) {
		for e, err := range tree.Cozy(i.sim.t.Context(), http.DefaultClient, i.sim.AdminURL, i.Host, folder) {
			if err == nil && IsReport(e.Path) {
				continue
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// IsReport says whether a path below the target folder is that of a report.
func IsReport(path string) bool { return reportName.MatchString(path) }

var reportName = regexp.MustCompile(`^Migration report( \([0-9]+\))?\.csv$`) //nolint:gochecknoglobals // never written

// Reports are the reports in the target folder.
func (i *Instance) Reports() (reports []cozytest.Entry) {
	i.sim.t.Helper()
	for _, e := range i.Entries() {
		if name, below := strings.CutPrefix(e.Path, TargetDir+"/"); below && IsReport(name) {
			reports = append(reports, e)
		}
	}
	return reports
}

// Entries are all that the instance holds, the trash too.
func (i *Instance) Entries() []cozytest.Entry {
	i.sim.t.Helper()
	answer := mustAsk(i.sim.t, Request{Method: http.MethodGet, URL: i.sim.AdminURL + "/_sim/tree?host=" + i.Host})
	var entries []cozytest.Entry
	lines := json.NewDecoder(strings.NewReader(answer.Body))
	for {
		var e cozytest.Entry
		switch err := lines.Decode(&e); {
		case errors.Is(err, io.EOF):
			return entries
		case err != nil:
			i.sim.t.Fatalf("read the tree of %s: %v", i.Host, err)
		}
		entries = append(entries, e)
	}
}

// AwaitStatus waits until a tracking document has a status and gives the document.
// Another final status ends the test.
func (i *Instance) AwaitStatus(id string, want contract.Status, within time.Duration) (doc contract.Tracking) {
	i.sim.t.Helper()
	Await(i.sim.t, within, "migration "+string(want), func() bool {
		doc = i.Tracking(id)
		if doc.Status != want && doc.Status.Final() {
			i.sim.t.Fatalf("migration %s is %s: %s %v", id, doc.Status, doc.FailureReason, doc.Errors)
		}
		return doc.Status == want
	})
	return doc
}
