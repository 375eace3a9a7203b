package cozytest

import (
	"bufio"
	"encoding/json"
	"net/http"
	"time"
)

const simPrefix = "/_sim/"

// SimHandler serves the simulator's own routes, which need no authentication
// and answer on every host:
//
//	POST   /_sim/instances  create an instance, {"host":…} and InstanceOptions in lower camel case
//	PATCH  /_sim/instances  change one: {"host":…,"quotaBytes":…,"blocked":…,"gone":…,"expireTokens":true}
//	POST   /_sim/tokens     mint a token: {"host":…,"audience":…,"subject":…,"scope":…,"ttlSeconds":…}
//	GET    /_sim/tree?host= the instance's entries as lines of JSON
//	GET    /_sim/docs?host=&doctype= its documents as a JSON array
//	GET    /_sim/stats      answers by route and status; DELETE starts anew
//	POST   /_sim/faults     order a Fault; DELETE removes all, or those of ?host=
//	PUT    /_sim/latency    {"ms":…} before each request
func (s *Stack) SimHandler() http.Handler { return s.sim }

func (s *Stack) simRoutes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /_sim/instances", s.simCreate)
	mux.HandleFunc("PATCH /_sim/instances", s.simChange)
	mux.HandleFunc("POST /_sim/tokens", s.simToken)
	mux.HandleFunc("GET /_sim/tree", s.simTree)
	mux.HandleFunc("GET /_sim/docs", s.simDocs)
	mux.HandleFunc("GET /_sim/stats", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, typeJSON, s.Stats())
	})
	mux.HandleFunc("DELETE /_sim/stats", func(w http.ResponseWriter, _ *http.Request) {
		s.ResetStats()
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("POST /_sim/faults", s.simFault)
	mux.HandleFunc("DELETE /_sim/faults", func(w http.ResponseWriter, r *http.Request) {
		s.ClearFaults(r.URL.Query().Get("host"))
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("PUT /_sim/latency", s.simLatency)
	return mux
}

// simInstance is InstanceOptions and the switches on the wire.
type simInstance struct {
	Host              string  `json:"host"`
	QuotaBytes        *int64  `json:"quotaBytes"`
	PublicName        string  `json:"publicName"`
	DefaultDirs       bool    `json:"defaultDirs"`
	Apps              []App   `json:"apps"`
	Free              bool    `json:"free"`
	MaxInFlight       int     `json:"maxInFlight"`
	RequestsPerSecond float64 `json:"requestsPerSecond"`
	BytesPerSecond    int64   `json:"bytesPerSecond"`
	Blocked           *bool   `json:"blocked"`
	BlockingReason    *string `json:"blockingReason"`
	Gone              *bool   `json:"gone"`
	ExpireTokens      bool    `json:"expireTokens"`
}

func (o *simInstance) apply(inst *Instance) {
	if o.QuotaBytes != nil {
		inst.SetQuota(*o.QuotaBytes)
	}
	if o.Blocked != nil {
		inst.SetBlocked(*o.Blocked)
	}
	if o.BlockingReason != nil {
		inst.SetBlockingReason(*o.BlockingReason)
	}
	if o.Gone != nil {
		inst.SetGone(*o.Gone)
	}
	if o.ExpireTokens {
		inst.ExpireTokens()
	}
}

// readSim decodes an order; it answers 400 and says false where it cannot.
func readSim(w http.ResponseWriter, r *http.Request, v any) bool {
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(v); err != nil {
		writePlain(w, http.StatusBadRequest, err.Error())
		return false
	}
	return true
}

// simTarget finds the instance of an order; it answers 404 where there is none.
func (s *Stack) simTarget(w http.ResponseWriter, host string) *Instance {
	inst := s.Instance(host)
	if inst == nil {
		writePlain(w, http.StatusNotFound, "no such instance")
	}
	return inst
}

func (s *Stack) simCreate(w http.ResponseWriter, r *http.Request) {
	var o simInstance
	if !readSim(w, r, &o) {
		return
	}
	if o.Host == "" {
		writePlain(w, http.StatusBadRequest, "host is missing")
		return
	}
	inst := s.AddInstance(o.Host, InstanceOptions{
		PublicName: o.PublicName, DefaultDirs: o.DefaultDirs, Apps: o.Apps,
		Free: o.Free, MaxInFlight: o.MaxInFlight, RequestsPerSecond: o.RequestsPerSecond, BytesPerSecond: o.BytesPerSecond,
	})
	o.apply(inst)
	writeJSON(w, http.StatusCreated, typeJSON, map[string]string{"host": inst.host, "token": inst.AppToken()})
}

func (s *Stack) simChange(w http.ResponseWriter, r *http.Request) {
	var o simInstance
	if !readSim(w, r, &o) {
		return
	}
	if inst := s.simTarget(w, o.Host); inst != nil {
		o.apply(inst)
		w.WriteHeader(http.StatusNoContent)
	}
}

func (s *Stack) simToken(w http.ResponseWriter, r *http.Request) {
	var o struct {
		Host       string  `json:"host"`
		Audience   string  `json:"audience"`
		Subject    string  `json:"subject"`
		Scope      string  `json:"scope"`
		TTLSeconds float64 `json:"ttlSeconds"`
	}
	if !readSim(w, r, &o) {
		return
	}
	if inst := s.simTarget(w, o.Host); inst != nil {
		writeJSON(w, http.StatusCreated, typeJSON, map[string]string{"token": inst.MintToken(TokenOptions{
			Audience: audienceOf(o.Audience), Subject: o.Subject, Scope: o.Scope,
			TTL: time.Duration(o.TTLSeconds * float64(time.Second)),
		})})
	}
}

func (s *Stack) simTree(w http.ResponseWriter, r *http.Request) {
	inst := s.simTarget(w, r.URL.Query().Get("host"))
	if inst == nil {
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	out := bufio.NewWriter(w)
	encoder := json.NewEncoder(out)
	err := inst.Walk(func(e Entry) error { return encoder.Encode(e) })
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		s.log.DebugContext(r.Context(), "tree not sent", "error", err)
	}
}

func (s *Stack) simDocs(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if inst := s.simTarget(w, q.Get("host")); inst != nil {
		writeJSON(w, http.StatusOK, typeJSON, inst.Docs(q.Get("doctype")))
	}
}

func (s *Stack) simFault(w http.ResponseWriter, r *http.Request) {
	f, err := orderFault(r.Body)
	if err != nil {
		writePlain(w, http.StatusBadRequest, err.Error())
		return
	}
	s.Inject(f)
	w.WriteHeader(http.StatusNoContent)
}

func (s *Stack) simLatency(w http.ResponseWriter, r *http.Request) {
	var o struct {
		MS float64 `json:"ms"`
	}
	if !readSim(w, r, &o) {
		return
	}
	s.SetLatency(time.Duration(o.MS * float64(time.Millisecond)))
	w.WriteHeader(http.StatusNoContent)
}
