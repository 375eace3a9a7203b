package cozytest

import (
	"net/http"
	"net/url"
	"strings"
	"time"
)

// files finds the route of what follows /files/.
func (c *call) files(rest string) routed {
	first, sub, nested := strings.Cut(rest, "/")
	id, err := url.PathUnescape(first)
	if err != nil {
		return routed{routeUnknown, func(*call) error { return noRoute() }}
	}
	if nested {
		return c.filesNested(id, sub)
	}
	switch key := c.r.Method + " " + first; key {
	case "POST ":
		return routed{"POST /files/", func(c *call) error { return c.create(RootID) }}
	case "PATCH ":
		return routed{"PATCH /files/", (*call).patchMany}
	case "GET metadata":
		return routed{"GET /files/metadata", (*call).showByPath}
	case "PATCH metadata":
		return routed{"PATCH /files/metadata", (*call).patchByPath}
	case "GET download", "HEAD download":
		return routed{"GET /files/download", (*call).downloadByPath}
	case "GET trash":
		return routed{"GET /files/trash", (*call).listTrash}
	case "DELETE trash":
		return routed{"DELETE /files/trash", (*call).emptyTrash}
	case "POST _find":
		return routed{"POST /files/_find", (*call).findFiles}
	case "POST _all_docs":
		return routed{"POST /files/_all_docs", (*call).allFiles}
	}
	return c.filesByID(id)
}

func (c *call) filesByID(id string) routed {
	with := func(do func(*call, string) error) action {
		return func(c *call) error { return do(c, id) }
	}
	switch c.r.Method {
	case http.MethodPost:
		return routed{"POST /files/:id", with((*call).create)}
	case http.MethodGet:
		return routed{"GET /files/:id", with((*call).show)}
	case http.MethodHead:
		return routed{"HEAD /files/:id", with((*call).head)}
	case http.MethodPut:
		return routed{"PUT /files/:id", with((*call).overwrite)}
	case http.MethodPatch:
		return routed{"PATCH /files/:id", with((*call).patchOne)}
	case http.MethodDelete:
		return routed{"DELETE /files/:id", with((*call).discard)}
	}
	return routed{routeUnknown, func(*call) error { return noRoute() }}
}

func (c *call) filesNested(id, sub string) routed {
	with := func(do func(*call, string) error, id string) action {
		return func(c *call) error { return do(c, id) }
	}
	subID, err := url.PathUnescape(sub)
	if err != nil {
		return routed{routeUnknown, func(*call) error { return noRoute() }}
	}
	switch method := c.r.Method; {
	case id == "download" && (method == http.MethodGet || method == http.MethodHead):
		return routed{"GET /files/download/:id", with((*call).download, subID)}
	case id == "trash" && method == http.MethodPost:
		return routed{"POST /files/trash/:id", with((*call).restore, subID)}
	case id == "trash" && method == http.MethodDelete:
		return routed{"DELETE /files/trash/:id", with((*call).destroy, subID)}
	case id == "upload" && sub == "metadata" && method == http.MethodPost:
		return routed{"POST /files/upload/metadata", (*call).uploadMetadata}
	case sub == "relationships/contents" && method == http.MethodGet:
		return routed{"GET /files/:id/relationships/contents", with((*call).listContents, id)}
	case sub == "size" && method == http.MethodGet:
		return routed{"GET /files/:id/size", with((*call).showSize, id)}
	case sub == "copy" && method == http.MethodPost:
		return routed{"POST /files/:id/copy", with((*call).copyFile, id)}
	}
	return routed{routeUnknown, func(*call) error { return noRoute() }}
}

// create answers POST /files/ and POST /files/:id.
func (c *call) create(parentID string) error {
	switch c.query().Get("Type") {
	case "file":
		return c.upload(parentID)
	case "directory":
		return c.makeDir(parentID)
	default:
		return &apiError{
			status: http.StatusUnprocessableEntity, title: "Invalid Attribute",
			detail: "Invalid document type", pointer: "/data/attributes/type",
		}
	}
}

func (c *call) show(id string) error {
	if _, err := c.allow(verbGet, doctypeFiles); err != nil {
		return err
	}
	return c.showNode(func(t *tree) *node { return t.byID[id] }, "/files/"+id)
}

func (c *call) showByPath() error {
	p, err := c.pathArgument()
	if err != nil {
		return err
	}
	if _, err := c.allow(verbGet, doctypeFiles); err != nil {
		return err
	}
	return c.showNode(func(t *tree) *node { return t.byFullPath(p) }, "")
}

func (c *call) pathArgument() (string, error) {
	p := c.query().Get("Path")
	if !strings.HasPrefix(p, "/") {
		return "", jsonapiError(http.StatusBadRequest, "Path should be absolute")
	}
	return p, nil
}

func (c *call) showNode(find func(*tree) *node, page string) error {
	at, err := c.page()
	if err != nil {
		return err
	}
	c.inst.mu.Lock() // a listing may have to be sorted
	n := find(c.inst.tree)
	if n == nil {
		c.inst.mu.Unlock()
		return noFile()
	}
	doc := c.inst.tree.fullDocument(n, at, page)
	c.inst.mu.Unlock()
	writeDocument(c.writer(), http.StatusOK, doc)
	return nil
}

// fullDocument is a file with its versions or a directory with a page of what
// is in it.
func (t *tree) fullDocument(n *node, at page, url string) document {
	if !n.isDir() {
		return n.fullFile()
	}
	if url == "" {
		url = "/files/" + n.id
	}
	return t.fullDir(n, at, url)
}

func (c *call) head(id string) error {
	if _, err := c.allow(verbGet, doctypeFiles); err != nil {
		return err
	}
	c.inst.mu.RLock()
	known := c.inst.tree.byID[id] != nil
	c.inst.mu.RUnlock()
	if !known {
		c.writer().WriteHeader(http.StatusNotFound)
		return nil
	}
	c.writer().WriteHeader(http.StatusOK)
	return nil
}

func (c *call) showSize(id string) error {
	if _, err := c.allow(verbGet, doctypeFiles); err != nil {
		return err
	}
	c.inst.mu.RLock()
	dir := c.inst.tree.dir(id)
	var size int64
	if dir != nil {
		size = dir.totalSize()
	}
	c.inst.mu.RUnlock()
	if dir == nil {
		return noFile()
	}
	writeDocument(c.writer(), http.StatusOK, document{Data: resource{
		Type: "io.cozy.files.sizes", ID: id, Attributes: map[string]string{"size": itoa(size)},
	}})
	return nil
}

func (n *node) totalSize() int64 {
	if !n.isDir() {
		return n.blob.size
	}
	var total int64
	for _, child := range n.children {
		total += child.totalSize()
	}
	return total
}

// checkIfMatch compares a request's If-Match with a revision; quotes are part
// of the value on the real stack too.
func checkIfMatch(r *http.Request, n *node) error {
	if want := r.Header.Get("If-Match"); want != "" && want != n.rev.String() {
		return preconditionFailed("If-Match", "Revision does not match")
	}
	return nil
}

func (n *node) touch(inst *Instance, g *grant) {
	n.rev = n.rev.next()
	n.meta.touch(time.Now().UTC(), g.slug, inst.pageURL)
}
