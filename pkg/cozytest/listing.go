package cozytest

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
)

// page says which part of a directory a listing shows.
type page struct {
	limit  int
	skip   int
	cursor *cursor
}

// cursor names the first entry of the next page: the database's key
// [directory, kind, name] and the entry's id.
type cursor struct {
	key [3]string
	id  string
}

const defaultPageLimit = 30

func (c *call) page() (page, error) {
	p := page{limit: defaultPageLimit}
	if c.r.URL.RawQuery == "" {
		return p, nil
	}
	q := c.query()
	if text := q.Get("page[limit]"); text != "" {
		limit, err := strconv.Atoi(text)
		if err != nil || limit < 0 {
			return p, jsonapiError(http.StatusBadRequest, "page limit is not a number")
		}
		p.limit = limit
	}
	if text := q.Get("page[skip]"); text != "" {
		skip, err := strconv.Atoi(text)
		if err != nil || skip < 0 {
			return p, jsonapiError(http.StatusBadRequest, "page skip is not a number")
		}
		p.skip = skip
	}
	if text := q.Get("page[cursor]"); text != "" {
		p.cursor = new(cursor)
		parts := []any{&p.cursor.key, &p.cursor.id}
		if err := json.Unmarshal([]byte(text), &parts); err != nil {
			return p, jsonapiError(http.StatusBadRequest, "bad json cursor")
		}
	}
	return p, nil
}

// pageOf cuts a page out of a directory and returns the query of the next one,
// empty at the end.
func (t *tree) pageOf(dir *node, at page) (entries []*node, next string) {
	all := t.sortedChildren(dir)
	start := min(at.skip, len(all))
	if at.cursor != nil {
		start = at.cursor.find(all)
	}
	end := len(all)
	if at.limit > 0 {
		end = min(start+at.limit, len(all))
	}
	if end < len(all) {
		next = nextQuery(dir, all[end], at.limit)
	}
	return all[start:end], next
}

func (c *cursor) find(all []*node) int {
	at := slices.IndexFunc(all, func(n *node) bool { return n.id == c.id })
	if at < 0 {
		return len(all)
	}
	return at
}

func nextQuery(dir, first *node, limit int) string {
	key, _ := json.Marshal([]any{[]string{dir.id, kindName(first), first.name}, first.id})
	q := url.Values{"page[cursor]": {string(key)}, "page[limit]": {strconv.Itoa(limit)}}
	return "?" + q.Encode()
}

func kindName(n *node) string {
	if n.isDir() {
		return "directory"
	}
	return "file"
}

// fullDir is a directory with a page of its entries.
func (t *tree) fullDir(dir *node, at page, url string) document {
	entries, next := t.pageOf(dir, at)
	res := dir.short()
	self := res.Links.Self
	contents := &relation{
		Links: &links{Self: self + "/relationships/contents"},
		Meta:  &countMeta{len(t.sortedChildren(dir))}, Data: references(entries),
	}
	doc := document{Links: &links{}, Included: shorts(entries)}
	if next != "" {
		contents.Links.Next = self + "/relationships/contents" + next
		doc.Links = &links{Next: url + next}
	}
	res.Relationships.Contents = contents
	res.Relationships.NotSynchronized = &relation{Links: &links{Self: self + "/relationships/not_synchronized_on"}}
	res.Relationships.Parent = parentRelation(dir)
	doc.Data = res
	return doc
}

func parentRelation(dir *node) *relation {
	if dir.parent == nil {
		return &relation{}
	}
	return &relation{
		Links: &links{Self: "/files/" + dir.parent.id},
		Data:  reference{ID: dir.parent.id, Type: doctypeFiles},
	}
}

func references(entries []*node) []reference {
	refs := make([]reference, len(entries))
	for i, n := range entries {
		refs[i] = reference{ID: n.id, Type: doctypeFiles}
	}
	return refs
}

func shorts(entries []*node) []resource {
	all := make([]resource, len(entries))
	for i, n := range entries {
		all[i] = n.short()
	}
	return all
}

func (c *call) listContents(id string) error {
	return c.list(id, "/files/"+id+"/relationships/contents")
}

func (c *call) listTrash() error { return c.list(TrashID, "/files/trash") }

func (c *call) list(id, url string) error {
	at, err := c.page()
	if err != nil {
		return err
	}
	if _, err := c.allow(verbGet, doctypeFiles); err != nil {
		return err
	}
	c.inst.mu.Lock() // the listing may have to be sorted
	dir := c.inst.tree.dir(id)
	if dir == nil {
		c.inst.mu.Unlock()
		return noFile()
	}
	entries, next := c.inst.tree.pageOf(dir, at)
	doc := document{
		Data: shorts(entries), Links: &links{},
		Meta: countMeta{len(c.inst.tree.sortedChildren(dir))},
	}
	c.inst.mu.Unlock()
	if next != "" {
		doc.Links = &links{Next: url + next}
	}
	writeDocument(c.writer(), http.StatusOK, doc)
	return nil
}
