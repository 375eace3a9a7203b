package cozytest

import (
	"net/http"
	"time"
)

// overwrite answers PUT /files/:id. What is not sent again is reset, but for
// the creation's date and origin.
func (c *call) overwrite(id string) error {
	want, err := c.promise()
	if err != nil {
		return err
	}
	g, err := c.allow(verbPut, doctypeFiles)
	if err != nil {
		return err
	}
	limit, name, err := c.admitOverwrite(id, want.size)
	if err != nil {
		return err
	}
	fresh, err := c.newFile(name, g)
	if err != nil {
		return err
	}
	received, broken, err := c.receive(want, limit)
	if err != nil {
		return err
	}
	fresh.blob = received
	c.inst.gate.spend(c.r.Context(), c.inst.gate.profile.Upload)
	doc, err := c.replace(id, fresh, g)
	if err != nil {
		c.inst.stack.blobs.remove(received.key)
		return err
	}
	if broken {
		return brokenUpload()
	}
	writeDocument(c.writer(), http.StatusOK, doc)
	return nil
}

// admitOverwrite: the old content stays as a version, so the whole new one has
// to fit.
func (c *call) admitOverwrite(id string, size int64) (limit int64, name string, err error) {
	inst := c.inst
	inst.mu.RLock()
	defer inst.mu.RUnlock()
	file := inst.tree.file(id)
	if file == nil {
		return 0, "", noFile()
	}
	if err := checkIfMatch(c.r, file); err != nil {
		return 0, "", err
	}
	left := inst.left()
	if left >= 0 && size > left {
		return 0, "", jsonapiError(http.StatusRequestEntityTooLarge, overQuota)
	}
	if file.inTrash() {
		return 0, "", jsonapiError(http.StatusNotFound, parentTrashed)
	}
	return left, file.name, nil
}

func (c *call) replace(id string, fresh *node, g *grant) (document, error) {
	inst := c.inst
	inst.mu.Lock()
	defer inst.mu.Unlock()
	file := inst.tree.file(id)
	switch {
	case file == nil:
		return document{}, noFile()
	case file.inTrash():
		return document{}, jsonapiError(http.StatusNotFound, parentTrashed)
	}
	now := fresh.meta.CreatedAt
	parent := file.parent
	inst.tree.detach(file)
	inst.keepVersion(file, fresh.blob, now)
	file.blob, file.mime, file.class = fresh.blob, fresh.mime, fresh.class
	file.executable, file.tags, file.metadata = fresh.executable, fresh.tags, fresh.metadata
	file.updated = fresh.updated
	file.rev = file.rev.next()
	file.meta.touch(now, g.slug, inst.pageURL)
	file.meta.stampUpload(now, g.slug, inst.pageURL)
	inst.tree.attach(file, parent)
	inst.announce(eventUpdated, file)
	return file.fullFile(), nil
}

// keepVersion keeps the content that is about to go, unless it is the same or
// another one was kept a short while ago. Needs the lock.
func (inst *Instance) keepVersion(file *node, fresh blob, now time.Time) {
	last := len(file.versions) - 1
	recent := last >= 0 && now.Sub(file.versions[last].kept) < inst.stack.config.VersionDelay
	if file.blob.md5 == fresh.md5 || recent {
		inst.stack.blobs.remove(file.blob.key)
		return
	}
	meta := newCozyMetadata(now)
	meta.CreatedOn = inst.pageURL
	meta.UploadedAt, meta.UploadedBy, meta.UploadedOn = file.meta.UploadedAt, file.meta.UploadedBy, file.meta.UploadedOn
	file.versions = append(file.versions[:len(file.versions):len(file.versions)], &version{
		id: file.rev.String(), rev: firstRevision().String(), blob: file.blob,
		updated: file.updated, kept: now, tags: file.tags, metadata: file.metadata, meta: meta,
	})
}
