package cozytest

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Audience is the kind of bearer that a token is for.
type Audience string

// Audiences that the stack mints tokens for.
const (
	AudienceApp       Audience = "app"
	AudienceKonnector Audience = "konn"
	AudienceCLI       Audience = "cli"
	AudienceOAuth     Audience = "access"
)

// TokenOptions describes a token to mint. The zero value is one for the
// settings app with the usual life time.
type TokenOptions struct {
	// Audience is AudienceApp when empty.
	Audience Audience
	// Subject is the slug of an app or konnector; "settings" and "nextcloud"
	// when empty. Minting for one that is not installed works, using it does not.
	Subject string
	// Scope is what CLI and OAuth tokens may do, as "io.cozy.files
	// io.cozy.accounts:GET,PUT".
	Scope string
	// TTL is the life time. Zero: the stack's; negative: expired already.
	TTL time.Duration
}

type token struct {
	host     string
	audience Audience
	subject  string
	rules    []Rule
	expires  time.Time
}

const (
	appTokenTTL   = 24 * time.Hour // of the page that a user has open
	otherTokenTTL = 30 * time.Minute
)

// MintToken returns a token for the instance.
func (inst *Instance) MintToken(o TokenOptions) string {
	if o.Audience == "" {
		o.Audience = AudienceApp
	}
	if o.Subject == "" {
		o.Subject = defaultSubject(o.Audience)
	}
	now := time.Now()
	t := &token{
		host: inst.host, audience: o.Audience, subject: o.Subject,
		rules: parseScope(o.Scope), expires: now.Add(inst.stack.tokenTTL(o)),
	}
	text := tokenText(t, o.Scope, now)
	inst.stack.tokens.Store(text, t)
	return text
}

// AppToken returns a token of the settings app.
func (inst *Instance) AppToken() string { return inst.MintToken(TokenOptions{}) }

// ExpireTokens ends the life of every token of the instance, as if its time
// were over.
func (inst *Instance) ExpireTokens() {
	inst.stack.tokens.Range(func(text, known any) bool {
		if t, ok := known.(*token); ok && t.host == inst.host {
			expired := *t
			expired.expires = time.Time{}
			inst.stack.tokens.Store(text, &expired)
		}
		return true
	})
}

func defaultSubject(a Audience) string {
	if a == AudienceKonnector {
		return "nextcloud"
	}
	return "settings"
}

func (s *Stack) tokenTTL(o TokenOptions) time.Duration {
	switch {
	case o.TTL != 0:
		return o.TTL
	case s.config.TokenTTL != 0:
		return s.config.TokenTTL
	case o.Audience == AudienceApp:
		return appTokenTTL
	default:
		return otherTokenTTL
	}
}

// tokenText looks like the stack's tokens; the signature is random, the stack
// knows its tokens by heart.
func tokenText(t *token, scope string, now time.Time) string {
	claims, _ := json.Marshal(map[string]any{
		"iss": t.host, "sub": t.subject, "aud": []Audience{t.audience},
		"iat": now.Unix(), "scope": scope, // and no end: who has a token is not told of it
	})
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(`{"alg":"HS512","typ":"JWT"}`)) + "." + encode(claims) + "." + randomText()
}

// parseScope reads "type[:verb,verb]" items; what it cannot read grants
// nothing.
func parseScope(scope string) []Rule {
	var rules []Rule
	for item := range strings.FieldsSeq(scope) {
		doctype, verbs, _ := strings.Cut(item, ":")
		rule := Rule{Title: "rule" + itoa(len(rules)), Type: doctype}
		if verbs != "" && verbs != "ALL" {
			rule.Verbs = strings.Split(verbs, ",")
		}
		rules = append(rules, rule)
	}
	return rules
}

// RulesWithout are those of a scope, "type:verb,verb" items, but for one verb on
// one type; both may be empty.
func RulesWithout(scope, doctype, verb string) []Rule {
	rules := parseScope(scope)
	for i := range rules {
		if rules[i].Type == doctype {
			rules[i].Verbs = slices.DeleteFunc(rules[i].Verbs, func(v string) bool { return v == verb })
		}
	}
	return slices.DeleteFunc(rules, func(r Rule) bool { return len(r.Verbs) == 0 })
}

type permissionAttributes struct {
	Type        string               `json:"type"`
	SourceID    string               `json:"source_id,omitempty"`
	Permissions map[string]ruleShape `json:"permissions"`
	Metadata    *permissionMetadata  `json:"cozyMetadata,omitempty"`
}

type ruleShape struct {
	Type  string   `json:"type"`
	Verbs []string `json:"verbs,omitempty"`
}

type permissionMetadata struct {
	DoctypeVersion  string         `json:"doctypeVersion"`
	MetadataVersion int            `json:"metadataVersion"`
	CreatedAt       time.Time      `json:"createdAt"`
	CreatedByApp    string         `json:"createdByApp"`
	CreatedByAppVer string         `json:"createdByAppVersion"`
	UpdatedAt       time.Time      `json:"updatedAt"`
	UpdatedByApps   []versionStamp `json:"updatedByApps"`
}

type versionStamp struct {
	Slug    string    `json:"slug"`
	Date    time.Time `json:"date"`
	Version string    `json:"version"`
}

// showPermissions answers GET /permissions/self.
func (c *call) showPermissions() error {
	g, err := c.authenticate()
	if err != nil {
		return err
	}
	attributes := permissionAttributes{
		Type: permissionType(g.audience), Permissions: make(map[string]ruleShape),
	}
	for _, rule := range g.rules {
		attributes.Permissions[rule.Title] = ruleShape{rule.Type, slices.Clone(rule.Verbs)}
	}
	res := resource{Type: "io.cozy.permissions", Links: &links{Self: "/permissions/"}}
	if g.app != nil {
		attributes.SourceID = "io.cozy." + appKey(g.slug, g.app.Konnector)
		attributes.Metadata = g.app.metadata()
		res.ID, res.Meta.Rev, res.Links.Self = g.app.id, g.app.rev, "/permissions/"+g.app.id
	}
	res.Attributes = attributes
	writeDocument(c.writer(), http.StatusOK, document{Data: res})
	return nil
}

func permissionType(a Audience) string {
	switch a {
	case AudienceKonnector:
		return "konnector"
	case AudienceOAuth:
		return "oauth"
	default:
		return string(a)
	}
}

func (a *installedApp) metadata() *permissionMetadata {
	const appVersion = "1.0.0"
	return &permissionMetadata{
		DoctypeVersion: "1", MetadataVersion: 1,
		CreatedAt: a.installed, CreatedByApp: a.Slug, CreatedByAppVer: appVersion,
		UpdatedAt: a.installed, UpdatedByApps: []versionStamp{{a.Slug, a.installed, appVersion}},
	}
}
