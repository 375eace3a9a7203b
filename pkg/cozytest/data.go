package cozytest

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// answerData answers what is below /data/.
func (c *call) answerData(rest string) {
	r := c.data(rest)
	c.route = r.name
	if err := r.do(c); err != nil {
		writeDataError(c.writer(), err)
	}
}

// data finds the route of what follows /data/.
func (c *call) data(rest string) routed {
	doctype, tail, slash := strings.Cut(rest, "/")
	id, err := url.PathUnescape(strings.TrimSuffix(tail, "/"))
	if err != nil || !slash || doctype == "" {
		return routed{routeUnknown, func(*call) error { return noRoute() }}
	}
	with := func(do func(*call, string) error) action {
		return func(c *call) error { return do(c, doctype) }
	}
	switch c.r.Method + " " + id {
	case "POST ":
		return routed{"POST /data/:doctype/", with((*call).createDoc)}
	case "POST _find":
		return routed{"POST /data/:doctype/_find", with((*call).findDocs)}
	case "POST _index":
		return routed{"POST /data/:doctype/_index", with((*call).createIndex)}
	case "POST _bulk_docs":
		return routed{"POST /data/:doctype/_bulk_docs", with((*call).bulkDocs)}
	case "GET _all_docs":
		return routed{"GET /data/:doctype/_all_docs", with((*call).allDocs)}
	case "GET _normal_docs":
		return routed{"GET /data/:doctype/_normal_docs", with((*call).normalDocs)}
	case "GET _changes":
		return routed{"GET /data/:doctype/_changes", with((*call).changes)}
	}
	return c.dataByID(doctype, id)
}

func (c *call) dataByID(doctype, id string) routed {
	with := func(do func(*call, string, string) error) action {
		return func(c *call) error { return do(c, doctype, id) }
	}
	switch {
	case id == "" || strings.HasPrefix(id, "_") && !strings.HasPrefix(id, "_design/"):
	case c.r.Method == http.MethodGet:
		return routed{"GET /data/:doctype/:id", with((*call).getDoc)}
	case c.r.Method == http.MethodPut:
		return routed{"PUT /data/:doctype/:id", with((*call).putDoc)}
	case c.r.Method == http.MethodDelete:
		return routed{"DELETE /data/:doctype/:id", with((*call).deleteDoc)}
	}
	return routed{routeUnknown, func(*call) error { return noRoute() }}
}

// allowData also keeps the files out of reach, which have routes of their own.
func (c *call) allowData(verb, doctype string) (*grant, error) {
	g, err := c.allow(verb, doctype)
	if err == nil && doctype == doctypeFiles && verb != verbGet {
		return nil, plainError(http.StatusForbidden, "reserved doctype "+doctype+" unwritable")
	}
	return g, err
}

func (c *call) createDoc(doctype string) error {
	body, err := readDoc(c.r.Body)
	if err != nil {
		return err
	}
	g, err := c.allowData(verbPost, doctype)
	if err != nil {
		return err
	}
	if body["_id"] != nil || body["_rev"] != nil {
		return jsonapiError(http.StatusBadRequest, "cannot create a document with an _id or _rev")
	}
	c.inst.prepareDoc(doctype, body, g)
	saved, err := c.inst.data.database(doctype).put(c.inst.ids.next(), "", body)
	if err != nil {
		return err
	}
	c.answerSaved(http.StatusCreated, doctype, saved)
	return nil
}

// answerSaved shows a document after it was written.
func (c *call) answerSaved(status int, doctype string, saved doc) {
	writeJSON(c.writer(), status, typeJSON, map[string]any{
		"data": withSystemFields(saved.body, saved, doctype),
		"id":   saved.id, "ok": true, "rev": saved.rev, "type": doctype,
	})
}

