package nextcloudtest

import (
	"math"
	"net/http"
	"strings"
)

// Status codes of OCS that are not HTTP's.
const (
	ocsUnauthorised = 997
	ocsUnknown      = 998
)

const unknownRoute = "Invalid query, please check the syntax. API specifications are here: http://www.freedesktop.org/wiki/Specifications/open-collaboration-services.\n"

// ocsCall is one OCS request with what its answer's form depends on.
type ocsCall struct {
	*http.Request
	server *Server
	w      http.ResponseWriter
	v1     bool
	xml    bool
}

func (s *Server) serveOCS(w http.ResponseWriter, r *http.Request, rel string) {
	route := rel[len("/ocs/v2.php/"):]
	c := &ocsCall{Request: r, server: s, w: w, v1: strings.HasPrefix(rel, "/ocs/v1")}
	c.xml = !wantsJSON(r)
	w.Header().Set("Cache-Control", "no-cache, no-store, must-revalidate")
	delete(w.Header(), "X-Debug-Token")
	if s.maintenance.Load() {
		w.Header().Set("X-Nextcloud-Maintenance-Mode", "1")
		c.fail(http.StatusServiceUnavailable, http.StatusServiceUnavailable, "Service unavailable", false)
		return
	}
	session, why := s.login(r)
	if route == "cloud/capabilities" && why == refusedAnonymous {
		c.capabilities(nil)
		return
	}
	if why != accepted {
		c.refuse(why)
		return
	}
	w.Header().Set("X-User-Id", session.account.user.ID)
	if r.Header.Get("Ocs-Apirequest") == "" {
		writeSized(w, http.StatusPreconditionFailed, typeJSON, `{"message":"CSRF check failed"}`)
		return
	}
	c.dispatch(route, session)
}

func (c *ocsCall) dispatch(route string, session *session) {
	switch {
	case route == "cloud/user" && c.Method == http.MethodGet:
		c.ok(c.user(session.account))
	case route == "cloud/capabilities" && c.Method == http.MethodGet:
		c.capabilities(session)
	case route == "core/getapppassword" && c.Method == http.MethodGet:
		c.issue(session)
	case route == "core/apppassword" && c.Method == http.MethodDelete:
		c.giveBack(session)
	default:
		c.fail(http.StatusNotFound, ocsUnknown, unknownRoute, false)
	}
}

// wantsJSON: the query wins over Accept, and XML is the default.
func wantsJSON(r *http.Request) bool {
	if format := r.URL.Query().Get("format"); format != "" {
		return format == "json"
	}
	return strings.Contains(r.Header.Get("Accept"), "json")
}

func (c *ocsCall) refuse(why refusal) {
	switch why {
	case refusedAnonymous, refusedPasswordLogin:
		c.fail(http.StatusUnauthorized, ocsUnauthorised, "Current user is not logged in", true)
	case refusedThrottled:
		c.fail(http.StatusTooManyRequests, http.StatusTooManyRequests, "Reached maximum delay", false)
	default:
		if c.server.cfg.Version == Version24 {
			c.xml = true // old versions forget what was accepted
		}
		c.w.Header().Set("Www-Authenticate", `Basic realm="Authorisation Required"`)
		c.fail(http.StatusUnauthorized, ocsUnauthorised, "Unauthorised", false)
	}
}

func (c *ocsCall) issue(session *session) {
	if session.token != "" {
		c.fail(http.StatusForbidden, http.StatusForbidden, "You cannot request an new apppassword with an apppassword", true)
		return
	}
	t := c.server.accounts.issueToken(c.Request, session.account)
	c.ok(object{{"apppassword", t}})
}

func (c *ocsCall) giveBack(session *session) {
	if session.token == "" {
		c.fail(http.StatusForbidden, http.StatusForbidden, "no app password in use", true)
		return
	}
	c.server.Revoke(session.token, 0)
	c.ok(list{})
}

func (c *ocsCall) ok(data any) {
	status := http.StatusOK
	if c.v1 {
		status = 100
	}
	body := c.encode("ok", status, "OK", data)
	if len(body) >= gzipMin {
		c.w.Header().Set("Vary", "Accept-Encoding")
	}
	writeSized(c.w, http.StatusOK, c.contentType(), body)
}

// fail answers an error; some have a Content-Length and some have not.
func (c *ocsCall) fail(status, code int, message string, sized bool) {
	body := c.encode("failure", code, message, list{})
	if sized {
		writeSized(c.w, status, c.contentType(), body)
		return
	}
	writeChunked(c.w, status, c.contentType(), body)
}

