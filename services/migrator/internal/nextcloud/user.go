package nextcloud

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
)

// maxUser is what is read of an answer about a user; an honest one has a kilobyte.
const maxUser = 1 << 20

// UserID asks who a login is: WebDAV paths go by that id, and a login may be an
// e-mail address or another of the user's names. c.UserID is not needed. Errors
// are classified as those of a Source.
func UserID(ctx context.Context, c Config) (string, error) {
	source, err := New(c)
	if err != nil {
		return "", err
	}
	call := source.newCall(ctx, true)
	defer call.watchdog.release()
	address := url.URL{Path: path.Join("/", source.base.Path, "ocs/v2.php/cloud/user")}
	req, err := http.NewRequestWithContext(call.watchdog.ctx, http.MethodGet, placeholder+address.EscapedPath(), http.NoBody) //nolint:contextcheck // the watchdog holds the caller's
	if err != nil {
		return "", call.failed()
	}
	req.Header.Set("OCS-APIRequest", "true")
	req.Header.Set("Accept", "application/json")
	if err := source.auth.Authorize(nil, req, ""); err != nil {
		return "", call.fail(err)
	}
	resp, err := call.RoundTrip(req) //nolint:bodyclose // the body closes it
	if err != nil {
		return "", err
	}
	body := call.body(resp.Body)
	defer body.Close()
	var answer struct {
		OCS struct {
			Data struct {
				ID string `json:"id"`
			} `json:"data"`
		} `json:"ocs"`
	}
	err = json.NewDecoder(io.LimitReader(body, maxUser)).Decode(&answer)
	switch {
	case err != nil:
		return "", call.fail(fmt.Errorf("%w: %w", errCut, err))
	case answer.OCS.Data.ID == "":
		return "", call.fail(errors.New("no user in the answer"))
	}
	return answer.OCS.Data.ID, nil
}