func (c *call) putDoc(doctype, id string) error {
	body, err := readDoc(c.r.Body)
	if err != nil {
		return err
	}
	g, err := c.allowData(verbPut, doctype)
	if err != nil {
		return err
	}
	bodyID, _ := body["_id"].(string)
	rev, _ := body["_rev"].(string)
	switch {
	case (bodyID == "") != (rev == ""):
		return jsonapiError(http.StatusBadRequest,
			"You must either provide an _id and _rev in document (update) or neither (create with fixed id).")
	case bodyID != "" && bodyID != id:
		return jsonapiError(http.StatusBadRequest, "document _id doesnt match url")
	}
	db := c.inst.data.database(doctype)
	if rev != "" {
		if err := db.mustHave(id); err != nil {
			return err
		}
	}
	c.inst.prepareDoc(doctype, body, g)
	saved, err := db.put(id, rev, body)
	if err != nil {
		return err
	}
	c.answerSaved(http.StatusOK, doctype, saved)
	return nil
}

func (c *call) getDoc(doctype, id string) error {
	g, err := c.allow(verbGet, doctype)
	if err != nil {
		return err
	}
	found, err := c.inst.data.database(doctype).get(id)
	if err != nil {
		return err
	}
	body := found.body
	if doctype == doctypeAccounts && c.seesCredentials(g) {
		body = c.inst.stack.vault.open(body)
	}
	writeJSON(c.writer(), http.StatusOK, typeJSON, withSystemFields(body, found, doctype))
	return nil
}

func (c *call) deleteDoc(doctype, id string) error {
	rev := c.query().Get("rev")
	if rev == "" {
		rev = c.r.Header.Get("If-Match")
	}
	if _, err := c.allowData(verbDelete, doctype); err != nil {
		return err
	}
	if rev == "" {
		return jsonapiError(http.StatusBadRequest, "delete without revision")
	}
	rev, err := c.inst.data.database(doctype).remove(id, rev)
	if err != nil {
		return err
	}
	writeJSON(c.writer(), http.StatusOK, typeJSON, map[string]any{
		"deleted": true, "id": id, "ok": true, "rev": rev, "type": doctype,
	})
	return nil
}

func (c *call) bulkDocs(doctype string) error {
	var body struct {
		Docs []map[string]any `json:"docs"`
	}
	if err := decodeJSON(c.r.Body, &body); err != nil {
		return jsonapiError(http.StatusBadRequest, err.Error())
	}
	g, err := c.allowData(verbPost, doctype)
	if err != nil {
		return err
	}
	results := make([]map[string]any, 0, len(body.Docs))
	for _, one := range body.Docs {
		results = append(results, c.bulkOne(doctype, one, g))
	}
	setCouchHeaders(c.w.Header())
	writeJSON(c.writer(), http.StatusCreated, typeJSON, results)
	return nil
}

func (c *call) bulkOne(doctype string, body map[string]any, g *grant) map[string]any {
	id, _ := body["_id"].(string)
	rev, _ := body["_rev"].(string)
	if id == "" {
		id = c.inst.ids.next()
	}
	db := c.inst.data.database(doctype)
	var err error
	if deleted, _ := body["_deleted"].(bool); deleted {
		rev, err = db.remove(id, rev)
	} else {
		c.inst.prepareDoc(doctype, body, g)
		var saved doc
		saved, err = db.put(id, rev, body)
		rev = saved.rev
	}
	if err != nil {
		e := asAPIError(err)
		return map[string]any{"id": id, "error": e.title, "reason": e.detail}
	}
	return map[string]any{"ok": true, "id": id, "rev": rev}
}

// setCouchHeaders marks the answers that the real stack passes on as they are.
func setCouchHeaders(h http.Header) {
	h.Set("Cache-Control", "must-revalidate")
	h.Set("Server", "CouchDB/3.4.3-dirty (Erlang OTP/25)")
	h.Set("X-Couch-Request-Id", randomText()[:10])
	h.Set("X-Couchdb-Body-Time", "0")
}

// readDoc reads a request's document and hands out numbers as they are.
func readDoc(body io.Reader) (map[string]any, error) {
	var fields map[string]any
	if err := decodeJSON(body, &fields); err != nil {
		return nil, jsonapiError(http.StatusBadRequest, err.Error())
	}
	if fields == nil {
		fields = make(map[string]any)
	}
	return fields, nil
}

func decodeJSON(body io.Reader, v any) error {
	decoder := json.NewDecoder(body)
	decoder.UseNumber()
	if err := decoder.Decode(v); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}
