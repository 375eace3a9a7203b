package nextcloud

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/studio-b12/gowebdav"
)

// placeholder is the origin that gowebdav is given. It escapes its whole root,
// and so breaks IPv6 literals; the call puts the true origin in.
const placeholder = "http://source"

// basicAuth sends the login with the first request. It never asks for a second
// attempt: refused logins are counted by the source, against all our pods.
type basicAuth struct {
	login, password string
}

var _ gowebdav.Authenticator = basicAuth{}

// Authorize puts the login on a request.
func (a basicAuth) Authorize(_ *http.Client, req *http.Request, _ string) error {
	req.SetBasicAuth(a.login, a.password)
	return nil
}

// Verify leaves every answer to the call that sent the request.
func (a basicAuth) Verify(*http.Client, *http.Response, string) (redo bool, err error) {
	return false, nil
}

// Clone gives the same again: there is no state.
func (a basicAuth) Clone() gowebdav.Authenticator { return a }

// Close has nothing to close.
func (a basicAuth) Close() error { return nil }

// String keeps the password out of whatever prints an Authenticator.
func (a basicAuth) String() string { return "basic auth ***" }

// client is a gowebdav client that sends its one request through the call.
func (c *call) client() *gowebdav.Client {
	client := gowebdav.NewAuthClient(placeholder+c.source.files, gowebdav.NewPreemptiveAuth(c.source.auth))
	client.SetTransport(c)
	return client
}

// get starts to read a file.
func (c *call) get(resource string) (*body, error) {
	stream, err := c.client().ReadStream(resource)
	if err != nil {
		return nil, c.failed()
	}
	b := c.body(stream)
	err = b.measure()
	if err == nil && c.isPage() {
		err = c.fail(pageError(b.size))
	}
	if err != nil {
		_ = b.Close()
		return nil, err
	}
	return b, nil
}

// pageError is about a page in place of a file. An empty one stands for a folder:
// a file that a folder has replaced must not be copied as an empty one. Any other
// is of something before the Nextcloud that wants a login, or of an old version.
func pageError(size int64) error {
	if size == 0 {
		return statusError(http.StatusNotFound)
	}
	return fmt.Errorf("%w: a page in place of a file", errCut)
}

// isPage tells a page from a file, which has an ETag or a date whatever its kind.
func (c *call) isPage() bool {
	return c.header.Get("ETag") == "" && c.header.Get("OC-ETag") == "" && c.header.Get("Last-Modified") == "" &&
		strings.HasPrefix(c.header.Get("Content-Type"), "text/html")
}

// propfind asks for the properties of a resource. It goes past gowebdav, whose
// answer to it can't be trusted, but through the same call.
func (c *call) propfind(resource, depth string) (*body, error) {
	address := url.URL{Path: gowebdav.Join(c.source.files, resource)}
	if depth != "0" {
		address.Path = gowebdav.FixSlash(address.Path)
	}
	req, err := http.NewRequestWithContext(c.watchdog.ctx, "PROPFIND", placeholder+address.EscapedPath(), strings.NewReader(c.source.propfind))
	if err != nil {
		return nil, c.failed()
	}
	req.Header.Set("Depth", depth)
	req.Header.Set("Content-Type", "application/xml; charset=utf-8")
	if err := c.source.auth.Authorize(nil, req, ""); err != nil {
		return nil, c.fail(err)
	}
	resp, err := c.RoundTrip(req) //nolint:bodyclose // the body closes it
	if err != nil {
		return nil, err
	}
	return c.body(resp.Body), nil
}

// failed is the error of a request that gowebdav reports as failed. Its own
// error repeats the address, which names the file.
func (c *call) failed() error {
	if c.err != nil {
		return c.err
	}
	return c.fail(errors.New("request was not sent"))
}
