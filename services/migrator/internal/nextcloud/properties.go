package nextcloud

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"example.org/ncm/services/migrator/internal/transfer"
)

// propfind asks for what an entry is made of. No displayname: it is the name
// again, and a server may put control characters into it. Marks that are not kept
// are not asked for: some versions look the tags of each file up on their own.
func propfind(c Config) string {
	body := `<?xml version="1.0" encoding="utf-8"?>
<d:propfind xmlns:d="DAV:" xmlns:oc="http://owncloud.org/ns" xmlns:nc="http://nextcloud.org/ns"><d:prop>` +
		`<d:resourcetype/><d:getcontentlength/><d:getlastmodified/><d:getetag/><d:getcontenttype/>` +
		`<oc:fileid/><oc:size/><oc:checksums/><oc:permissions/>` +
		`<nc:is-encrypted/><nc:creation_time/><nc:mount-type/>`
	if !c.NoFavorites {
		body += `<oc:favorite/>`
	}
	if !c.NoTags {
		body += `<oc:tags/><nc:system-tags/>`
	}
	return body + `</d:prop></d:propfind>`
}

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
	propertyTags
	propertyEncrypted
	propertyCreated
	propertyMount
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
		case "tags":
			return propertyTags
		}
	case spaceNC:
		switch string(t.local) {
		case "is-encrypted":
			return propertyEncrypted
		case "creation_time":
			return propertyCreated
		case "mount-type":
			return propertyMount
		case "system-tags":
			return propertyTags
		}
	}
	return propertyOther
}

// Of what a server says of one entry so much is kept, in bytes: entries wait in
// memory by the thousand. A Nextcloud stores up to 255 bytes of anything.
const (
	maxProperty = 1 << 10
	maxTags     = 8 << 10 // all tags of an entry together
	maxSize     = 1 << 50 // of an entry; a larger number is none, and would overflow sums
)

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
	tags        []string
	tagged      int // bytes of tags
	encrypted   bool
	mount       string // kind of the mount that it is in; empty: none
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
		p.created = parseCreated(text)
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
	case propertyMount:
		p.mount = string(text)
	}
}

// addTag adds a tag that a user or the system gave, once.
func (p *properties) addTag(text []byte) error {
	if p.tagged += len(text) + 1; p.tagged > maxTags {
		return malformed("tags of more than " + strconv.Itoa(maxTags) + " bytes")
	}
	tag := strings.Join(strings.FieldsFunc(string(text), unicode.IsControl), " ")
	if tag != "" && !slices.Contains(p.tags, tag) {
		p.tags = append(p.tags, tag)
	}
	return nil
}

func (p *properties) addChecksum(text []byte) error {
	if len(p.checksums)+len(text) > maxProperty {
		return malformed("checksums of more than " + strconv.Itoa(maxProperty) + " bytes")
	}
	if p.checksums != "" {
		p.checksums += " "
	}
	p.checksums += string(text)
	return nil
}

// absent tells a folder that the server answers for without having it. An
// external storage that is offline, another user's home and a login without
// access to files all look like empty folders, but for this.
func (p *properties) absent() bool {
	return p.etag == "" || p.fileID == "" || p.fileID == "-1"
}

// Why an entry is left out, in words for the user.
const (
	encryptedReason  = "The folder is end-to-end encrypted: only the user's own devices can read it."
	unreadableReason = "The Nextcloud does not allow this account to read it."
)

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
		Marks:       transfer.Marks{Favorite: p.favorite, Tags: p.tags},
	}
	if p.collection || p.length < 0 {
		e.Size = p.size
	}
	switch {
	case p.collection && p.encrypted:
		e.SkipReason = encryptedReason
	case p.permissions != "" && !strings.Contains(p.permissions, "G"):
		e.SkipReason = unreadableReason
	}
	return e
}

func parseSize(text []byte) int64 {
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil || n < 0 || n > maxSize {
		return -1
	}
	return n
}

// parseCreated reads seconds since 1970. What is no date of four digits is left out:
// no JSON tells it, and a database may not store it.
func parseCreated(text []byte) time.Time {
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil || n == 0 || n < firstSecond || n > lastSecond {
		return time.Time{}
	}
	return time.Unix(n, 0).UTC()
}

// The years from 1 to 9999, in seconds since 1970.
const (
	firstSecond = -62135596800
	lastSecond  = 253402300799
)

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
