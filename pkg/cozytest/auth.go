package cozytest

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Verbs that a rule may grant; a rule without verbs grants all of them.
const (
	verbGet    = http.MethodGet
	verbPost   = http.MethodPost
	verbPut    = http.MethodPut
	verbPatch  = http.MethodPatch
	verbDelete = http.MethodDelete
)

// Rule grants verbs on the documents of one type.
type Rule struct {
	Title string   `json:"title"`
	Type  string   `json:"type"`
	Verbs []string `json:"verbs,omitempty"` // none: all
}

func (r Rule) allows(verb, doctype string) bool {
	return r.Type == doctype && (len(r.Verbs) == 0 || slices.Contains(r.Verbs, verb))
}

// App is an application or konnector with the rules of its manifest. Tokens of
// the app and konnector audiences carry these and not a scope of their own.
type App struct {
	Slug      string `json:"slug"`
	Konnector bool   `json:"konnector,omitempty"`
	Rules     []Rule `json:"rules"`
}

// DefaultApps are installed in every instance: the settings app and the
// konnector "nextcloud".
func DefaultApps() []App {
	files := Rule{Title: "files", Type: doctypeFiles}
	accounts := Rule{Title: "accounts", Type: doctypeAccounts}
	migrations := Rule{Title: "migrations", Type: doctypeMigrations}
	settings := Rule{Title: "settings", Type: doctypeSettings}
	return []App{
		{Slug: "settings", Rules: []Rule{files, accounts, migrations, settings}},
		{Slug: "nextcloud", Konnector: true, Rules: []Rule{files, accounts, migrations}},
	}
}

type installedApp struct {
	App
	id        string
	rev       string
	installed time.Time
}

func installApps(apps []App, now time.Time) map[string]*installedApp {
	ids := newIDSource()
	installed := make(map[string]*installedApp)
	for _, app := range apps {
		installed[appKey(app.Slug, app.Konnector)] = &installedApp{
			App: app, id: ids.next(), rev: firstRevision().String(), installed: now,
		}
	}
	return installed
}

func appKey(slug string, konnector bool) string {
	if konnector {
		return "konnectors/" + slug
	}
	return "apps/" + slug
}

// grant is what a request may do.
type grant struct {
	audience Audience
	slug     string // of app and konnector tokens
	rules    []Rule
	app      *installedApp
}

func (g *grant) allows(verb, doctype string) bool {
	return slices.ContainsFunc(g.rules, func(r Rule) bool { return r.allows(verb, doctype) })
}

// challenge is the header of an answer to a token that cannot be used. The
// real stack sets it even where it then goes on without a token.
const challengeHeader = "Www-Authenticate"

const (
	challengeInvalid = `Bearer error="invalid_token"`
	challengeExpired = `Bearer error="invalid_token" error_description="The access token expired"`
)

// authenticate reads the request's token.
func (inst *Instance) authenticate(w http.ResponseWriter, r *http.Request) (*grant, error) {
	text := requestToken(r)
	if text == "" {
		return nil, plainError(http.StatusUnauthorized, "No token in request")
	}
	g, err := inst.grantOf(text)
	var e *tokenError
	if errors.As(err, &e) {
		w.Header().Set(challengeHeader, e.challenge)
		return nil, plainError(http.StatusBadRequest, e.message)
	}
	return g, err
}

func requestToken(r *http.Request) string {
	if text, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return text
	}
	if _, password, ok := r.BasicAuth(); ok {
		return password
	}
	if strings.Contains(r.URL.RawQuery, "bearer_token=") {
		return r.URL.Query().Get("bearer_token")
	}
	return ""
}

type tokenError struct {
	challenge string
	message   string
}

func (e *tokenError) Error() string { return e.message }

// grantOf looks a token up.
func (inst *Instance) grantOf(text string) (*grant, error) {
	known, _ := inst.stack.tokens.Load(text)
	t, ok := known.(*token)
	if !ok || t.host != inst.host {
		return nil, &tokenError{challengeInvalid, "Invalid JWT token"}
	}
	if !time.Now().Before(t.expires) {
		return nil, &tokenError{challengeExpired, "Expired token"}
	}
	switch t.audience {
	case AudienceApp, AudienceKonnector:
		return inst.grantOfApp(t)
	default:
		if len(t.rules) == 0 {
			return nil, plainError(http.StatusBadRequest, "Permission scope is empty or malformed")
		}
		return &grant{audience: t.audience, rules: t.rules}, nil
	}
}

func (inst *Instance) grantOfApp(t *token) (*grant, error) {
	app := inst.apps[appKey(t.subject, t.audience == AudienceKonnector)]
	if app == nil {
		return nil, couchError(http.StatusNotFound, "not_found", "no permission doc for "+t.subject)
	}
	return &grant{audience: t.audience, slug: t.subject, rules: app.Rules, app: app}, nil
}
