package cozy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// maxToken bounds the answer of an issuer, in bytes.
const maxToken = 64 << 10

// issueTimeout bounds one request for a token.
const issueTimeout = 30 * time.Second

const opToken = "fetch token"

// subject is the application in whose name the services act: only the token of
// an application opens the credentials of an account.
const (
	audience = "app"
	subject  = "settings"
)

// NewCloudery is a source that asks the Cloudery. Its tokens are not cached:
// wrap it in Cached.
func NewCloudery(client *http.Client, baseURL, bearer, scope string) TokenSource {
	return &cloudery{
		http:   withoutRedirects(client),
		base:   strings.TrimRight(baseURL, "/"),
		bearer: bearer,
		scope:  scope,
	}
}

type cloudery struct {
	http                *http.Client
	base, bearer, scope string
}

func (c *cloudery) Token(ctx context.Context, host, _ string) (string, error) {
	body, err := json.Marshal(map[string]string{"audience": audience, "scope": c.scope, "subject": subject})
	if err != nil {
		return "", fmt.Errorf("%s: %w", opToken, err)
	}
	target := c.base + "/api/public/instances/" + url.PathEscape(host) + "/token"
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return "", fmt.Errorf("%s: %w", opToken, withoutURL(err))
	}
	req.Header.Set("Authorization", "Bearer "+c.bearer)
	req.Header.Set("Content-Type", "application/json")
	answer, err := issue(ctx, c.http, req)
	if err != nil {
		return "", err
	}
	var issued struct {
		Token string `json:"token"`
	}
	if json.Unmarshal(answer, &issued) != nil {
		// The decoder's own words may quote the token.
		return "", fmt.Errorf("%s: %w: not JSON", opToken, ErrAnswer)
	}
	return checkToken(issued.Token)
}

// NewAdmin is a source that asks the stack's admin API. Its tokens live half an
// hour and are not cached: wrap it in Cached.
func NewAdmin(client *http.Client, baseURL, user, password, scope string) TokenSource {
	return &admin{
		http:     withoutRedirects(client),
		base:     strings.TrimRight(baseURL, "/"),
		user:     user,
		password: password,
		scope:    scope,
	}
}

type admin struct {
	http                        *http.Client
	base, user, password, scope string
}

func (a *admin) Token(ctx context.Context, host, _ string) (string, error) {
	// No Expire: the stack counts it back from 24 hours, and holds a token without a
	// session to 30 minutes, so that one asked for half an hour would be born expired.
	query := url.Values{
		"Domain":   {host},
		"Audience": {audience},
		"Scope":    {a.scope},
		"Subject":  {subject},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.base+"/instances/token?"+query.Encode(), http.NoBody)
	if err != nil {
		return "", fmt.Errorf("%s: %w", opToken, withoutURL(err))
	}
	req.SetBasicAuth(a.user, a.password)
	answer, err := issue(ctx, a.http, req)
	if err != nil {
		return "", err
	}
	return checkToken(strings.TrimSpace(string(answer)))
}

// issue sends a request for a token and gives the body of a success.
func issue(ctx context.Context, client *http.Client, req *http.Request) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, issueTimeout)
	defer cancel()
	res, err := client.Do(req.WithContext(ctx))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", opToken, withoutURL(err))
	}
	defer res.Body.Close()
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return nil, issuerFault(res)
	}
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxToken+1))
	if err != nil {
		return nil, fmt.Errorf("%s: read answer: %w", opToken, err)
	}
	if len(answer) > maxToken {
		return nil, fmt.Errorf("%s: %w: more than %d bytes", opToken, ErrAnswer, maxToken)
	}
	return answer, nil
}

// issuerFault reads an issuer's refusal. Its 401 is about the service's own
// credentials, not about a token of the instance; its well-formed 404 says that
// there is no such instance.
func issuerFault(res *http.Response) *Error {
	e := readFault(opToken, res)
	switch e.kind {
	case kindAbsent, kindInstanceGone:
		e.kind = kindInstanceGone
	default:
		e.kind = kindOther
	}
	return e
}

var errNoToken = errors.New("no token in it")

// checkToken refuses what can't be sent in a header.
func checkToken(token string) (string, error) {
	if token == "" {
		return "", fmt.Errorf("%s: %w: %w", opToken, ErrAnswer, errNoToken)
	}
	for _, b := range []byte(token) {
		if b <= ' ' || b >= 0x7f {
			return "", fmt.Errorf("%s: %w: %w", opToken, ErrAnswer, errNoToken)
		}
	}
	return token, nil
}
