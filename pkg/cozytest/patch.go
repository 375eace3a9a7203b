package cozytest

import (
	"encoding/json"
	"net/http"
	"time"
)

// patch is the body of a PATCH. Fields that are absent change nothing.
type patch struct {
	ID         string `json:"id"`
	Attributes struct {
		Name       *string    `json:"name"`
		DirID      *string    `json:"dir_id"`
		Tags       *[]string  `json:"tags"`
		UpdatedAt  *time.Time `json:"updated_at"`
		Executable *bool      `json:"executable"`
		Permanent  bool       `json:"permanent_delete"`
		Trash      bool       `json:"move_to_trash"`
		Cozy       struct {
			Favorite *bool `json:"favorite"`
		} `json:"cozyMetadata"`
	} `json:"attributes"`
	Relationships struct {
		Parent struct {
			Data struct {
				ID string `json:"id"`
			} `json:"data"`
		} `json:"parent"`
	} `json:"relationships"`
}

func (p *patch) newParent() string {
	if p.Attributes.DirID != nil {
		return *p.Attributes.DirID
	}
	return p.Relationships.Parent.Data.ID
}

func (c *call) patchOne(id string) error {
	return c.patchFound(func(t *tree) *node { return t.byID[id] })
}

func (c *call) patchByPath() error {
	p, err := c.pathArgument()
	if err != nil {
		return err
	}
	return c.patchFound(func(t *tree) *node { return t.byFullPath(p) })
}

func (c *call) patchFound(find func(*tree) *node) error {
	var body struct {
		Data patch `json:"data"`
	}
	if err := json.NewDecoder(c.r.Body).Decode(&body); err != nil {
		return jsonapiError(http.StatusBadRequest, err.Error())
	}
	g, err := c.allow(verbPatch, doctypeFiles)
	if err != nil {
		return err
	}
	c.inst.mu.Lock()
	doc, err := c.patchDocument(find(c.inst.tree), &body.Data, g)
	c.inst.mu.Unlock()
	if err != nil {
		return err
	}
	writeDocument(c.writer(), http.StatusOK, doc)
	return nil
}

func (c *call) patchDocument(n *node, p *patch, g *grant) (document, error) {
	if n == nil {
		return document{}, noFile()
	}
	if err := checkIfMatch(c.r, n); err != nil {
		return document{}, err
	}
	if p.Attributes.Permanent {
		return c.inst.destroyAndShow(n), nil
	}
	if err := c.inst.apply(n, p, g); err != nil {
		return document{}, err
	}
	return c.inst.tree.fullDocument(n, page{limit: defaultPageLimit}, ""), nil
}

// apply needs the lock. An entry that is older than its creation can be
// changed in no way.
func (inst *Instance) apply(n *node, p *patch, g *grant) error {
	if p.Attributes.Trash {
		return inst.moveToTrash(n, g)
	}
	updated := n.updated
	if p.Attributes.UpdatedAt != nil {
		updated = *p.Attributes.UpdatedAt
	}
	if updated.Before(n.created) {
		return invalidParameter("UpdatedAt", "Invalid time given")
	}
	if err := inst.relocate(n, p); err != nil {
		return err
	}
	n.updated = updated
	if p.Attributes.Tags != nil {
		n.tags = *p.Attributes.Tags
	}
	if p.Attributes.Cozy.Favorite != nil {
		n.meta.Favorite = *p.Attributes.Cozy.Favorite
	}
	if p.Attributes.Executable != nil && !n.isDir() {
		n.executable = *p.Attributes.Executable
	}
	n.touch(inst, g)
	inst.announce(eventUpdated, n)
	return nil
}

// relocate renames and moves.
func (inst *Instance) relocate(n *node, p *patch) error {
	name, parent := n.name, n.parent
	if p.Attributes.Name != nil {
		name = *p.Attributes.Name
		if err := checkName(name); err != nil {
			return err
		}
	}
	if id := p.newParent(); id != "" {
		if parent = inst.tree.dir(id); parent == nil {
			return jsonapiError(http.StatusNotFound, parentMissing)
		}
	}
	if parent == n.parent && name == n.name {
		return nil
	}
	switch {
	case n.parent == nil || n.id == TrashID || parent.within(n):
		return &apiError{status: http.StatusPreconditionFailed, title: "Precondition Failed", detail: "Forbidden document move"}
	case parent.children[name] != nil:
		return jsonapiError(http.StatusConflict, fileExists)
	}
	inst.tree.move(n, parent, name)
	return nil
}

// patchMany answers PATCH /files/ with several patches.
func (c *call) patchMany() error {
	var body struct {
		Data []patch `json:"data"`
	}
	if err := json.NewDecoder(c.r.Body).Decode(&body); err != nil {
		return jsonapiError(http.StatusBadRequest, err.Error())
	}
	g, err := c.allow(verbPatch, doctypeFiles)
	if err != nil {
		return err
	}
	c.inst.mu.Lock()
	err = c.inst.applyMany(body.Data, g)
	c.inst.mu.Unlock()
	if err != nil {
		return err
	}
	c.writer().WriteHeader(http.StatusNoContent)
	return nil
}

// applyMany reports the first failure but works through the whole list.
func (inst *Instance) applyMany(patches []patch, g *grant) (first error) {
	for i := range patches {
		err := inst.applyByID(&patches[i], g)
		if err != nil && first == nil {
			e := *asAPIError(err)
			e.pointer, e.parameter = patches[i].ID, "_id"
			first = &e
		}
	}
	return first
}

func (inst *Instance) applyByID(p *patch, g *grant) error {
	n := inst.tree.byID[p.ID]
	if n == nil {
		return noFile()
	}
	if p.Attributes.Permanent {
		inst.destroyAndShow(n)
		return nil
	}
	return inst.apply(n, p, g)
}
