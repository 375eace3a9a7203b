package cozytest

import (
	"encoding/base64"
	"encoding/json"
	"time"
)

// The JSON:API shapes of directories and files, in the stack's field order.

type document struct {
	Data     any        `json:"data"`
	Links    any        `json:"links,omitempty"`
	Included []resource `json:"included,omitempty"`
	Meta     any        `json:"meta,omitempty"`
}

type resource struct {
	Type          string         `json:"type"`
	ID            string         `json:"id"`
	Attributes    any            `json:"attributes"`
	Meta          resourceMeta   `json:"meta"`
	Links         *links         `json:"links,omitempty"`
	Relationships *relationships `json:"relationships,omitempty"`
}

type resourceMeta struct {
	Rev string `json:"rev,omitempty"`
}

type links struct {
	Self    string `json:"self,omitempty"`
	Related string `json:"related,omitempty"`
	Next    string `json:"next,omitempty"`
	Tiny    string `json:"tiny,omitempty"`
	Small   string `json:"small,omitempty"`
	Medium  string `json:"medium,omitempty"`
	Large   string `json:"large,omitempty"`
}

type relationships struct {
	Contents        *relation `json:"contents,omitempty"`
	NotSynchronized *relation `json:"not_synchronized_on,omitempty"`
	OldVersions     *relation `json:"old_versions,omitempty"`
	Parent          *relation `json:"parent,omitempty"`
	ReferencedBy    *relation `json:"referenced_by,omitempty"`
}

type relation struct {
	Links *links     `json:"links,omitempty"`
	Meta  *countMeta `json:"meta,omitempty"`
	Data  any        `json:"data"`
}

type countMeta struct {
	Count int `json:"count"`
}

type dirAttributes struct {
	Type         string        `json:"type,omitempty"`
	DocID        string        `json:"_id,omitempty"`
	DocRev       string        `json:"_rev,omitempty"`
	Name         string        `json:"name,omitempty"`
	DirID        string        `json:"dir_id,omitempty"`
	RestorePath  string        `json:"restore_path,omitempty"`
	CreatedAt    time.Time     `json:"created_at"`
	UpdatedAt    time.Time     `json:"updated_at"`
	Tags         []string      `json:"tags,omitempty"`
	Path         string        `json:"path"`
	ReferencedBy []reference   `json:"referenced_by,omitempty"`
	CozyMetadata *cozyMetadata `json:"cozyMetadata,omitempty"`
}

type fileAttributes struct {
	Type         string          `json:"type"`
	DocID        string          `json:"_id,omitempty"`
	DocRev       string          `json:"_rev,omitempty"`
	Name         string          `json:"name"`
	DirID        string          `json:"dir_id,omitempty"`
	RestorePath  string          `json:"restore_path,omitempty"`
	CreatedAt    time.Time       `json:"created_at"`
	UpdatedAt    time.Time       `json:"updated_at"`
	Size         string          `json:"size"`
	MD5          string          `json:"md5sum"`
	Mime         string          `json:"mime"`
	Class        string          `json:"class"`
	Executable   bool            `json:"executable"`
	Trashed      bool            `json:"trashed"`
	Encrypted    bool            `json:"encrypted"`
	Tags         []string        `json:"tags,omitempty"`
	Metadata     json.RawMessage `json:"metadata,omitempty"`
	CozyMetadata *cozyMetadata   `json:"cozyMetadata,omitempty"`
	Path         string          `json:"path,omitempty"`
}

type versionAttributes struct {
	UpdatedAt     time.Time       `json:"updated_at"`
	Size          string          `json:"size"`
	MD5           string          `json:"md5sum"`
	Tags          []string        `json:"tags"`
	Metadata      json.RawMessage `json:"metadata,omitempty"`
	CozyMetadata  *cozyMetadata   `json:"cozyMetadata"`
	Relationships versionOwner    `json:"relationships"`
}

type versionOwner struct {
	File struct {
		Data struct {
			ID   string `json:"_id"`
			Type string `json:"_type"`
		} `json:"data"`
	} `json:"file"`
}

