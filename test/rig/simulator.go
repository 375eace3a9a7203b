package rig

import (
	"encoding/json"
	"iter"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"example.org/ncm/test/tree"
)

// The stack's admin API. Its password is one of the secrets that tests look for
// where it must not be.
const (
	adminUser     = "admin"
	AdminPassword = "planted-admin-password"
)

// subPath is where the simulated Nextcloud lives below its host.
const subPath = "/cloud"

// Simulator is the process that plays the Cozy stack and the Nextcloud of a rig.
type Simulator struct {
	*Process
	CozyURL, AdminURL string
	NextcloudURL      string // as a user types it, without a slash at the end

	t             *testing.T
	cozyAddr      string
	nextcloudHost string // URL without the sub-path
	data          string
}

func (r *Rig) startSimulator(more []string) *Simulator {
	r.t.Helper()
	s := &Simulator{t: r.t, data: r.t.TempDir()}
	const loopback = "127.0.0.1:0"
	s.Process = launch(r.t, "simulator", spec{path: r.backends.bin.simulator, args: append([]string{
		"-data", s.data, "-cozy", loopback, "-admin", loopback, "-nextcloud", loopback + subPath,
		"-shutdown-grace", "100ms",
	}, more...), env: Env{"SIM_ADMIN_PASSWORD": AdminPassword}})
	var sites map[string]string
	Await(r.t, Patience, "simulator listening", func() bool {
		if !s.Running() {
			r.t.Fatalf("the simulator ended at once: %v\n%s", s.err, s.Log)
		}
		sites = s.sites()
		return len(sites) == 3
	})
	s.cozyAddr = sites["cozy"]
	s.CozyURL, s.AdminURL = "http://"+s.cozyAddr, "http://"+sites["admin"]
	s.nextcloudHost = "http://" + sites["nextcloud"]
	s.NextcloudURL = s.nextcloudHost + subPath
	return s
}

// sites reads the addresses by name out of the log.
func (s *Simulator) sites() map[string]string {
	sites := map[string]string{}
	for _, line := range s.Log.All("listening") {
		name, _ := line["site"].(string)
		sites[name], _ = line["address"].(string)
	}
	return sites
}

// User is an owner of files in the Nextcloud.
type User struct {
	ID            string
	LoginPassword string
	AppPassword   string
	// Home is the folder on disk that holds the files.
	Home string
}

// AddUser makes a user of the Nextcloud without files.
func (s *Simulator) AddUser(id string) User {
	s.t.Helper()
	u := User{
		ID: id, LoginPassword: "planted-login-password-" + id, AppPassword: "planted-app-password-" + id,
		Home: filepath.Join(s.data, "nextcloud", id, "files"),
	}
	order(s.t, http.MethodPost, s.nextcloudHost+"/_sim/users", map[string]any{
		"id": u.ID, "password": u.LoginPassword, "app_passwords": []map[string]string{{"token": u.AppPassword}},
	})
	if _, err := os.Stat(u.Home); err != nil {
		s.t.Fatalf("find the user's folder: %v", err)
	}
	return u
}

// Set changes what the Nextcloud knows of an entry besides its content, in the
// words of its package: "favorite", "tags", "created", "permissions", "encrypted",
// "mount", "lock", "gone", "checksum".
func (s *Simulator) Set(u User, path string, properties map[string]any) {
	s.t.Helper()
	properties["user"], properties["path"] = u.ID, path
	order(s.t, http.MethodPost, s.nextcloudHost+"/_sim/entries", properties)
}

// Generate offers a number of files of one size each in a folder of a user.
func (s *Simulator) Generate(u User, folder string, files int, size int64) {
	s.t.Helper()
	order(s.t, http.MethodPost, s.nextcloudHost+"/_sim/generated", map[string]any{
		"user": u.ID, "path": folder, "files": files, "size": size,
	})
}

// Revoke ends an app password.
func (s *Simulator) Revoke(u User) {
	s.t.Helper()
	order(s.t, http.MethodPost, s.nextcloudHost+"/_sim/revoke", map[string]any{"token": u.AppPassword})
}

// Fault is an order for one of the simulators, in the words of its package.
type Fault map[string]any

// SpoilCozy orders a fault of the stack.
func (s *Simulator) SpoilCozy(f Fault) {
	s.t.Helper()
	order(s.t, http.MethodPost, s.AdminURL+"/_sim/faults", f)
}

// HealCozy ends all faults of the stack.
func (s *Simulator) HealCozy() {
	s.t.Helper()
	order(s.t, http.MethodDelete, s.AdminURL+"/_sim/faults", nil)
}

// SpoilNextcloud orders a fault of the Nextcloud.
func (s *Simulator) SpoilNextcloud(f Fault) {
	s.t.Helper()
	order(s.t, http.MethodPost, s.nextcloudHost+"/_sim/faults", f)
}

// HealNextcloud ends all faults of the Nextcloud.
func (s *Simulator) HealNextcloud() {
	s.t.Helper()
	order(s.t, http.MethodDelete, s.nextcloudHost+"/_sim/faults", nil)
}

// CozyAnswers counts the stack's answers by route and status.
func (s *Simulator) CozyAnswers() map[string]map[int]int64 {
	s.t.Helper()
	answer := mustAsk(s.t, Request{Method: http.MethodGet, URL: s.AdminURL + "/_sim/stats"})
	var counts map[string]map[int]int64
	answer.Decode(s.t, &counts)
	return counts
}

// documents are all of a type, credentials in the clear.
func (s *Simulator) documents(host, doctype string) []json.RawMessage {
	s.t.Helper()
	answer := mustAsk(s.t, Request{Method: http.MethodGet, URL: s.AdminURL + "/_sim/docs?host=" + host + "&doctype=" + doctype})
	var docs []json.RawMessage
	answer.Decode(s.t, &docs)
	return docs
}

// Files lists a user's files as the Nextcloud has them, generated ones too.
func (s *Simulator) Files(u User) iter.Seq2[tree.Entry, error] {
	return tree.Nextcloud(s.t.Context(), http.DefaultClient, s.nextcloudHost, u.ID, "/")
}

// ForgetCozyAnswers makes CozyAnswers start anew.
func (s *Simulator) ForgetCozyAnswers() {
	s.t.Helper()
	order(s.t, http.MethodDelete, s.AdminURL+"/_sim/stats", nil)
}

// NextcloudInFlight is how many requests the Nextcloud works on.
func (s *Simulator) NextcloudInFlight() int64 {
	s.t.Helper()
	answer := mustAsk(s.t, Request{Method: http.MethodGet, URL: s.nextcloudHost + "/_sim/stats"})
	var stats struct {
		InFlight int64 `json:"in_flight"`
	}
	answer.Decode(s.t, &stats)
	return stats.InFlight
}
