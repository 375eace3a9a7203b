package cozytest

import (
	"encoding/json"
	"time"
)

// Ids that every instance has.
const (
	RootID  = "io.cozy.files.root-dir"
	TrashID = "io.cozy.files.trash-dir"
)

const trashName = ".cozy_trash"

// node is one directory or file. The instance's lock guards every field.
type node struct {
	id          string
	rev         revision
	name        string // as it was sent, perhaps not UTF-8
	parent      *node
	created     time.Time
	updated     time.Time
	restorePath string
	tags        []string
	references  []reference
	meta        cozyMetadata

	*dirPart  // set for directories
	*filePart // set for files
}

type dirPart struct {
	children map[string]*node
	sorted   []*node // nil when it has to be made again
	pathKey  string  // where the tree's path index has this directory
}

type filePart struct {
	blob       blob
	mime       string
	class      string
	executable bool
	trashed    bool
	metadata   json.RawMessage
	versions   []*version
}

// version is an old content of a file.
type version struct {
	id       string
	rev      string
	blob     blob
	updated  time.Time
	kept     time.Time
	tags     []string
	metadata json.RawMessage
	meta     cozyMetadata
}

type reference struct {
	ID   string `json:"id"`
	Type string `json:"type"`
}

// cozyMetadata says who wrote an entry, in the stack's field order.
type cozyMetadata struct {
	DoctypeVersion   string     `json:"doctypeVersion"`
	MetadataVersion  int        `json:"metadataVersion"`
	Favorite         bool       `json:"favorite,omitempty"`
	CreatedAt        time.Time  `json:"createdAt"`
	CreatedByApp     string     `json:"createdByApp,omitempty"`
	UpdatedAt        time.Time  `json:"updatedAt"`
	UpdatedByApps    []appStamp `json:"updatedByApps,omitempty"`
	SourceAccount    string     `json:"sourceAccount,omitempty"`
	SourceIdentifier string     `json:"sourceAccountIdentifier,omitempty"`
	CreatedOn        string     `json:"createdOn,omitempty"`
	UploadedAt       *time.Time `json:"uploadedAt,omitempty"`
	UploadedBy       *uploader  `json:"uploadedBy,omitempty"`
	UploadedOn       string     `json:"uploadedOn,omitempty"`
	TrashedAt        *time.Time `json:"trashedAt,omitempty"`
	TrashedBy        *trasher   `json:"trashedBy,omitempty"`
}

type appStamp struct {
	Slug     string    `json:"slug"`
	Date     time.Time `json:"date"`
	Instance string    `json:"instance,omitempty"`
}

type uploader struct {
	Slug string `json:"slug"`
}

type trasher struct {
	Kind        string `json:"kind"`
	DisplayName string `json:"displayName"`
	Domain      string `json:"domain"`
}

func newCozyMetadata(now time.Time) cozyMetadata {
	return cozyMetadata{DoctypeVersion: "1", MetadataVersion: 1, CreatedAt: now, UpdatedAt: now}
}

// signedMetadata is the metadata of an entry that a token's bearer creates.
func (inst *Instance) signedMetadata(now time.Time, slug string) cozyMetadata {
	m := newCozyMetadata(now)
	m.CreatedOn = inst.pageURL
	if slug != "" {
		m.CreatedByApp = slug
		m.touch(now, slug, inst.pageURL)
	}
	return m
}

func (inst *Instance) uploadMetadata(now time.Time, slug string) cozyMetadata {
	m := inst.signedMetadata(now, slug)
	m.stampUpload(now, slug, inst.pageURL)
	return m
}

func (m *cozyMetadata) stampUpload(now time.Time, slug, page string) {
	m.UploadedAt, m.UploadedOn, m.UploadedBy = &now, page, nil
	if slug != "" {
		m.UploadedBy = &uploader{Slug: slug}
	}
}

// touch replaces the list of apps instead of changing it: answers that are
// being written may still hold the old one.
func (m *cozyMetadata) touch(now time.Time, slug, page string) {
	m.UpdatedAt = now
	if slug == "" {
		return
	}
	apps := make([]appStamp, 0, len(m.UpdatedByApps)+1)
	for _, app := range m.UpdatedByApps {
		if app.Slug != slug {
			apps = append(apps, app)
		}
	}
	m.UpdatedByApps = append(apps, appStamp{Slug: slug, Date: now, Instance: page})
}

func (n *node) isDir() bool { return n.dirPart != nil }

// path is computed: it changes with every ancestor's name.
func (n *node) path() string {
	if n.parent == nil {
		return "/"
	}
	return joinPath(n.parent.path(), n.name)
}

func joinPath(dir, name string) string {
	if dir == "/" {
		return dir + name
	}
	return dir + "/" + name
}

func (n *node) inTrash() bool {
	for ; n != nil; n = n.parent {
		if n.id == TrashID {
			return true
		}
	}
	return false
}

func (n *node) within(ancestor *node) bool {
	for ; n != nil; n = n.parent {
		if n == ancestor {
			return true
		}
	}
	return false
}

// used counts a file's current content and the old ones apart.
func (n *node) used() (current, versions int64) {
	for _, v := range n.versions {
		versions += v.blob.size
	}
	return n.blob.size, versions
}