func (c *ocsCall) contentType() string {
	switch {
	case !c.xml:
		return typeJSON
	case c.server.cfg.Version == Version24:
		return "text/xml; charset=UTF-8"
	default:
		return typeXML
	}
}

func (c *ocsCall) encode(status string, code int, message string, data any) string {
	meta := object{{"status", status}, {"statuscode", code}, {"message", message}}
	if c.v1 {
		meta = append(meta, field{"totalitems", ""}, field{"itemsperpage", ""})
	}
	doc := object{{"meta", meta}, {"data", data}}
	if c.xml {
		b := appendXML([]byte("<?xml version=\"1.0\"?>\n"), object{{"ocs", doc}}, "")
		return string(b)
	}
	return string(appendJSON(nil, object{{"ocs", doc}}))
}

// user is what the provisioning API says of an account.
func (c *ocsCall) user(a *account) object {
	u, v2 := a.user, "v2-federated"
	var email any
	if u.Email != "" {
		email = u.Email
	}
	seen := c.server.started.Unix()
	doc := object{
		{"enabled", true},
		{"id", u.ID},
		{"firstLoginTimestamp", seen},
		{"lastLoginTimestamp", seen},
		{"lastLogin", seen * 1000},
		{"backend", "Database"},
		{"subadmin", list{}},
		{"quota", quota(a)},
		{"manager", ""},
		{"avatarScope", v2},
		{"email", email},
		{"emailScope", v2},
		{"additional_mail", list{}},
		{"additional_mailScope", list{}},
		{"displayname", a.displayName()},
		{"display-name", a.displayName()},
		{"displaynameScope", v2},
	}
	for _, key := range []string{
		"phone", "address", "website", "twitter", "bluesky", "fediverse", "organisation", "role", "headline", "biography",
	} {
		doc = append(doc, field{key, ""}, field{key + "Scope", "v2-local"})
	}
	return append(
		doc, field{"profile_enabled", "1"}, field{"profile_enabledScope", "v2-local"},
		field{"pronouns", ""}, field{"pronounsScope", v2}, field{"groups", list{}}, field{"language", "en"},
		field{"locale", ""}, field{"timezone", ""}, field{"notify_email", nil},
		field{"backendCapabilities", object{{"setDisplayName", true}, {"setPassword", true}}},
	)
}

func quota(a *account) object {
	t := &totals{a.home, make(map[string]total)}
	used := t.of(entry{dir: true}).size
	limit := a.user.Quota
	if limit == 0 {
		return object{{"free", -3}, {"used", used}, {"total", -3}, {"relative", 0}, {"quota", -3}}
	}
	relative := math.Round(float64(used)/float64(limit)*10000) / 100
	return object{{"free", limit - used}, {"used", used}, {"total", limit}, {"relative", relative}, {"quota", limit}}
}

// capabilities leaves out the apps that no client of ours looks at.
func (c *ocsCall) capabilities(session *session) {
	v := c.server.version()
	guard := object{{"delay", c.server.throttle.delay(clientAddress(c.Request))}, {"allow-listed", false}}
	theming := object{{"name", "Nextcloud"}, {"productName", "Nextcloud"}, {"url", "https://nextcloud.com"}, {"slogan", "a safe home for all your data"}}
	caps := object{{"bruteforce", guard}, {"theming", theming}}
	if session != nil {
		caps = object{
			{"core", object{{"pollinterval", 60}, {"webdav-root", "remote.php/webdav"}, {"reference-api", true}, {"mod-rewrite-working", true}}},
			{"bruteforce", guard},
			{"files", object{
				{"blacklisted_files", list{".htaccess"}},
				{"forbidden_filenames", list{".htaccess"}},
				{"forbidden_filename_characters", list{`\`, "/"}},
				{"forbidden_filename_extensions", list{".filepart", ".part"}},
				{"bigfilechunking", true},
				{"undelete", true},
				{"delete_from_trash", true},
				{"versioning", true},
			}},
			{"dav", object{{"chunking", "1.0"}, {"bulkupload", "1.0"}}},
			{"theming", theming},
		}
	}
	c.w.Header().Set("Etag", `"`+fileETag(entry{salt: uint64(len(caps))}, meta{})+`"`)
	c.ok(object{
		{"version", object{
			{"major", v.major},
			{"minor", v.minor},
			{"micro", v.micro},
			{"string", v.short},
			{"edition", ""},
			{"extendedSupport", false},
		}},
		{"capabilities", caps},
	})
}
