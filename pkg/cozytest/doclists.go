package cozytest

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
)

// number reads a numeric argument; absent or unreadable gives fallback.
func (c *call) number(name string, fallback int) int {
	n, err := strconv.Atoi(c.query().Get(name))
	if err != nil || n < 0 {
		return fallback
	}
	return n
}

// allDocs passes the database's own listing on, design documents included.
func (c *call) allDocs(doctype string) error {
	if _, err := c.allow(verbGet, doctype); err != nil {
		return err
	}
	db := c.inst.data.database(doctype)
	rows, err := db.allRows(c.query().Get("include_docs") == "true")
	if err != nil {
		return err
	}
	total := len(rows)
	skip := min(c.number("skip", 0), total)
	rows = rows[skip:min(total, skip+c.number("limit", total))]
	setCouchHeaders(c.w.Header())
	writeJSON(c.writer(), http.StatusOK, typeJSON, map[string]any{
		"total_rows": total, "offset": skip, "rows": rows,
	})
	return nil
}

type row struct {
	ID    string            `json:"id"`
	Key   string            `json:"key"`
	Value map[string]string `json:"value"`
	Doc   map[string]any    `json:"doc,omitempty"`
}

func (db *database) allRows(withDocs bool) ([]row, error) {
	designs, ok := db.designs()
	if !ok {
		return nil, noDatabase()
	}
	rows := []row{}
	for _, d := range append(designs, db.living()...) {
		r := row{ID: d.id, Key: d.id, Value: map[string]string{"rev": d.rev}}
		if withDocs {
			r.Doc = withSystemFields(d.body, d, "")
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// designs shows the indexes as the documents that hold them.
func (db *database) designs() (docs []doc, exists bool) {
	db.mu.RLock()
	defer db.mu.RUnlock()
	for _, x := range db.indexes {
		sorts := make(map[string]string)
		for _, field := range x.fields {
			sorts[field] = "asc"
		}
		view := map[string]any{
			"map":    map[string]any{"fields": sorts, "partial_filter_selector": struct{}{}},
			"reduce": "_count", "options": map[string]any{"def": map[string]any{"fields": x.fields}},
		}
		docs = append(docs, doc{id: "_design/" + x.name, rev: x.rev, body: map[string]any{
			"language": "query", "views": map[string]any{x.name: view},
		}})
	}
	slices.SortFunc(docs, func(a, b doc) int { return cmp.Compare(a.id, b.id) })
	return docs, db.exists()
}

// normalDocs lists documents without the design ones.
func (c *call) normalDocs(doctype string) error {
	if _, err := c.allow(verbGet, doctype); err != nil {
		return err
	}
	db := c.inst.data.database(doctype)
	if _, exists := db.designs(); !exists {
		return noDatabase()
	}
	docs := db.living()
	q := findQuery{
		Limit: c.number("limit", defaultFindLimit), Skip: c.number("skip", 0),
		Bookmark: c.query().Get("bookmark"),
	}
	rows, bookmark, _ := q.run(docs, nil)
	writeJSON(c.writer(), http.StatusOK, typeJSON, map[string]any{
		"total_rows": len(docs), "rows": rows, "bookmark": bookmark,
	})
	return nil
}

type change struct {
	ID      string              `json:"id"`
	Seq     string              `json:"seq"`
	Doc     any                 `json:"doc"`
	Deleted bool                `json:"deleted,omitempty"`
	Changes []map[string]string `json:"changes"`

	at int
}

func (c *call) changes(doctype string) error {
	if _, err := c.allow(verbGet, doctype); err != nil {
		return err
	}
	db := c.inst.data.database(doctype)
	if _, exists := db.designs(); !exists {
		return noDatabase()
	}
	since, _ := strconv.Atoi(firstField(c.query().Get("since")))
	list := db.changesSince(since, c.query().Get("include_docs") == "true")
	shown := list[:min(len(list), c.number("limit", len(list)))]
	last := sequence(since)
	if len(shown) > 0 {
		last = shown[len(shown)-1].Seq
	}
	writeJSON(c.writer(), http.StatusOK, typeJSON, map[string]any{
		"last_seq": last, "pending": len(list) - len(shown), "results": shown,
	})
	return nil
}

func sequence(n int) string { return strconv.Itoa(n) + "-cozytest" }

func firstField(seq string) string {
	for i, r := range seq {
		if r < '0' || r > '9' {
			return seq[:i]
		}
	}
	return seq
}

func (db *database) changesSince(since int, withDocs bool) []change {
	list := []change{}
	designs, _ := db.designs()
	db.mu.RLock()
	defer db.mu.RUnlock()
	for i, d := range designs {
		list = append(list, newChange(d, i+1))
	}
	for _, d := range db.docs {
		entry := newChange(*d, len(designs)+d.seq)
		if withDocs {
			entry.Doc = withSystemFields(d.body, *d, "")
		}
		list = append(list, entry)
	}
	list = slices.DeleteFunc(list, func(c change) bool { return c.at <= since })
	slices.SortFunc(list, func(a, b change) int { return cmp.Compare(a.at, b.at) })
	return list
}

func newChange(d doc, at int) change {
	return change{
		ID: d.id, Seq: sequence(at), Deleted: d.deleted,
		Changes: []map[string]string{{"rev": d.rev}}, at: at,
	}
}

// Doc returns a document of the instance, with _id and _rev, and whether it is
// there. Passwords of accounts are shown in the clear.
func (inst *Instance) Doc(doctype, id string) (map[string]any, bool) {
	d, err := inst.data.database(doctype).get(id)
	if err != nil {
		return nil, false
	}
	return withSystemFields(inst.stack.vault.open(d.body), d, ""), true
}

// Docs returns all documents of a type as Doc does, ordered by id.
func (inst *Instance) Docs(doctype string) []map[string]any {
	all := []map[string]any{}
	for _, d := range inst.data.database(doctype).living() {
		all = append(all, withSystemFields(inst.stack.vault.open(d.body), d, ""))
	}
	return all
}

// PutDoc writes a document over whatever is there and returns its id and
// revision. An empty id makes a new one. The value is encoded as JSON.
func (inst *Instance) PutDoc(doctype, id string, value any) (newID, rev string, err error) {
	text, err := json.Marshal(value)
	if err != nil {
		return "", "", err
	}
	var body map[string]any
	if err := json.Unmarshal(text, &body); err != nil {
		return "", "", err
	}
	if id == "" {
		id = inst.ids.next()
	}
	inst.prepareDoc(doctype, body, nil)
	db := inst.data.database(doctype)
	for {
		var current string
		if d, err := db.get(id); err == nil {
			current = d.rev
		}
		saved, err := db.put(id, current, body)
		if err == nil || asAPIError(err).status != http.StatusConflict {
			return id, saved.rev, err
		}
	}
}
