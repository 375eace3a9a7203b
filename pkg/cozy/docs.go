package cozy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// pageSize is how many documents or files are asked for at once.
const pageSize = 100

// Ref names a document and its revision.
type Ref struct {
	ID  string `json:"_id"`
	Rev string `json:"_rev"`
}

// Doc is a document as the stack gave it, with its _id and _rev.
type Doc struct {
	Ref
	JSON json.RawMessage
}

// UnmarshalJSON keeps the whole document beside its reference.
func (d *Doc) UnmarshalJSON(data []byte) error {
	if err := json.Unmarshal(data, &d.Ref); err != nil {
		return err
	}
	d.JSON = bytes.Clone(data)
	return nil
}

// Decode reads the document's fields.
func (d *Doc) Decode(into any) error {
	if err := json.Unmarshal(d.JSON, into); err != nil {
		return fmt.Errorf("decode document: %w: %w", ErrAnswer, err)
	}
	return nil
}

// GetOption changes what GetDoc asks for.
type GetOption func(query url.Values)

// WithCredentials asks for the password of an account in clear text, which the
// stack gives to the tokens of applications.
func WithCredentials() GetOption {
	return func(query url.Values) { query.Set("include", "credentials") }
}

// GetDoc reads a document into a struct or map (nil: only its reference).
// IsNotFound tells a document that never was or was deleted.
func (i *Instance) GetDoc(ctx context.Context, doctype, id string, into any, options ...GetOption) (Ref, error) {
	const op = "get document"
	path, err := docPath(op, doctype, id)
	if err != nil {
		return Ref{}, err
	}
	query := url.Values{}
	for _, option := range options {
		option(query)
	}
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	var doc Doc
	if err := i.do(ctx, call{op: op, method: http.MethodGet, path: path, most: maxDocs}, &doc); err != nil {
		return Ref{}, err
	}
	if doc.ID == "" || doc.Rev == "" {
		return Ref{}, fmt.Errorf("%s: %w: no id or revision", op, ErrAnswer)
	}
	if into == nil {
		return doc.Ref, nil
	}
	return doc.Ref, doc.Decode(into)
}

// CreateDoc stores a new document under an id that the stack chooses.
func (i *Instance) CreateDoc(ctx context.Context, doctype string, doc any) (Ref, error) {
	const op = "create document"
	body, err := json.Marshal(doc)
	if err != nil {
		return Ref{}, fmt.Errorf("%s: %w", op, err)
	}
	// The route exists only with the slash at its end.
	return i.write(ctx, call{op: op, method: http.MethodPost, path: "/data/" + url.PathEscape(doctype) + "/", body: body})
}

// PutDoc replaces the revision ref of a document; without ref.Rev it creates
// the document under ref.ID. doc must be a JSON object; _id and _rev are taken
// from ref. IsConflict tells a stale revision, IsNotFound a deleted document.
func (i *Instance) PutDoc(ctx context.Context, doctype string, ref Ref, doc any) (Ref, error) {
	const op = "put document"
	path, err := docPath(op, doctype, ref.ID)
	if err != nil {
		return Ref{}, err
	}
	body, err := json.Marshal(doc)
	if err != nil {
		return Ref{}, fmt.Errorf("%s: %w", op, err)
	}
	if body, err = withRef(body, ref); err != nil {
		return Ref{}, fmt.Errorf("%s: %w", op, err)
	}
	return i.write(ctx, call{op: op, method: http.MethodPut, path: path, body: body})
}

// withRef appends _id and _rev: of two equal names in an object the last counts.
// The stack wants both or neither.
func withRef(object []byte, ref Ref) ([]byte, error) {
	head, ok := bytes.CutSuffix(object, []byte("}"))
	if !ok {
		return nil, errors.New("document is not an object")
	}
	if ref.Rev == "" {
		return object, nil
	}
	tail, err := json.Marshal(ref)
	if err != nil {
		return nil, err
	}
	if len(head) == 1 {
		return tail, nil
	}
	return append(append(head, ','), tail[1:]...), nil
}

