package cozytest

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// Doctypes that the simulator treats in a way of their own.
const (
	doctypeFiles      = "io.cozy.files"
	doctypeAccounts   = "io.cozy.accounts"
	doctypeMigrations = "io.cozy.nextcloud.migrations"
	doctypeSettings   = "io.cozy.settings"
)

// call is one request on its way through an instance.
type call struct {
	w      http.ResponseWriter
	r      *http.Request
	inst   *Instance
	route  string // as counted; set by the dispatchers
	status int    // of the answer
	args   url.Values

	authenticated bool
	grant         *grant
	grantErr      error
}

// writer notes the status of the answer.
func (c *call) writer() http.ResponseWriter { return statusWriter{c.w, &c.status} }

type statusWriter struct {
	http.ResponseWriter
	status *int
}

func (w statusWriter) WriteHeader(status int) {
	*w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the connection.
func (w statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (c *call) dispatch() {
	area, rest, slash := strings.Cut(strings.TrimPrefix(c.r.URL.EscapedPath(), "/"), "/")
	switch {
	case area == "files" && slash:
		c.answerFiles(c.files(rest))
	case area == "data" && slash:
		c.answerData(rest)
	case area == "realtime" && slash:
		c.answerFiles(c.realtime(rest))
	case area == "remote" && strings.HasPrefix(rest, "nextcloud/"):
		c.answerFiles(c.remote())
	case area == "settings" && rest == "disk-usage" && c.r.Method == http.MethodGet:
		c.run("GET /settings/disk-usage", (*call).showDiskUsage)
	case area == "permissions" && rest == "self" && c.r.Method == http.MethodGet:
		c.run("GET /permissions/self", (*call).showPermissions)
	default:
		c.run(routeUnknown, func(*call) error { return noRoute() })
	}
}

// action is what a route does; its error becomes the answer.
type action func(*call) error

type routed struct {
	name string
	do   action
}

func (c *call) answerFiles(r routed) { c.run(r.name, r.do) }

func (c *call) run(name string, do action) {
	c.route = name
	if err := do(c); err != nil {
		writeFilesError(c.writer(), err)
	}
}

// query is the parsed query string.
func (c *call) query() url.Values {
	if c.args == nil {
		c.args = c.r.URL.Query()
	}
	return c.args
}

func (c *call) authenticate() (*grant, error) {
	if !c.authenticated {
		c.authenticated = true
		c.grant, c.grantErr = c.inst.authenticate(c.w, c.r)
	}
	return c.grant, c.grantErr
}

// allow checks the token and its rights.
func (c *call) allow(verb, doctype string) (*grant, error) {
	g, err := c.authenticate()
	if err != nil {
		return nil, err
	}
	if !g.allows(verb, doctype) {
		return nil, plainError(http.StatusForbidden, "Forbidden")
	}
	return g, nil
}

// showDiskUsage answers GET /settings/disk-usage. Apps that may write files
// may see it as well.
func (c *call) showDiskUsage() error {
	g, err := c.authenticate()
	if err != nil {
		return err
	}
	if !g.allows(verbGet, doctypeSettings) && !g.allows(verbPost, doctypeFiles) {
		return plainError(http.StatusForbidden, "Forbidden")
	}
	c.inst.mu.RLock()
	files, versions, trash := c.inst.tree.files, c.inst.tree.old, c.inst.tree.binned
	c.inst.mu.RUnlock()
	attributes := map[string]string{
		"used": itoa(files + versions), "files": itoa(files), "versions": itoa(versions),
	}
	if quota := c.inst.quota.Load(); quota > 0 {
		attributes["quota"] = itoa(quota)
	}
	if c.query().Get("include") == "trash" {
		attributes["trash"] = itoa(trash)
	}
	writeDocument(c.writer(), http.StatusOK, document{Data: resource{
		Type: doctypeSettings, ID: "io.cozy.settings.disk-usage", Attributes: attributes,
		Links: &links{Self: "/settings/disk-usage"},
	}})
	return nil
}

func itoa[N int | int64](n N) string { return strconv.FormatInt(int64(n), 10) }
