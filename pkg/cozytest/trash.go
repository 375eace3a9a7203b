package cozytest

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"path"
	"time"
)

// discard answers DELETE /files/:id: into the trash.
func (c *call) discard(id string) error {
	g, err := c.allow(verbDelete, doctypeFiles)
	if err != nil {
		return err
	}
	c.inst.mu.Lock()
	doc, err := c.discardLocked(id, g)
	c.inst.mu.Unlock()
	if err != nil {
		return err
	}
	writeDocument(c.writer(), http.StatusOK, doc)
	return nil
}

func (c *call) discardLocked(id string, g *grant) (document, error) {
	n := c.inst.tree.byID[id]
	if n == nil {
		return document{}, noFile()
	}
	if err := checkIfMatch(c.r, n); err != nil {
		return document{}, err
	}
	if err := c.inst.moveToTrash(n, g); err != nil {
		return document{}, err
	}
	return c.inst.movedDocument(n), nil
}

// movedDocument has empty lists where other answers have null.
func (inst *Instance) movedDocument(n *node) document {
	doc := inst.tree.fullDocument(n, page{limit: defaultPageLimit}, "")
	res, _ := doc.Data.(resource)
	res.Relationships.ReferencedBy.Data = []reference{}
	if res.Relationships.NotSynchronized != nil {
		res.Relationships.NotSynchronized.Data = []reference{}
	}
	doc.Data = res
	return doc
}

// moveToTrash needs the lock.
func (inst *Instance) moveToTrash(n *node, g *grant) error {
	switch {
	case n.parent == nil || n.id == TrashID:
		return jsonapiError(http.StatusForbidden, "Forbidden document move")
	case n.inTrash():
		return jsonapiError(http.StatusBadRequest, "File or directory is already in the trash")
	}
	now := time.Now().UTC()
	n.restorePath = n.parent.path()
	inst.tree.move(n, inst.tree.trash, freeName(inst.tree.trash, n.name))
	n.touch(inst, g)
	n.meta.TrashedAt = &now
	n.meta.TrashedBy = &trasher{Kind: "member", DisplayName: inst.name, Domain: inst.host}
	inst.tree.markTrashed(n, true, inst.bumpBelow(n))
	inst.announce(eventUpdated, n)
	return nil
}

// bumpBelow gives files below n a new revision when their trashed flag turns.
func (inst *Instance) bumpBelow(n *node) func(*node) {
	return func(file *node) {
		if file == n {
			return
		}
		file.rev = file.rev.next()
		inst.announce(eventUpdated, file)
	}
}

func freeName(dir *node, name string) string {
	const numbers = 1_000_000_000
	free := name
	for dir.children[free] != nil {
		free = fmt.Sprintf("%s (%09d)", name, rand.IntN(numbers))
	}
	return free
}

// restore answers POST /files/trash/:id.
func (c *call) restore(id string) error {
	g, err := c.allow(verbPatch, doctypeFiles)
	if err != nil {
		return err
	}
	c.inst.mu.Lock()
	doc, err := c.inst.takeBack(id, g)
	c.inst.mu.Unlock()
	if err != nil {
		return err
	}
	writeDocument(c.writer(), http.StatusOK, doc)
	return nil
}

func (inst *Instance) takeBack(id string, g *grant) (document, error) {
	n := inst.tree.byID[id]
	switch {
	case n == nil:
		return document{}, noFile()
	case !n.inTrash() || n.id == TrashID:
		return document{}, jsonapiError(http.StatusBadRequest, "File or directory is not in the trash")
	}
	home := path.Clean("/" + n.restorePath)
	if _, err := inst.addDirs(inst.missing(home)); err != nil {
		return document{}, err
	}
	parent := inst.tree.dirByPath(home)
	inst.tree.move(n, parent, freeName(parent, n.name))
	n.restorePath = ""
	n.touch(inst, g)
	inst.tree.markTrashed(n, false, inst.bumpBelow(n))
	inst.announce(eventUpdated, n)
	return inst.movedDocument(n), nil
}

// destroy answers DELETE /files/trash/:id, which does not ask whether the
// entry is in the trash.
func (c *call) destroy(id string) error {
	if _, err := c.allow(verbDelete, doctypeFiles); err != nil {
		return err
	}
	c.inst.mu.Lock()
	n := c.inst.tree.byID[id]
	if n == nil || n.parent == nil || n.id == TrashID {
		c.inst.mu.Unlock()
		return noFile()
	}
	c.inst.erase(n)
	c.inst.mu.Unlock()
	c.writer().WriteHeader(http.StatusNoContent)
	return nil
}

// emptyTrash answers DELETE /files/trash.
func (c *call) emptyTrash() error {
	if _, err := c.allow(verbDelete, doctypeFiles); err != nil {
		return err
	}
	c.inst.mu.Lock()
	for _, n := range c.inst.tree.trash.children {
		c.inst.erase(n)
	}
	c.inst.mu.Unlock()
	c.writer().WriteHeader(http.StatusNoContent)
	return nil
}

// erase removes a node, what is below it and all contents. Needs the lock.
func (inst *Instance) erase(n *node) {
	if n.isDir() {
		for _, child := range n.children {
			inst.erase(child)
		}
	} else {
		inst.stack.blobs.remove(n.blob.key)
		for _, v := range n.versions {
			inst.stack.blobs.remove(v.blob.key)
		}
	}
	n.rev = n.rev.next()
	inst.announce(eventDeleted, n)
	inst.tree.detach(n)
}

// destroyAndShow erases a node and shows what it was, emptied. Needs the lock.
func (inst *Instance) destroyAndShow(n *node) document {
	inst.erase(n)
	return inst.tree.fullDocument(n, page{limit: defaultPageLimit}, "")
}
