package nextcloud

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"path"
	"strings"
	"unicode/utf8"
)

// All paths in here are decoded: escaping is done once, by net/url, when the
// request is sent. That keeps "%", "#", "?" and "+" in names what they are.

// davPath is where the homes of all users are.
const davPath = "/remote.php/dav/files/"

// filesPath is where the files of a user are below the address that the user
// gave, which may hold a sub-path.
func filesPath(base *url.URL, userID string) (string, error) {
	if err := checkName(userID); err != nil {
		return "", fmt.Errorf("user id: %w", err)
	}
	return path.Join("/", base.Path, davPath, userID), nil
}

func parseBase(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil {
		// The error of url.Parse repeats the address, and with it a password
		// that someone may have put there.
		return nil, errors.New("address of the nextcloud is not a URL")
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return nil, errors.New("address of the nextcloud is not http or https")
	case u.User != nil, u.RawQuery != "", u.Fragment != "":
		return nil, errors.New("address of the nextcloud holds more than host and path")
	}
	return u, nil
}

// cleanPath checks a path relative to a folder and takes the slashes around it
// away; "" stands for the folder itself.
func cleanPath(p string) (string, error) {
	p = strings.Trim(p, "/")
	if p == "" {
		return "", nil
	}
	for name := range strings.SplitSeq(p, "/") {
		if err := checkName(name); err != nil {
			return "", err
		}
	}
	return p, nil
}

// maxName is more than any Nextcloud stores, 250 characters, and less than breaks
// an index.
const maxName = 1024

// checkName refuses what would make a path mean something else, and what no
// database or target could keep.
func checkName(name string) error {
	switch {
	case name == "", name == ".", name == "..":
		return fmt.Errorf("%q is not a name", name)
	case strings.ContainsAny(name, "/\x00"):
		return errors.New("a name holds a slash or NUL")
	case len(name) > maxName:
		return fmt.Errorf("a name is longer than %d bytes", maxName)
	case !utf8.ValidString(name):
		return errors.New("a name is not UTF-8")
	}
	return nil
}

// depth is how many folders deep a clean path is.
func depth(p string) int {
	if p == "" {
		return 0
	}
	return strings.Count(p, "/") + 1
}

// sameOrigin compares what a browser would: scheme, host and port.
func sameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

func port(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}

// hrefs turns the addresses in the listing of one folder into names.
type hrefs struct {
	folder *url.URL // the folder as it was asked for
	self   string   // its path, without a slash at the end
	parent []byte   // how the server escapes it, once seen
}

func newHrefs(folder *url.URL) *hrefs {
	return &hrefs{folder: folder, self: strings.TrimSuffix(folder.Path, "/")}
}

// name gives the name of a direct child, "" for the folder itself, and an error
// for everything else.
func (h *hrefs) name(href []byte) (string, error) {
	raw, err := h.path(href)
	if err != nil {
		return "", err
	}
	raw = bytes.TrimSuffix(raw, []byte("/"))
	slash := bytes.LastIndexByte(raw, '/')
	if slash < 0 {
		return "", malformed("an address that is not absolute")
	}
	if len(h.parent) == 0 || !bytes.Equal(raw[:slash], h.parent) {
		if h.isSelf(raw) {
			return "", nil
		}
		if !h.isSelf(raw[:slash]) {
			return "", malformed("an address outside the folder")
		}
		h.parent = append(h.parent[:0], raw[:slash]...)
	}
	name, err := url.PathUnescape(string(raw[slash+1:]))
	if err != nil {
		return "", malformed("an address with wrong escapes")
	}
	if err := checkName(name); err != nil {
		return "", fmt.Errorf("%w: %w", errMalformed, err)
	}
	return name, nil
}

// below gives the path of what is below the folder, "" for the folder itself, and
// an error for everything else.
func (h *hrefs) below(href []byte) (string, error) {
	raw, err := h.path(href)
	if err != nil {
		return "", err
	}
	raw = bytes.TrimSuffix(raw, []byte("/"))
	decoded, err := url.PathUnescape(string(raw))
	if err != nil || strings.Count(decoded, "/") != bytes.Count(raw, []byte("/")) {
		return "", malformed("an address with wrong escapes")
	}
	rest, inside := strings.CutPrefix(decoded+"/", h.self+"/")
	if !inside {
		return "", malformed("an address outside the folder")
	}
	if rest = strings.TrimSuffix(rest, "/"); rest == "" {
		return "", nil
	}
	for name := range strings.SplitSeq(rest, "/") {
		if err := checkName(name); err != nil {
			return "", fmt.Errorf("%w: %w", errMalformed, err)
		}
	}
	return rest, nil
}

// path takes scheme and host off an absolute address.
func (h *hrefs) path(href []byte) ([]byte, error) {
	if bytes.ContainsAny(href, "?#") {
		return nil, malformed("an address with a query")
	}
	if len(href) > 0 && href[0] == '/' {
		return href, nil
	}
	u, err := url.Parse(string(href))
	if err != nil || u.User != nil || !sameOrigin(u, h.folder) {
		return nil, malformed("an address on another host")
	}
	return []byte(u.EscapedPath()), nil
}

func (h *hrefs) isSelf(raw []byte) bool {
	decoded, err := url.PathUnescape(string(raw))
	return err == nil && decoded == h.self
}
