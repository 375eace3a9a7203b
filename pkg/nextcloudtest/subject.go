package nextcloudtest

import (
	"strings"
)

// subject is an entry while its properties are written.
type subject struct {
	entry
	req    *request
	totals *totals
	meta   meta
	mount  Mount
	// what the entry is in its mount and in the answer
	mounted, mountRoot bool
	self               bool // the folder that was asked for, with its children
	blank              bool // a home or storage that cannot be seen now
}

func (x *subject) fileID() int64 {
	if x.blank {
		return -1
	}
	return x.req.home.fileID(x.entry)
}

// total is oc:size: of a file its size, of a folder all that is below.
func (x *subject) total() int64 {
	switch {
	case x.blank:
		return 0
	case x.dir && x.mounted && x.mount.Unscanned:
		return -1
	case x.dir:
		return x.totals.of(x.entry).size
	default:
		return x.size
	}
}

func (x *subject) etag() string {
	switch {
	case x.blank:
		return ""
	case x.dir:
		return folderETag(x.totals.of(x.entry).print + x.meta.bump)
	default:
		return fileETag(x.entry, x.meta)
	}
}

func (x *subject) owner() *account {
	if x.mount.Owner != "" {
		if a, err := x.req.server.account(x.mount.Owner); err == nil {
			return a
		}
	}
	return x.req.session.account
}

// permissions are by default those of an owner, with the letters of the mount.
func (x *subject) permissions() string {
	if x.meta.permissions != "" {
		return x.meta.permissions
	}
	if x.rule != nil && x.rule.closed && !x.dir {
		return "RDNVW"
	}
	rights := "GDNVW"
	if x.dir {
		rights = "GDNVCK"
	}
	switch x.mount.Type {
	case MountShared:
		return "SR" + rights
	case MountGroup:
		return "RM" + rights
	case MountExternal:
		if x.mountRoot {
			rights = strings.Replace(rights, "D", "", 1)
		}
		return "M" + rights
	default:
		return "R" + rights
	}
}

// fileETag is what the server calls the content: 32 digits without quotes.
func fileETag(e entry, m meta) string {
	a := fingerprint(e) + mix(m.bump)
	b := hexDigits(a)
	c := hexDigits(mix(a + 1))
	return string(b[:]) + string(c[:])
}

// folderETag has 13 digits, as PHP's uniqid has.
func folderETag(print uint64) string {
	b := hexDigits(mix(print))
	return string(b[:13])
}

func hexDigits(x uint64) (b [16]byte) {
	for i := range b {
		b[i] = lowerHex[x>>(4*i)&15]
	}
	return b
}
