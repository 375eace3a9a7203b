package cozytest

import (
	"crypto/subtle"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// AdminHandler serves the stack's admin API: POST /instances/token and the
// quota and blocking switches of PATCH /instances/:domain.
func (s *Stack) AdminHandler() http.Handler { return s.admin }

// ClouderyHandler serves POST /api/public/instances/:fqdn/token.
func (s *Stack) ClouderyHandler() http.Handler { return s.cloudery }

func (s *Stack) adminRoutes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /instances/token", s.answerAdminToken)
	mux.HandleFunc("PATCH /instances/{domain}", s.patchInstance)
	return s.disturbed(mux)
}

func (s *Stack) clouderyRoutes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/public/instances/{fqdn}/token", s.answerClouderyToken)
	return s.disturbed(mux)
}

func (s *Stack) disturbed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.disturb(w, r, next.ServeHTTP)
	})
}

func (s *Stack) isAdmin(r *http.Request) bool {
	user, password, ok := r.BasicAuth()
	return ok && s.config.AdminPassword != "" &&
		same(user, s.config.AdminUser) && same(password, s.config.AdminPassword)
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// refuseAdmin asks for basic authentication unless the request has it.
func (s *Stack) refuseAdmin(w http.ResponseWriter, r *http.Request) bool {
	if s.isAdmin(r) {
		return false
	}
	w.Header().Set(challengeHeader, `Basic realm="admin"`)
	writePlain(w, http.StatusUnauthorized, "Unauthorized")
	return true
}

// answerAdminToken gives the token as plain text.
func (s *Stack) answerAdminToken(w http.ResponseWriter, r *http.Request) {
	out := &statusAnswer{ResponseWriter: w}
	defer func() { s.stats.add(routeAdminToken, out.status) }()
	if s.refuseAdmin(out, r) {
		return
	}
	q := r.URL.Query()
	inst := s.Instance(q.Get("Domain"))
	if inst == nil || inst.gone.Load() {
		writePlain(out, http.StatusNotFound, "Instance not found")
		return
	}
	o := TokenOptions{Audience: Audience(q.Get("Audience")), Subject: q.Get("Subject"), Scope: q.Get("Scope")}
	if o.Audience = audienceOf(string(o.Audience)); o.Audience == "" {
		writePlain(out, http.StatusBadRequest, "Unknown audience")
		return
	}
	o.TTL = s.issuedTTL(o.Audience, q.Get("Expire"))
	writePlain(out, http.StatusOK, inst.MintToken(o))
}

// issuedTTL is the life of a token of the admin API. No session goes with it, so an
// app's is checked as if it were a konnector's; Expire dates it back from the 24 hours
// of an app with a session all the same, and one of less than 23.5 hours is born
// expired. What is no duration is passed over.
func (s *Stack) issuedTTL(audience Audience, expire string) time.Duration {
	ttl := otherTokenTTL
	if s.config.TokenTTL != 0 {
		ttl = s.config.TokenTTL
	}
	asked, err := time.ParseDuration(expire)
	if err != nil || asked == 0 {
		return ttl
	}
	if audience != AudienceApp {
		return asked
	}
	if ttl += asked - appTokenTTL; ttl == 0 {
		ttl = -1
	}
	return ttl
}

// audienceOf understands the names that the stack's own tools use.
func audienceOf(name string) Audience {
	switch strings.ToLower(name) {
	case "", "app", "webapp", "web":
		return AudienceApp
	case "konn", "konnector":
		return AudienceKonnector
	case "cli":
		return AudienceCLI
	case "access", "access-token", "oauth":
		return AudienceOAuth
	default:
		return ""
	}
}

// patchInstance: a quota of zero changes nothing, a negative one lifts the
// limit, as on the real stack.
func (s *Stack) patchInstance(w http.ResponseWriter, r *http.Request) {
	if s.refuseAdmin(w, r) {
		return
	}
	inst := s.Instance(r.PathValue("domain"))
	if inst == nil {
		writePlain(w, http.StatusNotFound, "Instance not found")
		return
	}
	q := r.URL.Query()
	if quota, err := strconv.ParseInt(q.Get("DiskQuota"), 10, 64); err == nil && quota != 0 {
		inst.SetQuota(max(0, quota))
	}
	if reason := q.Get("BlockingReason"); reason != "" {
		inst.SetBlockingReason(reason)
	}
	if blocked, err := strconv.ParseBool(q.Get("Blocked")); err == nil {
		inst.SetBlocked(blocked)
	}
	writeDocument(w, http.StatusOK, document{Data: resource{
		Type: "instances", ID: inst.host, Attributes: map[string]string{"domain": inst.host},
	}})
}

func (s *Stack) answerClouderyToken(w http.ResponseWriter, r *http.Request) {
	out := &statusAnswer{ResponseWriter: w}
	defer func() { s.stats.add(routeClouderyToken, out.status) }()
	bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || s.config.ClouderyToken == "" || !same(bearer, s.config.ClouderyToken) {
		writeJSON(out, http.StatusUnauthorized, typeJSON, map[string]string{"error": "Unauthorized"})
		return
	}
	inst := s.Instance(r.PathValue("fqdn"))
	if inst == nil || inst.gone.Load() {
		writeJSON(out, http.StatusNotFound, typeJSON, map[string]string{"error": "Not Found"})
		return
	}
	var ask struct {
		Audience string `json:"audience"`
		Scope    string `json:"scope"`
		Subject  string `json:"subject"`
	}
	if err := json.NewDecoder(r.Body).Decode(&ask); err != nil || audienceOf(ask.Audience) == "" {
		writeJSON(out, http.StatusBadRequest, typeJSON, map[string]string{"error": "Bad Request"})
		return
	}
	writeJSON(out, http.StatusOK, typeJSON, map[string]string{"token": inst.MintToken(TokenOptions{
		Audience: audienceOf(ask.Audience), Subject: ask.Subject, Scope: ask.Scope,
	})})
}

// statusAnswer notes the status of an answer.
type statusAnswer struct {
	http.ResponseWriter
	status int
}

func (a *statusAnswer) WriteHeader(status int) {
	a.status = status
	a.ResponseWriter.WriteHeader(status)
}
