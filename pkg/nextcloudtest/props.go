package nextcloudtest

import (
	"encoding/xml"
	"strconv"
	"strings"
	"time"
)

const (
	nsDAV   = "DAV:"
	nsOwn   = "http://owncloud.org/ns"
	nsNext  = "http://nextcloud.org/ns"
	nsSabre = "http://sabredav.org/ns"
)

// instanceID ends every oc:id of a server.
const instanceID = "ocsimulated1"

// property appends the inner XML of a property; false: the entry has none.
type property func(b []byte, x *subject) ([]byte, bool)

// properties by name. Whatever is not in here is 404, as on the server.
func properties() map[xml.Name]property {
	table := make(map[xml.Name]property, 48)
	for ns, props := range map[string]map[string]property{
		nsDAV: davProperties(), nsOwn: ownProperties(), nsNext: nextProperties(),
	} {
		for local, p := range props {
			table[xml.Name{Space: ns, Local: local}] = p
		}
	}
	return table
}

func davProperties() map[string]property {
	return map[string]property{
		"getlastmodified": func(b []byte, x *subject) ([]byte, bool) {
			return x.mtime.UTC().AppendFormat(b, httpTime), true
		},
		"getetag": func(b []byte, x *subject) ([]byte, bool) {
			b = append(b, "&quot;"...)
			b = append(b, x.etag()...)
			return append(b, "&quot;"...), true
		},
		"getcontentlength": onFiles(func(b []byte, x *subject) []byte { return strconv.AppendInt(b, x.size, 10) }),
		"getcontenttype":   onFiles(func(b []byte, x *subject) []byte { return append(b, contentType(x.name())...) }),
		"resourcetype": func(b []byte, x *subject) ([]byte, bool) {
			if x.dir {
				b = append(b, "<d:collection/>"...)
			}
			return b, true
		},
		"creationdate": func(b []byte, x *subject) ([]byte, bool) {
			created := x.meta.created
			if created.IsZero() {
				created = time.Unix(0, 0)
			}
			return created.UTC().AppendFormat(b, "2006-01-02T15:04:05+00:00"), true
		},
		"displayname": func(b []byte, x *subject) ([]byte, bool) {
			if x.path == "" {
				return appendText(b, x.req.session.account.user.ID), true
			}
			return appendText(b, x.name()), true
		},
		"quota-used-bytes": onFolders(func(b []byte, x *subject) []byte {
			return strconv.AppendInt(b, max(x.total(), 0), 10)
		}),
		"quota-available-bytes": onFolders(func(b []byte, x *subject) []byte {
			quota := x.req.session.account.user.Quota
			if quota == 0 {
				return append(b, "-3"...)
			}
			home := x.totals.of(entry{dir: true})
			return strconv.AppendInt(b, max(quota-home.size, 0), 10)
		}),
	}
}

func ownProperties() map[string]property {
	return map[string]property{
		"fileid": func(b []byte, x *subject) ([]byte, bool) { return strconv.AppendInt(b, x.fileID(), 10), true },
		"id": func(b []byte, x *subject) ([]byte, bool) {
			return append(b, fullID(x.fileID())...), true
		},
		"size": func(b []byte, x *subject) ([]byte, bool) { return strconv.AppendInt(b, x.total(), 10), true },
		"checksums": onFiles(func(b []byte, x *subject) []byte {
			for _, sum := range strings.Fields(x.req.home.checksum(x.entry, x.meta)) {
				b = append(append(append(b, "<oc:checksum>"...), appendText(nil, sum)...), "</oc:checksum>"...)
			}
			return b
		}).unlessEmpty(),
		"permissions": func(b []byte, x *subject) ([]byte, bool) { return append(b, x.permissions()...), true },
		"favorite":    func(b []byte, x *subject) ([]byte, bool) { return appendBit(b, x.meta.favorite), true },
		"tags": func(b []byte, x *subject) ([]byte, bool) {
			for _, tag := range x.meta.tags {
				b = append(appendText(append(b, "<oc:tag>"...), tag), "</oc:tag>"...)
			}
			return b, true
		},
		"owner-id":           func(b []byte, x *subject) ([]byte, bool) { return appendText(b, x.owner().user.ID), true },
		"owner-display-name": func(b []byte, x *subject) ([]byte, bool) { return appendText(b, x.owner().displayName()), true },
		"share-types":        empty,
		"downloadURL":        onFiles(func(b []byte, _ *subject) []byte { return b }),
	}
}

