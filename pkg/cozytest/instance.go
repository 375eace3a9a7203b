package cozytest

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// InstanceOptions describes a new instance. The zero value is an empty
// instance without quota, with the apps that DefaultApps names.
type InstanceOptions struct {
	// QuotaBytes limits files and their old versions together. Zero: no limit.
	QuotaBytes int64
	// PublicName is the owner's name.
	PublicName string
	// DefaultDirs creates the two directories that a real stack gives to every
	// new instance.
	DefaultDirs bool
	// Apps are installed besides DefaultApps.
	Apps []App
	// Free instances have no part in the stack's profile.
	Free bool
	// MaxInFlight is how many requests are worked on at once; others wait.
	// Zero: no limit.
	MaxInFlight int
	// RequestsPerSecond is the instance's ceiling. Zero: none.
	RequestsPerSecond float64
	// BytesPerSecond is shared by the bodies of all the instance's requests.
	// Zero: no limit.
	BytesPerSecond int64
}

// Instance is one user's Cozy. Make one with Stack.AddInstance.
type Instance struct {
	stack   *Stack
	host    string
	pageURL string
	name    string
	apps    map[string]*installedApp
	gate    *gate
	hub     hub
	ids     *idSource

	gone    atomic.Bool
	blocked atomic.Bool
	// blockingReason is one of the admin API.
	blockingReason atomic.Pointer[string]
	quota          atomic.Int64

	mu        sync.RWMutex
	tree      *tree
	making    map[string]bool            // normalized paths of recursive creations under way
	uploadMDs map[string]json.RawMessage // metadata sent ahead of uploads, by id

	data *dataStore
}

func newInstance(s *Stack, host string, o InstanceOptions) *Instance {
	now := time.Now().UTC()
	inst := &Instance{
		stack: s, host: host, pageURL: "http://" + host + "/", name: o.PublicName,
		apps: installApps(append(DefaultApps(), o.Apps...), now),
		gate: newGate(o, s.config.Profile), ids: newIDSource(),
		making:    make(map[string]bool),
		uploadMDs: make(map[string]json.RawMessage),
	}
	inst.quota.Store(o.QuotaBytes)
	inst.SetBlockingReason("")
	inst.tree = newTree(now)
	inst.data = newDataStore(inst)
	if o.DefaultDirs {
		inst.addDefaultDirs(now)
	}
	return inst
}

func (inst *Instance) addDefaultDirs(now time.Time) {
	for _, d := range []struct{ name, app string }{{"Administrative", "administrative"}, {"Photos", "photos"}} {
		dir := newDir(inst.ids.next(), d.name, now)
		dir.meta.CreatedOn = inst.pageURL
		dir.references = []reference{{ID: "io.cozy.apps/" + d.app, Type: "io.cozy.apps"}}
		inst.tree.attach(dir, inst.tree.root)
	}
}

// Host is the name that requests for the instance carry.
func (inst *Instance) Host() string { return inst.host }

// SetQuota changes the limit on files and old versions, in bytes. Zero: none.
func (inst *Instance) SetQuota(size int64) { inst.quota.Store(size) }

// SetBlocked makes every request answer that the instance is blocked, or not.
func (inst *Instance) SetBlocked(blocked bool) { inst.blocked.Store(blocked) }

// SetBlockingReason changes why, and with it the answer: 503, or 402 for
// BlockedUnpaid. It stays when the instance is no longer blocked.
func (inst *Instance) SetBlockingReason(reason string) { inst.blockingReason.Store(&reason) }

// SetGone makes the instance answer as one that does not exist, or not.
func (inst *Instance) SetGone(gone bool) { inst.gone.Store(gone) }

// ServeHTTP answers a request for this instance whatever its Host says;
// latency and faults of the stack do not apply.
func (inst *Instance) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	setSecurityHeaders(w.Header())
	if !strings.HasPrefix(r.URL.Path, "/realtime/") { // these stay for hours
		leave, err := inst.gate.enter(r)
		if err != nil {
			return // the client is gone
		}
		defer leave()
	}
	c := &call{w: w, r: r, inst: inst, status: http.StatusOK}
	if inst.blocked.Load() {
		c.route = routeBlocked
		answerBlocked(c.writer(), *inst.blockingReason.Load())
	} else {
		c.dispatch()
	}
	inst.stack.stats.add(c.route, c.status)
	inst.stack.log.DebugContext(r.Context(), "request", "instance", inst.host, "route", c.route, "status", c.status)
}
