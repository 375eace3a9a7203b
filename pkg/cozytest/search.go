package cozytest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// findFiles answers POST /files/_find. Like the real stack's indexes, it wants
// a directory, a path or an id in the selector.
func (c *call) findFiles() error {
	var q findQuery
	if err := decodeJSON(c.r.Body, &q); err != nil {
		return jsonapiError(http.StatusBadRequest, err.Error())
	}
	if _, err := c.allow(verbGet, doctypeFiles); err != nil {
		return err
	}
	c.inst.mu.RLock()
	candidates, ok := c.inst.tree.candidates(q.Selector)
	found, next := q.selectNodes(candidates)
	resources := make([]resource, len(found))
	for i, n := range found {
		resources[i] = q.project(n)
	}
	c.inst.mu.RUnlock()
	if !ok {
		return couchError(http.StatusBadRequest, "no_index", noIndexReason)
	}
	doc := document{Data: resources, Links: &links{}, Meta: countMeta{len(resources)}}
	if next != "" {
		doc.Links = &links{Next: "/files/_find?page[cursor]=" + next}
	}
	writeDocument(c.writer(), http.StatusOK, doc)
	return nil
}

// candidates narrows a search down without looking at every file.
func (t *tree) candidates(selector map[string]any) (nodes []*node, ok bool) {
	if id, is := selector["dir_id"].(string); is {
		if dir := t.dir(id); dir != nil {
			for _, n := range dir.children {
				nodes = append(nodes, n)
			}
		}
		return nodes, true
	}
	if id, is := selector["_id"].(string); is {
		if n := t.byID[id]; n != nil {
			nodes = append(nodes, n)
		}
		return nodes, true
	}
	if p, is := selector["path"].(string); is {
		if n := t.dirByPath(p); n != nil {
			nodes = append(nodes, n)
		}
		return nodes, true
	}
	return nil, false
}

func (q *findQuery) selectNodes(candidates []*node) (found []*node, next string) {
	slices.SortFunc(candidates, func(a, b *node) int { return strings.Compare(a.id, b.id) })
	after := decodeBookmark(q.Bookmark)
	skip, limit := q.Skip, q.limit()
	for _, n := range candidates {
		if n.id <= after || !matches(q.Selector, n.asDoc()) {
			continue
		}
		if skip > 0 {
			skip--
			continue
		}
		if len(found) == limit {
			return found, encodeBookmark(found[len(found)-1].id)
		}
		found = append(found, n)
	}
	return found, ""
}

// asDoc is a node as the database holds it.
func (n *node) asDoc() map[string]any {
	body, _ := json.Marshal(n.event())
	doc := make(map[string]any)
	_ = json.Unmarshal(body, &doc)
	return doc
}

// project shows a node with its path, or only the fields asked for. As on the
// real stack a few fields are there even when they were not asked for, and the
// parent is lost when its id was not.
func (q *findQuery) project(n *node) resource {
	res := n.short()
	a, isFile := res.Attributes.(fileAttributes)
	if isFile {
		a.Path = n.path()
		res.Attributes = a
	}
	if len(q.Fields) == 0 {
		return res
	}
	body, _ := json.Marshal(res.Attributes)
	all := make(map[string]any)
	_ = json.Unmarshal(body, &all)
	kept := make(map[string]any)
	for name, value := range all {
		if slices.Contains(q.Fields, name) || slices.Contains([]string{"type", "class", "trashed"}, name) {
			kept[name] = value
		}
	}
	res.Attributes = kept
	if isFile && !slices.Contains(q.Fields, "dir_id") {
		res.Relationships.Parent = &relation{
			Links: &links{Related: "/files/"}, Data: reference{Type: doctypeFiles},
		}
	}
	return res
}

// allFiles answers POST /files/_all_docs; keys that are not there are left out.
func (c *call) allFiles() error {
	var q struct {
		Keys []string `json:"keys"`
	}
	if err := decodeJSON(c.r.Body, &q); err != nil {
		return jsonapiError(http.StatusBadRequest, err.Error())
	}
	if _, err := c.allow(verbGet, doctypeFiles); err != nil {
		return err
	}
	resources := make([]resource, 0, len(q.Keys))
	c.inst.mu.RLock()
	for _, id := range q.Keys {
		if n := c.inst.tree.byID[id]; n != nil {
			resources = append(resources, (&findQuery{}).project(n))
		}
	}
	c.inst.mu.RUnlock()
	writeDocument(c.writer(), http.StatusOK, document{Data: resources, Meta: countMeta{len(resources)}})
	return nil
}

// Bookmarks are opaque to clients; ours hold the last id shown.
func encodeBookmark(id string) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "after:%s", id))
}

func decodeBookmark(bookmark string) string {
	text, err := base64.RawURLEncoding.DecodeString(bookmark)
	if err != nil {
		return ""
	}
	return strings.TrimPrefix(string(text), "after:")
}
