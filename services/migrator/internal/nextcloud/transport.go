package nextcloud

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
)

const (
	// maxErrorBody is read of an answer that says no: enough for the reason,
	// and to leave the connection usable.
	maxErrorBody = 64 << 10
	maxRedirects = 5
)

// call is the RoundTripper of one request. It does what gowebdav and net/http
// don't: binds a context, keeps to the source's origin, gives up on silence and
// keeps the reason of a refusal.
type call struct {
	source   *Source
	root     bool      // the request is for the root of the migration
	watchdog *watchdog // holds the context, for which gowebdav has no place

	url    *url.URL    // the address that answered, after redirects
	header http.Header // of the answer, nil until there is one
	length int64       // of its body; -1 unknown
	framed bool        // the end of a body of unknown length is marked
	err    error       // classified; what net/http makes of it is not used
}

func (s *Source) newCall(ctx context.Context, root bool) *call {
	return &call{source: s, root: root, watchdog: watch(ctx, s.idle)}
}

// RoundTrip sends the request and lets nothing through but the success of its
// method.
func (c *call) RoundTrip(req *http.Request) (*http.Response, error) {
	select {
	case c.source.unanswered <- struct{}{}:
		defer func() { <-c.source.unanswered }()
	case <-c.watchdog.ctx.Done():
		return nil, c.fail(context.Cause(c.watchdog.ctx))
	}
	if refused := c.source.refused.Load(); refused != nil {
		c.err = refused
		return nil, refused
	}
	c.watchdog.arm()
	defer c.watchdog.disarm()
	resp, err := c.follow(req)
	if err != nil {
		return nil, c.fail(err)
	}
	if resp.StatusCode != successOf(req) {
		return nil, c.refuse(req.Method, resp)
	}
	if encoding := resp.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		// The length and the bytes would be those of the encoding, and
		// unpacking it could fill any memory.
		_ = resp.Body.Close()
		return nil, c.fail(errCut)
	}
	c.header, c.length = resp.Header, resp.ContentLength
	c.framed = resp.ContentLength >= 0 || resp.ProtoMajor > 1 || len(resp.TransferEncoding) > 0
	return resp, nil
}

func successOf(req *http.Request) int {
	switch {
	case req.Method == "PROPFIND":
		return http.StatusMultiStatus
	case req.Header.Get("Range") != "":
		return http.StatusPartialContent
	}
	return http.StatusOK
}

// follow sends the request, and again where the source sends it within its own
// origin. net/http would make a GET of a PROPFIND, and take the login along to
// another port.
func (c *call) follow(req *http.Request) (*http.Response, error) {
	target := *req.URL
	target.Scheme, target.Host = c.source.base.Scheme, c.source.base.Host
	c.url = &target
	for range maxRedirects {
		resp, err := c.send(req)
		if err != nil || !isRedirect(resp) {
			return resp, err
		}
		next, err := c.url.Parse(resp.Header.Get("Location"))
		drain(resp.Body)
		if err != nil || !sameOrigin(next, c.url) || !samePlace(next, c.url) {
			return nil, errRedirect
		}
		c.url = next
	}
	return nil, errRedirect
}

func (c *call) send(req *http.Request) (*http.Response, error) {
	out := req.Clone(c.watchdog.ctx)
	out.URL, out.Host = c.url, ""
	out.Header.Set("Accept-Encoding", "identity")
	if req.GetBody != nil {
		body, err := req.GetBody()
		if err != nil {
			return nil, err
		}
		out.Body = body
	}
	return c.source.http.RoundTrip(out)
}

func isRedirect(resp *http.Response) bool {
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return resp.Header.Get("Location") != ""
	}
	return false
}

// samePlace tells a redirect of the root (another sub-path, a slash more) from
// one to a page that has nothing to do with the file.
func samePlace(next, asked *url.URL) bool {
	i := strings.Index(asked.Path, davPath)
	return i >= 0 && next.RawQuery == "" &&
		strings.HasSuffix(strings.TrimSuffix(next.Path, "/"), strings.TrimSuffix(asked.Path[i:], "/"))
}

// refuse reads why the source said no.
func (c *call) refuse(method string, resp *http.Response) error {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	_ = resp.Body.Close()
	r := parseRefusal(resp.StatusCode, resp.Header, body)
	c.source.logger.DebugContext(c.watchdog.ctx, "source refused a request",
		slog.String("method", method), slog.String("path", c.url.Path),
		slog.Int("status", r.status), slog.String("exception", r.exception), slog.String("message", fmt.Sprintf("%.200s", r.message)))
	verdict := r.classify(c.root)
	c.source.remember(verdict)
	c.err = verdict
	return verdict
}

func (c *call) fail(err error) error {
	c.err = c.source.classify(c.watchdog.parent, c.root, c.watchdog.explain(err))
	return c.err
}

func drain(body io.ReadCloser) {
	_, _ = io.CopyN(io.Discard, body, maxErrorBody)
	_ = body.Close()
}