func nextProperties() map[string]property {
	return map[string]property{
		"is-encrypted": func(b []byte, x *subject) ([]byte, bool) {
			return append(b, '1'), x.dir && x.meta.encrypted
		},
		"mount-type": func(b []byte, x *subject) ([]byte, bool) { return append(b, x.mount.Type...), true },
		"creation_time": func(b []byte, x *subject) ([]byte, bool) {
			return appendUnix(b, x.meta.created), true
		},
		"upload_time": onFiles(func(b []byte, x *subject) []byte {
			if x.meta.uploaded.IsZero() {
				return appendUnix(b, x.req.server.started)
			}
			return appendUnix(b, x.meta.uploaded)
		}),
		"has-preview": func(b []byte, x *subject) ([]byte, bool) {
			return strconv.AppendBool(b, !x.dir && hasPreview(x.name(), x.size)), true
		},
		"contained-folder-count": onFolders(func(b []byte, x *subject) []byte { return appendCount(b, x, true) }),
		"contained-file-count":   onFolders(func(b []byte, x *subject) []byte { return appendCount(b, x, false) }),
		"is-mount-root":          func(b []byte, x *subject) ([]byte, bool) { return strconv.AppendBool(b, x.mountRoot), true },
		"hidden":                 func(b []byte, _ *subject) ([]byte, bool) { return append(b, "false"...), true },
		"sharees":                empty,
		"note":                   func(b []byte, x *subject) ([]byte, bool) { return b, x.mount.Type == MountShared },
		"lock":                   func(b []byte, x *subject) ([]byte, bool) { return appendLock(b, x), !x.self },
		"lock-owner": func(b []byte, x *subject) ([]byte, bool) {
			return appendText(b, x.meta.lock.Owner), x.meta.lock.Owner != ""
		},
		"acl-enabled": func(b []byte, x *subject) ([]byte, bool) { return b, x.mount.Type == MountGroup },
		"group-folder-id": func(b []byte, x *subject) ([]byte, bool) {
			return strconv.AppendInt(b, x.mount.id, 10), x.mount.Type == MountGroup
		},
		"system-tags": func(b []byte, x *subject) ([]byte, bool) {
			for _, tag := range x.meta.tags {
				b = append(appendText(append(b, "<nc:system-tag>"...), tag), "</nc:system-tag>"...)
			}
			return b, true
		},
	}
}

const httpTime = "Mon, 02 Jan 2006 15:04:05 GMT"

func empty(b []byte, _ *subject) ([]byte, bool) { return b, true }

func onFiles(f func([]byte, *subject) []byte) property {
	return func(b []byte, x *subject) ([]byte, bool) {
		if x.dir {
			return b, false
		}
		return f(b, x), true
	}
}

func onFolders(f func([]byte, *subject) []byte) property {
	return func(b []byte, x *subject) ([]byte, bool) {
		if !x.dir {
			return b, false
		}
		return f(b, x), true
	}
}

// unlessEmpty makes a property without a value one that is missing.
func (p property) unlessEmpty() property {
	return func(b []byte, x *subject) ([]byte, bool) {
		n := len(b)
		b, ok := p(b, x)
		return b, ok && len(b) > n
	}
}

func appendBit(b []byte, on bool) []byte {
	if on {
		return append(b, '1')
	}
	return append(b, '0')
}

func appendUnix(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(b, '0')
	}
	return strconv.AppendInt(b, t.Unix(), 10)
}

func appendLock(b []byte, x *subject) []byte {
	if x.meta.lock.Owner != "" {
		return append(b, '1')
	}
	return b
}

func appendCount(b []byte, x *subject, dirs bool) []byte {
	n := int64(0)
	for e, err := range x.req.home.children(x.entry) {
		if err == nil && e.dir == dirs {
			n++
		}
	}
	return strconv.AppendInt(b, n, 10)
}

func fullID(id int64) string {
	digits := strconv.FormatInt(id, 10)
	return "00000000"[:max(8-len(digits), 0)] + digits + instanceID
}
