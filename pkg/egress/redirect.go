package egress

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

const (
	maxRedirects = 5

	// MaxErrorBody is how much of an error's body is worth reading to keep its
	// connection.
	MaxErrorBody = 64 << 10
)

// ErrRedirect means that an answer led to another origin, or round and round.
var ErrRedirect = errors.New("redirect refused")

// CheckRedirect is for http.Client: it follows a few redirects, and only to the
// scheme, host and port of the first request, where its credentials belong.
func CheckRedirect(req *http.Request, via []*http.Request) error {
	switch {
	case len(via) > maxRedirects:
		return fmt.Errorf("%w: more than %d", ErrRedirect, maxRedirects)
	case len(via) > 0 && !SameOrigin(via[0].URL, req.URL):
		return fmt.Errorf("%w: to another origin", ErrRedirect)
	}
	return nil
}

// SameOrigin says whether two URLs have the same scheme, host and port.
func SameOrigin(a, b *url.URL) bool {
	return strings.EqualFold(a.Scheme, b.Scheme) &&
		strings.EqualFold(a.Hostname(), b.Hostname()) &&
		port(a) == port(b)
}

func port(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case strings.EqualFold(u.Scheme, "https"):
		return "443"
	default:
		return "80"
	}
}

// Drain reads what is left of a body, at most MaxErrorBody bytes, and closes it:
// a body closed before its end costs the connection.
func Drain(body io.ReadCloser) {
	_, _ = io.CopyN(io.Discard, body, MaxErrorBody)
	_ = body.Close()
}
