package cozytest

import (
	"cmp"
	"crypto/sha1"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
)

// index lets _find look for its fields; a search without one is refused.
type index struct {
	name   string
	fields []string
	rev    string
}

const noIndexReason = "no matching index found, create an index"

// findQuery is the body of a _find.
type findQuery struct {
	Selector map[string]any `json:"selector"`
	Fields   []string       `json:"fields"`
	Limit    int            `json:"limit"`
	Skip     int            `json:"skip"`
	Bookmark string         `json:"bookmark"`
	UseIndex any            `json:"use_index"`
}

const defaultFindLimit = 100

func (q *findQuery) limit() int {
	if q.Limit > 0 {
		return q.Limit
	}
	return defaultFindLimit
}

func (db *database) addIndex(name string, fields []string) (created bool) {
	db.mu.Lock()
	defer db.mu.Unlock()
	for _, known := range db.indexes {
		if slices.Equal(known.fields, fields) {
			return false
		}
	}
	db.seq++
	db.indexes[name] = index{name: name, fields: fields, rev: firstRevision().String()}
	return true
}

// indexFor returns the fields of an index whose fields the selector names all.
func (db *database) indexFor(selector map[string]any) ([]string, bool) {
	if _, ok := selector["_id"]; ok {
		return []string{"_id"}, true
	}
	db.mu.RLock()
	defer db.mu.RUnlock()
	for _, candidate := range db.indexes {
		named := func(field string) bool { _, ok := selector[field]; return ok }
		if !slices.ContainsFunc(candidate.fields, func(f string) bool { return !named(f) }) {
			return candidate.fields, true
		}
	}
	return nil, false
}

func (c *call) createIndex(doctype string) error {
	var body struct {
		Name  string `json:"name"`
		DDoc  string `json:"ddoc"`
		Index struct {
			Fields []string `json:"fields"`
		} `json:"index"`
	}
	if err := decodeJSON(c.r.Body, &body); err != nil {
		return jsonapiError(http.StatusBadRequest, err.Error())
	}
	if _, err := c.allowData(verbGet, doctype); err != nil {
		return err
	}
	sum := sha1.Sum([]byte(strings.Join(body.Index.Fields, ",")))
	name := cmp.Or(strings.TrimPrefix(body.DDoc, "_design/"), body.Name, hex.EncodeToString(sum[:]))
	result := "exists"
	if c.inst.data.database(doctype).addIndex(name, body.Index.Fields) {
		result = "created"
	}
	writeJSON(c.writer(), http.StatusOK, typeJSON, map[string]string{
		"result": result, "id": "_design/" + name, "name": name,
	})
	return nil
}

func (c *call) findDocs(doctype string) error {
	var q findQuery
	if err := decodeJSON(c.r.Body, &q); err != nil {
		return jsonapiError(http.StatusBadRequest, err.Error())
	}
	if _, err := c.allow(verbGet, doctype); err != nil {
		return err
	}
	fields, ok := c.inst.data.database(doctype).indexFor(q.Selector)
	if !ok {
		return couchError(http.StatusBadRequest, "no_index", noIndexReason)
	}
	found, bookmark, more := q.run(c.inst.data.database(doctype).living(), fields)
	writeJSON(c.writer(), http.StatusOK, typeJSON, map[string]any{
		"docs": found, "limit": q.limit(), "next": more, "bookmark": bookmark,
	})
	return nil
}

// run gives the matches in the index's order.
func (q *findQuery) run(docs []doc, order []string) (found []map[string]any, bookmark string, more bool) {
	slices.SortStableFunc(docs, func(a, b doc) int {
		for _, field := range order {
			if d := compareValues(a.body[field], b.body[field]); d != 0 {
				return d
			}
		}
		return 0
	})
	found = []map[string]any{}
	after, skip := decodeBookmark(q.Bookmark), q.Skip
	bookmark = q.Bookmark
	for _, d := range docs {
		fields := withSystemFields(d.body, d, "")
		switch {
		case !matches(q.Selector, fields):
		case after != "":
			if d.id == after {
				after = ""
			}
		case skip > 0:
			skip--
		case len(found) == q.limit():
			return found, bookmark, true
		default:
			found = append(found, q.pick(fields))
			bookmark = encodeBookmark(d.id)
		}
	}
	return found, bookmark, false
}

func (q *findQuery) pick(fields map[string]any) map[string]any {
	if len(q.Fields) == 0 {
		return fields
	}
	picked := make(map[string]any, len(q.Fields))
	for _, name := range q.Fields {
		if value, ok := fields[name]; ok {
			picked[name] = value
		}
	}
	return picked
}
