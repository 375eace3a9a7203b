package cozytest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"time"
)

// uploadMetadata answers POST /files/upload/metadata: metadata sent ahead of
// one or more uploads.
func (c *call) uploadMetadata() error {
	var body struct {
		Data struct {
			Attributes json.RawMessage `json:"attributes"`
		} `json:"data"`
	}
	if err := json.NewDecoder(c.r.Body).Decode(&body); err != nil {
		return jsonapiError(http.StatusBadRequest, err.Error())
	}
	if _, err := c.allow(verbPost, doctypeFiles); err != nil {
		return err
	}
	id := fmt.Sprintf("%016x", rand.Uint64())
	c.inst.mu.Lock()
	c.inst.uploadMDs[id] = body.Data.Attributes
	c.inst.mu.Unlock()
	writeDocument(c.writer(), http.StatusCreated, document{Data: resource{
		Type: "io.cozy.files.metadata", ID: id, Attributes: body.Data.Attributes,
	}})
	return nil
}

// copyFile answers POST /files/:id/copy.
func (c *call) copyFile(id string) error {
	g, err := c.allow(verbPost, doctypeFiles)
	if err != nil {
		return err
	}
	c.inst.mu.Lock()
	res, err := c.inst.duplicate(id, c.query().Get("Name"), c.query().Get("DirID"), g)
	c.inst.mu.Unlock()
	if err != nil {
		return err
	}
	writeDocument(c.writer(), http.StatusCreated, document{Data: res})
	return nil
}

// duplicate needs the lock.
func (inst *Instance) duplicate(id, name, dirID string, g *grant) (resource, error) {
	file := inst.tree.file(id)
	if file == nil {
		return resource{}, noFile()
	}
	if left := inst.left(); left >= 0 && file.blob.size > left {
		return resource{}, jsonapiError(http.StatusRequestEntityTooLarge, overQuota)
	}
	if name == "" {
		ext := filepath.Ext(file.name)
		name = file.name[:len(file.name)-len(ext)] + " (copy)" + ext
	}
	if dirID == "" {
		dirID = file.parent.id
	}
	if err := inst.mayHold(dirID, name); err != nil {
		return resource{}, err
	}
	content, err := inst.stack.blobs.duplicate(file.blob)
	if err != nil {
		return resource{}, err
	}
	now := time.Now().UTC()
	twin := &node{
		id: inst.newFileID(file.mime), rev: firstRevision(), name: name, created: now, updated: now,
		tags: file.tags, meta: inst.uploadMetadata(now, g.slug), filePart: &filePart{
			blob: content, mime: file.mime, class: file.class,
			executable: file.executable, metadata: file.metadata,
		},
	}
	twin.meta.CreatedByApp = ""
	inst.tree.attach(twin, inst.tree.byID[dirID])
	inst.announce(eventCreated, twin)
	res := twin.short()
	res.Relationships.ReferencedBy.Data = []reference{}
	return res, nil
}
