package nextcloud

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/pkg/egress"
)

// Exchange implements request.Passwords. A Nextcloud names a session after the
// client that asked for it.
func (l *Logins) Exchange(ctx context.Context, instance string, account contract.AccountAuth) (string, error) {
	req, err := l.ocs(ctx, account, http.MethodGet, "core/getapppassword")
	if err != nil {
		return "", err
	}
	req.Header.Set("User-Agent", "Migration to "+instance)
	res, err := l.config.Client.Do(req) //nolint:bodyclose // egress.Drain closes it
	if err != nil {
		return "", noAnswer(err)
	}
	defer egress.Drain(res.Body)
	switch res.StatusCode {
	case http.StatusOK:
	case http.StatusUnauthorized:
		return "", badCredentials(res.Body)
	case http.StatusForbidden:
		return "", nil // it is an app password
	default:
		return "", unreachable(fmt.Sprintf("unexpected status %d from nextcloud getapppassword", res.StatusCode), nil)
	}
	var answer struct {
		OCS struct {
			Data struct {
				Password string `json:"apppassword"`
			} `json:"data"`
		} `json:"ocs"`
	}
	err = json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(&answer)
	if err != nil || answer.OCS.Data.Password == "" {
		return "", unreachable("no app password in the answer", nil)
	}
	return answer.OCS.Data.Password, nil
}

// GiveBack implements request.Passwords.
func (l *Logins) GiveBack(ctx context.Context, account contract.AccountAuth) error {
	req, err := l.ocs(ctx, account, http.MethodDelete, "core/apppassword")
	if err != nil {
		return err
	}
	res, err := l.config.Client.Do(req) //nolint:bodyclose // egress.Drain closes it
	if err != nil {
		return noAnswer(err)
	}
	defer egress.Drain(res.Body)
	switch res.StatusCode {
	case http.StatusOK, http.StatusUnauthorized:
		return nil
	}
	return unreachable(fmt.Sprintf("unexpected status %d from nextcloud apppassword", res.StatusCode), nil)
}
