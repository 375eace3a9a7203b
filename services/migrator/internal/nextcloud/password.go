package nextcloud

import (
	"context"
	"net/http"
	"net/url"
	"path"
)

// GiveBack ends the app password that c logs in with. An error of a class other than
// Again says that it has ended already, or that it can't be done. c.UserID and c.Root
// are not needed.
func GiveBack(ctx context.Context, c Config) error {
	source, err := New(c)
	if err != nil {
		return err
	}
	call := source.newCall(ctx, true)
	defer call.watchdog.release()
	address := url.URL{Path: path.Join("/", source.base.Path, "ocs/v2.php/core/apppassword")}
	req, err := http.NewRequestWithContext(call.watchdog.ctx, http.MethodDelete, placeholder+address.EscapedPath(), http.NoBody) //nolint:contextcheck // the watchdog holds the caller's
	if err != nil {
		return call.failed()
	}
	req.Header.Set("OCS-APIRequest", "true")
	req.Header.Set("Accept", "application/json")
	if err := source.auth.Authorize(nil, req, ""); err != nil {
		return call.fail(err)
	}
	resp, err := call.RoundTrip(req) //nolint:bodyclose // drain closes it
	if err != nil {
		return err
	}
	drain(call.body(resp.Body))
	return nil
}
