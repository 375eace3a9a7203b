package nextcloud

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"example.org/ncm/services/migrator/internal/transfer"
)

// propfind asks for what an entry is made of. No displayname: it is the name
// again, and a server may put control characters into it.
const propfind = `<?xml version="1.0" encoding="utf-8"?>
<d:propfind xmlns:d="DAV:" xmlns:oc="http://owncloud.org/ns" xmlns:nc="http://nextcloud.org/ns"><d:prop>` +
	`<d:resourcetype/><d:getcontentlength/><d:getlastmodified/><d:getetag/><d:getcontenttype/>` +
	`<oc:fileid/><oc:size/><oc:checksums/><oc:permissions/><oc:favorite/>` +
	`<nc:is-encrypted/><nc:creation_time/>` +
	`</d:prop></d:propfind>`

type propertyKey int

const (
	propertyOther propertyKey = iota
	propertyType
	propertyLength
	propertyModified
	propertyETag
	propertyMIME
	propertyFileID
	propertySize
	propertyChecksums
	propertyPermissions
	propertyFavorite
	propertyEncrypted
	propertyCreated
)

// property is the key of the property that a start tag begins.
func (t token) property() propertyKey {
	switch t.space {
	case spaceDAV:
		switch string(t.local) {
		case "resourcetype":
			return propertyType
		case "getcontentlength":
			return propertyLength
		case "getlastmodified":
			return propertyModified
		case "getetag":
			return propertyETag
		case "getcontenttype":
			return propertyMIME
		}
	case spaceOC:
		switch string(t.local) {
		case "fileid":
			return propertyFileID
		case "size":
			return propertySize
		case "checksums":
			return propertyChecksums
		case "permissions":
			return propertyPermissions
		case "favorite":
			return propertyFavorite
		}
	case spaceNC:
		switch string(t.local) {
		case "is-encrypted":
			return propertyEncrypted
		case "creation_time":
			return propertyCreated
		}
	}
	return propertyOther
}

// properties are those of one resource, as far as the server knows them.
type properties struct {
	collection  bool
	length      int64 // of a file; -1 unknown
	size        int64 // of a folder with all that is in it; -1 unknown
	modified    time.Time
	created     time.Time
	etag        string
	mime        string
	fileID      string
	checksums   string
	permissions string
	favorite    bool
	encrypted   bool
}

var unknown = properties{length: -1, size: -1}

func (p *properties) set(key propertyKey, text []byte) {
	switch key {
	case propertyLength:
		p.length = parseSize(text)
	case propertySize:
		p.size = parseSize(text)
	case propertyModified:
		p.modified = parseDate(string(text))
	case propertyCreated:
		if n, err := strconv.ParseInt(string(text), 10, 64); err == nil && n > 0 {
			p.created = time.Unix(n, 0).UTC()
		}
	case propertyETag:
		p.etag = cleanETag(string(text))
	case propertyMIME:
		p.mime = string(text)
	case propertyFileID:
		p.fileID = string(text)
	case propertyPermissions:
		p.permissions = string(text)
	case propertyFavorite:
		p.favorite = string(text) == "1"
	case propertyEncrypted:
		p.encrypted = string(text) == "1"
	}
}

func (p *properties) addChecksum(text []byte) {
	if p.checksums != "" {
		p.checksums += " "
	}
	p.checksums += string(text)
}

// absent tells a folder that the server answers for without having it. An
// external storage that is offline, another user's home and a login without
// access to files all look like empty folders, but for this.
func (p *properties) absent() bool {
	return p.etag == "" || p.fileID == "" || p.fileID == "-1"
}

// encryptedReason is said of folders that only the user's devices can read.
const encryptedReason = "The folder is end-to-end encrypted: only the user's own devices can read it."

func (p *properties) entry(name string) transfer.Entry {
	e := transfer.Entry{
		Name:        name,
		Folder:      p.collection,
		Size:        p.length,
		ModTime:     p.modified,
		CreatedAt:   p.created,
		ETag:        p.etag,
		SourceID:    p.fileID,
		MIME:        p.mime,
		Checksums:   p.checksums,
		Permissions: p.permissions,
		Favorite:    p.favorite,
	}
	if p.collection || p.length < 0 {
		e.Size = p.size
	}
	if p.collection && p.encrypted {
		e.SkipReason = encryptedReason
	}
	return e
}

func parseSize(text []byte) int64 {
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil || n < 0 {
		return -1
	}
	return n
}

func parseDate(text string) time.Time {
	t, err := http.ParseTime(text)
	if err != nil {
		return time.Time{}
	}
	return t
}

// cleanETag makes the tags of listings and downloads comparable: a proxy that
// compresses weakens the one, and some versions leave the quotes out.
func cleanETag(tag string) string {
	return strings.Trim(strings.TrimPrefix(tag, "W/"), `"`)
}