func (i *Instance) write(ctx context.Context, c call) (Ref, error) {
	c.contentType = "application/json"
	c.most = maxDocs
	var answer struct {
		ID  string `json:"id"`
		Rev string `json:"rev"`
	}
	if err := i.do(ctx, c, &answer); err != nil {
		return Ref{}, err
	}
	if answer.ID == "" || answer.Rev == "" {
		return Ref{}, fmt.Errorf("%s: %w: no id or revision", c.op, ErrAnswer)
	}
	return Ref{ID: answer.ID, Rev: answer.Rev}, nil
}

// Query selects documents. The stack refuses (code no_index) a selector that no
// index serves.
type Query struct {
	Selector map[string]any      `json:"selector"`
	Sort     []map[string]string `json:"sort,omitempty"`
	Fields   []string            `json:"fields,omitempty"` // _id and _rev have to be named when wanted
	UseIndex string              `json:"use_index,omitempty"`
	Limit    int                 `json:"limit,omitempty"` // 0: all
}

// FindDocs gives the documents that a query selects, over as many pages as its
// limit needs. A database that does not exist yet holds none.
func (i *Instance) FindDocs(ctx context.Context, doctype string, q Query) ([]Doc, error) {
	var found []Doc
	wanted, bookmark := q.Limit, ""
	for {
		q.Limit = pageSize
		if wanted > 0 {
			q.Limit = min(pageSize, wanted-len(found))
		}
		page, err := i.findPage(ctx, doctype, q, bookmark)
		if err != nil {
			return nil, err
		}
		found = append(found, page.Docs...)
		full := wanted > 0 && len(found) >= wanted
		if full || !page.Next || page.Bookmark == "" || len(page.Docs) == 0 {
			return found, nil
		}
		bookmark = page.Bookmark
	}
}

type foundPage struct {
	Docs     []Doc  `json:"docs"`
	Next     bool   `json:"next"`
	Bookmark string `json:"bookmark"`
}

func (i *Instance) findPage(ctx context.Context, doctype string, q Query, bookmark string) (foundPage, error) {
	const op = "find documents"
	body, err := json.Marshal(struct {
		Query
		Bookmark string `json:"bookmark,omitempty"`
	}{q, bookmark})
	if err != nil {
		return foundPage{}, fmt.Errorf("%s: %w", op, err)
	}
	var page foundPage
	err = i.do(ctx, call{
		op: op, method: http.MethodPost, path: "/data/" + url.PathEscape(doctype) + "/_find",
		body: body, contentType: "application/json", most: maxDocs,
	}, &page)
	return page, err
}

// NormalDocs gives all documents of a type but the design documents, page by
// page. An error ends the sequence.
func (i *Instance) NormalDocs(ctx context.Context, doctype string) iter.Seq2[Doc, error] {
	return func(yield func(Doc, error) bool) {
		bookmark, seen := "", 0
		for {
			page, err := i.normalPage(ctx, doctype, bookmark)
			if err != nil {
				yield(Doc{}, err)
				return
			}
			for _, doc := range page.Rows {
				if !yield(doc, nil) {
					return
				}
			}
			seen += len(page.Rows)
			if len(page.Rows) < pageSize || seen >= page.Total || page.Bookmark == "" {
				return
			}
			bookmark = page.Bookmark
		}
	}
}

type normalPage struct {
	Total    int    `json:"total_rows"`
	Rows     []Doc  `json:"rows"`
	Bookmark string `json:"bookmark"`
}

func (i *Instance) normalPage(ctx context.Context, doctype, bookmark string) (normalPage, error) {
	query := url.Values{"limit": {strconv.Itoa(pageSize)}}
	if bookmark != "" {
		query.Set("bookmark", bookmark)
	}
	var page normalPage
	err := i.do(ctx, call{
		op: "list documents", method: http.MethodGet,
		path: "/data/" + url.PathEscape(doctype) + "/_normal_docs?" + query.Encode(), most: maxDocs,
	}, &page)
	return page, err
}

// docPath refuses ids that no document has: they would reach other routes.
func docPath(op, doctype, id string) (string, error) {
	if id == "" || id == "." || id == ".." || strings.HasPrefix(id, "_") {
		return "", &Error{Op: op, Status: http.StatusNotFound, Code: "impossible id", kind: kindAbsent}
	}
	return "/data/" + url.PathEscape(doctype) + "/" + url.PathEscape(id), nil
}