// The functions below copy what they need: call them with the instance locked,
// encode their results without the lock.

func (n *node) attributes() any {
	if n.isDir() {
		return n.dirAttributes()
	}
	return n.fileAttributes()
}

func (n *node) dirAttributes() dirAttributes {
	a := dirAttributes{
		Type: "directory", Name: n.name, RestorePath: n.restorePath,
		CreatedAt: n.created, UpdatedAt: n.updated, Tags: n.tags, Path: n.path(), ReferencedBy: n.references,
	}
	if n.parent != nil {
		a.DirID = n.parent.id
		a.CozyMetadata = n.metaCopy()
	}
	return a
}

func (n *node) fileAttributes() fileAttributes {
	return fileAttributes{
		Type: "file", Name: n.name, DirID: n.parent.id, RestorePath: n.restorePath,
		CreatedAt: n.created, UpdatedAt: n.updated,
		Size: itoa(n.blob.size), MD5: n.blob.md5Text(), Mime: n.mime, Class: n.class,
		Executable: n.executable, Trashed: n.trashed, Tags: n.tags,
		Metadata: n.metadata, CozyMetadata: n.metaCopy(),
	}
}

func (n *node) metaCopy() *cozyMetadata {
	meta := n.meta
	return &meta
}

func (b blob) md5Text() string { return base64.StdEncoding.EncodeToString(b.md5[:]) }

// short is a node as listings and creations show it.
func (n *node) short() resource {
	self := "/files/" + n.id
	res := resource{
		Type: doctypeFiles, ID: n.id, Attributes: n.attributes(),
		Meta: resourceMeta{n.rev.String()}, Links: &links{Self: self},
		Relationships: &relationships{
			ReferencedBy: &relation{Links: &links{Self: self + "/relationships/references"}, Data: n.referenceData()},
		},
	}
	if !n.isDir() {
		n.addThumbnails(res.Links)
		res.Relationships.Parent = &relation{
			Links: &links{Related: "/files/" + n.parent.id},
			Data:  reference{ID: n.parent.id, Type: doctypeFiles},
		}
	}
	return res
}

func (n *node) referenceData() any {
	if len(n.references) == 0 {
		return nil
	}
	return n.references
}

func (n *node) addThumbnails(l *links) {
	if n.class != "image" && n.class != "pdf" {
		return
	}
	const secretLength = 16
	secret := n.id[max(0, len(n.id)-secretLength):]
	base := l.Self + "/thumbnails/" + secret
	l.Tiny, l.Small, l.Medium, l.Large = base+"/tiny", base+"/small", base+"/medium", base+"/large"
}

// fullFile is a file with its old versions.
func (n *node) fullFile() document {
	doc := document{Data: n.short()}
	if len(n.versions) == 0 {
		return doc
	}
	res, _ := doc.Data.(resource)
	var ids []reference
	for _, v := range n.versions {
		ids = append(ids, reference{ID: n.id + "/" + v.id, Type: "io.cozy.files.versions"})
		doc.Included = append(doc.Included, v.resource(n.id))
	}
	res.Relationships.OldVersions = &relation{Data: ids}
	doc.Data = res
	return doc
}

func (v *version) resource(fileID string) resource {
	meta := v.meta
	a := versionAttributes{
		UpdatedAt: v.updated, Size: itoa(v.blob.size), MD5: v.blob.md5Text(),
		Tags: v.tags, Metadata: v.metadata, CozyMetadata: &meta,
	}
	a.Relationships.File.Data.ID = fileID
	a.Relationships.File.Data.Type = doctypeFiles
	return resource{
		Type: "io.cozy.files.versions", ID: fileID + "/" + v.id, Attributes: a, Meta: resourceMeta{v.rev},
	}
}

// event is a node as realtime events carry it.
func (n *node) event() any {
	if n.isDir() {
		a := n.dirAttributes()
		a.DocID, a.DocRev = n.id, n.rev.String()
		return a
	}
	a := n.fileAttributes()
	a.DocID, a.DocRev = n.id, n.rev.String()
	return a
}
