// Package nextcloud speaks with the Nextcloud that a user typed: it checks the
// login by one OCS request, and looks at files and deletes them by WebDAV.
package nextcloud

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/pkg/egress"
	"example.org/ncm/services/trigger/internal/request"
)

// maxAnswer is what is read of an answer; an honest one has about a kilobyte.
const maxAnswer = 1 << 20

// statusUnauthorized is what OCS calls a refused login in its own words.
const statusUnauthorized = 997

// Config says how a Nextcloud may be reached.
type Config struct {
	// Client must follow no redirect to another origin and reach no address
	// that users must not reach.
	Client *http.Client
	// AllowHTTP lets passwords travel in clear text, for development.
	AllowHTTP bool
}

// Logins checks logins and exchanges their passwords. It is safe for concurrent use.
type Logins struct {
	config Config
}

var (
	_ request.Logins    = (*Logins)(nil)
	_ request.Passwords = (*Logins)(nil)
)

// New returns a checker.
func New(config Config) *Logins { return &Logins{config: config} }

// Check implements request.Logins. The id is empty when the Nextcloud accepts
// the login without naming the user.
func (l *Logins) Check(ctx context.Context, account contract.AccountAuth) (userID string, err error) {
	req, err := l.ocs(ctx, account, http.MethodGet, "cloud/user")
	if err != nil {
		return "", err
	}
	res, err := l.config.Client.Do(req) //nolint:bodyclose // egress.Drain closes it
	if err != nil {
		return "", noAnswer(err)
	}
	defer egress.Drain(res.Body)
	switch res.StatusCode {
	case http.StatusOK:
		return readUser(res.Body)
	case http.StatusUnauthorized, http.StatusForbidden:
		return "", badCredentials(res.Body)
	case http.StatusTooManyRequests:
		return "", throttled()
	case http.StatusServiceUnavailable:
		if res.Header.Get("X-Nextcloud-Maintenance-Mode") == "1" {
			return "", unreachable("it is in maintenance, please retry when it is back", nil)
		}
	}
	return "", unreachable(fmt.Sprintf("unexpected status %d from nextcloud cloud/user probe", res.StatusCode), nil)
}

// ocs is a request to the API that is not about files.
func (l *Logins) ocs(ctx context.Context, account contract.AccountAuth, method, route string) (*http.Request, error) {
	root, err := rootOf(account, l.config.AllowHTTP)
	if err != nil {
		return nil, err
	}
	target := root.JoinPath("ocs/v2.php", route).String()
	req, err := http.NewRequestWithContext(ctx, method, target, http.NoBody)
	if err != nil {
		return nil, unreachable("the address is not a URL", nil)
	}
	req.SetBasicAuth(account.Login, account.Password)
	req.Header.Set("OCS-APIRequest", "true")
	req.Header.Set("Accept", "application/json")
	return req, nil
}

// rootOf is the address of the Nextcloud itself. The parser's words are dropped:
// they quote the URL, and with it a password that may have been typed into it.
func rootOf(account contract.AccountAuth, allowHTTP bool) (*url.URL, error) {
	root, err := url.Parse(account.URL)
	switch {
	case err != nil:
		return nil, unreachable("the address is not a URL", nil)
	case root.Hostname() == "" || root.User != nil || root.RawQuery != "" || root.Fragment != "":
		return nil, unreachable("invalid NextCloud account", nil)
	case root.Scheme == "http" && !allowHTTP:
		return nil, unreachable("the address has to begin with https://", nil)
	case root.Scheme != "http" && root.Scheme != "https":
		return nil, unreachable("unsupported protocol scheme", nil)
	}
	return root, nil
}

// readUser reads the id out of an OCS answer. It takes data apart on its own,
// because OCS writes an empty object as an empty array.
func readUser(body io.Reader) (string, error) {
	var answer struct {
		OCS *struct {
			Meta struct {
				StatusCode int `json:"statuscode"`
			} `json:"meta"`
			Data json.RawMessage `json:"data"`
		} `json:"ocs"`
	}
	content, err := io.ReadAll(io.LimitReader(body, maxAnswer))
	if err != nil {
		return "", noAnswer(err)
	}
	if json.Unmarshal(content, &answer) != nil || answer.OCS == nil {
		return "", unreachable("the address is not the one of a Nextcloud", nil)
	}
	if answer.OCS.Meta.StatusCode == statusUnauthorized {
		return "", badCredentials(bytes.NewReader(content))
	}
	var user struct {
		ID string `json:"id"`
	}
	_ = json.Unmarshal(answer.OCS.Data, &user) // a user without a readable id has none
	return user.ID, nil
}

// How a Nextcloud refuses a right login password where it wants a second factor
// or app passwords only: in OCS, and in WebDAV.
const (
	saidByOCS = "Current user is not logged in"
	saidByDAV = "PasswordLoginForbidden"
)

// badCredentials reads the refusal, of which only two sayings have a meaning. Its
// first words are the stack's in any case, clients know them.
func badCredentials(refusal io.Reader) error {
	const message = "nextcloud credentials are invalid"
	said, err := io.ReadAll(io.LimitReader(refusal, egress.MaxErrorBody))
	refused := &request.Error{Code: request.CodeBadCredentials, Message: message}
	if err == nil && (bytes.Contains(said, []byte(saidByOCS)) || bytes.Contains(said, []byte(saidByDAV))) {
		refused.Message += ": this nextcloud does not accept login passwords here, please create an app password in its security settings"
	}
	return refused
}

// throttled is about every login from our address, also right ones: it says
// nothing about this one.
func throttled() error {
	return unreachable("it refuses logins for now because of too many attempts, please retry in half an hour", nil)
}

// noAnswer has one wording for closed, filtered, forbidden and unknown hosts,
// so that nobody can explore a network by asking.
func noAnswer(cause error) error {
	if errors.Is(cause, egress.ErrRedirect) {
		return unreachable("the server redirects elsewhere", cause)
	}
	return unreachable("the server does not answer", cause)
}

// unreachable doubles its beginning as the stack does, whose wording clients
// know.
func unreachable(why string, cause error) error {
	return &request.Error{
		Code:    request.CodeUnreachable,
		Message: "nextcloud unreachable: nextcloud unreachable: " + why,
		Cause:   cause,
	}
}
