package cozytest

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// promise is what a request says of its body before sending it.
type promise struct {
	size   int64 // negative: unknown
	md5    [md5.Size]byte
	hasMD5 bool
}

const (
	parentMissing = "Parent directory with given DirID does not exist"
	parentTrashed = "Parent directory is in the trash"
	overQuota     = "The file is too big and exceeds the disk quota"
	fileExists    = "file already exists"
)

// upload answers the creation of a file.
func (c *call) upload(parentID string) error {
	name := c.query().Get("Name")
	if err := checkName(name); err != nil {
		return err
	}
	want, err := c.promise()
	if err != nil {
		return err
	}
	g, err := c.allow(verbPost, doctypeFiles)
	if err != nil {
		return err
	}
	file, err := c.newFile(name, g)
	if err != nil {
		return err
	}
	limit, err := c.inst.admit(parentID, name, want.size)
	if err != nil {
		return err
	}
	received, broken, err := c.receive(want, limit)
	if err != nil {
		return err
	}
	file.blob = received
	c.inst.gate.spend(c.r.Context(), c.inst.gate.profile.Upload)
	res, err := c.inst.addFile(file, parentID)
	if err != nil {
		c.inst.stack.blobs.remove(received.key)
		return err
	}
	if broken {
		return brokenUpload()
	}
	writeDocument(c.writer(), http.StatusCreated, document{Data: res})
	return nil
}

// brokenUpload is the answer to a chunked body without its end, whose file is
// kept all the same.
func brokenUpload() error { return plainError(http.StatusInternalServerError, "<nil>") }

func (c *call) promise() (promise, error) {
	want := promise{size: c.r.ContentLength}
	if text := c.query().Get("Size"); text != "" {
		size, err := strconv.ParseInt(text, 10, 64)
		if err != nil || size < 0 {
			return want, invalidParameter("Size", "Invalid size")
		}
		want.size = size
	}
	text := c.r.Header.Get("Content-MD5")
	if text == "" {
		return want, nil
	}
	sum, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(sum) != md5.Size {
		return want, invalidParameter("Content-MD5", "Given Content-MD5 is invalid")
	}
	want.hasMD5 = true
	copy(want.md5[:], sum)
	return want, nil
}

// newFile is the file that the request describes, without its content.
func (c *call) newFile(name string, g *grant) (*node, error) {
	now := time.Now().UTC()
	file := &node{rev: firstRevision(), name: name, filePart: &filePart{}}
	file.created, file.updated = c.dates(now)
	file.mime, file.class = mimeAndClass(c.r.Header.Get("Content-Type"), name)
	file.executable = c.query().Get("Executable") == "true"
	file.tags = splitTags(c.query().Get("Tags"))
	file.meta = c.inst.uploadMetadata(now, g.slug)
	c.setSource(&file.meta)
	file.id = c.inst.newFileID(file.mime)
	var err error
	file.metadata, err = c.fileMetadata(file)
	return file, err
}

// newFileID: notes have ids of another form.
func (inst *Instance) newFileID(mimeType string) string {
	id := inst.ids.next()
	if mimeType != mimeByExtension[".cozy-note"] {
		return id
	}
	return fmt.Sprintf("%s-%s-7%s-8%s-%s", id[:8], id[8:12], id[13:16], id[17:20], id[20:])
}

// fileMetadata is what the request gives, or what the stack would have found
// in the file's kind.
func (c *call) fileMetadata(file *node) (json.RawMessage, error) {
	if id := c.query().Get("MetadataID"); id != "" {
		c.inst.mu.RLock()
		defer c.inst.mu.RUnlock()
		return c.inst.uploadMDs[id], nil
	}
	if text := c.query().Get("Metadata"); text != "" {
		if !json.Valid([]byte(text)) {
			return nil, jsonapiError(http.StatusBadRequest, "Metadata is not JSON")
		}
		return json.RawMessage(text), nil
	}
	switch file.class {
	case "image":
		return json.Marshal(map[string]any{"datetime": file.created, "extractor_version": 2})
	case "shortcut":
		return json.RawMessage(`{"extractor_version":2}`), nil
	}
	return nil, nil
}

// admit decides before the body is read whether a file may be created, in the
// real stack's order: quota, directory, name. It returns the bytes that are
// left (negative: no limit).
func (inst *Instance) admit(parentID, name string, size int64) (int64, error) {
	inst.mu.RLock()
	defer inst.mu.RUnlock()
	left := inst.left()
	if left >= 0 && size > left {
		return 0, jsonapiError(http.StatusRequestEntityTooLarge, overQuota)
	}
	if err := inst.mayHold(parentID, name); err != nil {
		return 0, err
	}
	const suffix = 1_000_000_000 // the stack writes to name + 9 digits first
	if temporary := fmt.Sprintf("%s%09d", name, rand.IntN(suffix)); len(temporary) > maxNameSize {
		return 0, unqualified("open " + storageRoot + inst.host + "/" + temporary + ": file name too long")
	}
	return left, nil
}

// left is what the quota leaves; negative without a quota. Needs the lock.
func (inst *Instance) left() int64 {
	quota := inst.quota.Load()
	if quota <= 0 {
		return -1
	}
	return max(0, quota-inst.tree.files-inst.tree.old)
}

// mayHold needs the lock.
func (inst *Instance) mayHold(parentID, name string) error {
	parent := inst.tree.dir(parentID)
	switch {
	case parent == nil:
		return jsonapiError(http.StatusNotFound, parentMissing)
	case parent.inTrash():
		return jsonapiError(http.StatusNotFound, parentTrashed)
	case parent.children[name] != nil:
		return jsonapiError(http.StatusConflict, fileExists)
	}
	return nil
}

// receive takes in the body and holds it to the promise. Without a promise a
// body that breaks off counts as a whole one; broken tells.
func (c *call) receive(want promise, limit int64) (received blob, broken bool, err error) {
	blobs := c.inst.stack.blobs
	received, err = blobs.receive(c.inst.gate.slow(c.r), limit)
	var brokenOff *brokenBody
	switch {
	case errors.Is(err, errOverLimit):
		return blob{}, false, jsonapiError(http.StatusRequestEntityTooLarge, overQuota)
	case errors.As(err, &brokenOff):
		broken = true
	case err != nil:
		return blob{}, false, err
	}
	if err := want.check(received); err != nil {
		blobs.remove(received.key)
		return blob{}, broken, err
	}
	return received, broken, nil
}

func (p promise) check(received blob) error {
	if p.size >= 0 && received.size != p.size {
		return preconditionFailed("Content-Length", "Content length does not match")
	}
	if p.hasMD5 && received.md5 != p.md5 {
		return preconditionFailed("Content-MD5", "Invalid hash")
	}
	return nil
}

// addFile looks again: the directory may have changed while the body came.
func (inst *Instance) addFile(file *node, parentID string) (resource, error) {
	inst.mu.Lock()
	defer inst.mu.Unlock()
	if err := inst.mayHold(parentID, file.name); err != nil {
		return resource{}, err
	}
	inst.tree.attach(file, inst.tree.byID[parentID])
	inst.announce(eventCreated, file)
	return file.short(), nil
}
