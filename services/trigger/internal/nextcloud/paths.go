package nextcloud

import (
	"net/url"
	"path"
	"strings"
	"unicode/utf8"

	"example.org/ncm/pkg/egress"
)

// fileURL is the address of a path in a user's home; "" is the home itself. The
// path is escaped once, by net/url, whatever its names hold.
func fileURL(root *url.URL, userID, filePath string) (*url.URL, error) {
	filePath = strings.Trim(filePath, "/")
	if !isName(userID) || filePath != "" && !isPath(filePath) {
		return nil, unreachable("the path cannot be one of files", nil)
	}
	u := *root
	u.RawPath = ""
	u.Path = path.Join("/", root.Path, "remote.php/dav/files", userID) + "/" + filePath
	return &u, nil
}

// trashURL is the trashbin of a user.
func trashURL(root *url.URL, userID string) (*url.URL, error) {
	if !isName(userID) {
		return nil, unreachable("the user cannot have files", nil)
	}
	u := *root
	u.RawPath = ""
	u.Path = path.Join("/", root.Path, "remote.php/dav/trashbin", userID, "trash")
	return &u, nil
}

func isPath(p string) bool {
	for name := range strings.SplitSeq(p, "/") {
		if !isName(name) {
			return false
		}
	}
	return true
}

// isName refuses what would make a path mean something else.
func isName(name string) bool {
	return name != "" && name != "." && name != ".." &&
		!strings.ContainsAny(name, "/\x00") && utf8.ValidString(name)
}

// childOf gives the name that an address in the listing of a folder stands for:
// "" for the folder itself; ok is false for whatever is not directly in it.
func childOf(folder *url.URL, href string) (name string, ok bool) {
	raw, ok := pathOf(folder, href)
	if !ok {
		return "", false
	}
	self := strings.TrimSuffix(folder.Path, "/")
	raw = strings.TrimSuffix(raw, "/")
	if decoded, err := url.PathUnescape(raw); err == nil && decoded == self {
		return "", true
	}
	slash := strings.LastIndexByte(raw, '/')
	if slash < 0 {
		return "", false
	}
	parent, err := url.PathUnescape(raw[:slash])
	if err != nil || parent != self {
		return "", false
	}
	name, err = url.PathUnescape(raw[slash+1:])
	return name, err == nil && isName(name)
}

// pathOf takes scheme and host off an address, if they are those of the folder.
func pathOf(folder *url.URL, href string) (string, bool) {
	if strings.ContainsAny(href, "?#") || strings.HasPrefix(href, "//") {
		return "", false
	}
	if strings.HasPrefix(href, "/") {
		return href, true
	}
	u, err := url.Parse(href)
	if err != nil || u.User != nil || !egress.SameOrigin(u, folder) {
		return "", false
	}
	return u.EscapedPath(), true
}
