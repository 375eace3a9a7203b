package cozy

import (
	"context"
	"net/http"
	"slices"
	"strings"
)

// Permission is one rule of what a token may do.
type Permission struct {
	Type     string   `json:"type"`  // a doctype, or all below one: io.cozy.bank.*
	Verbs    []string `json:"verbs"` // empty: all
	Selector string   `json:"selector"`
	Values   []string `json:"values"`
}

// Permissions gives the rules of a caller's own token. IsTokenRefused tells a
// token that is not one of this instance.
func (i *Instance) Permissions(ctx context.Context, bearer string) ([]Permission, error) {
	if _, err := checkToken(bearer); err != nil {
		return nil, &Error{Op: opPermissions, Status: http.StatusUnauthorized, kind: kindTokenFault}
	}
	return i.permissions(ctx, bearer)
}

const opPermissions = "read permissions"

func (i *Instance) permissions(ctx context.Context, bearer string) ([]Permission, error) {
	var answer struct {
		Data struct {
			Attributes struct {
				Permissions map[string]Permission `json:"permissions"`
			} `json:"attributes"`
		} `json:"data"`
	}
	c := call{op: opPermissions, method: http.MethodGet, path: "/permissions/self", bearer: bearer, most: maxFiles}
	if err := i.do(ctx, c, &answer); err != nil {
		return nil, err
	}
	rules := make([]Permission, 0, len(answer.Data.Attributes.Permissions))
	for _, rule := range answer.Data.Attributes.Permissions {
		rules = append(rules, rule)
	}
	return rules, nil
}

// AllowsType says whether the rules grant a verb ("POST") on a whole doctype, as
// the stack decides it: a rule that is limited to some values does not.
func AllowsType(rules []Permission, verb, doctype string) bool {
	return slices.ContainsFunc(rules, func(p Permission) bool {
		return len(p.Values) == 0 && p.Selector == "" && p.covers(doctype) && p.allows(verb)
	})
}

func (p Permission) covers(doctype string) bool {
	if p.Type == doctype {
		return true
	}
	parent, ok := strings.CutSuffix(p.Type, ".*")
	return ok && parent != "" && (doctype == parent || strings.HasPrefix(doctype, parent+"."))
}

func (p Permission) allows(verb string) bool {
	return len(p.Verbs) == 0 || slices.Contains(p.Verbs, verb) || slices.Contains(p.Verbs, "ALL")
}

// OwnPermissions gives the rules of the token that this client uses itself.
func (i *Instance) OwnPermissions(ctx context.Context) ([]Permission, error) {
	return i.permissions(ctx, "")
}
