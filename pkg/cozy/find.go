package cozy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// maxPages bounds how many pages of a folder are read for one name.
const maxPages = 20_000

// findFields are the fields that a File is made of. A note's whole text is
// among the others.
var findFields = [...]string{
	"type", "name", "dir_id", "path", "size", "md5sum", "mime", "executable", "trashed", "created_at", "updated_at",
}

// FindInDir looks a name up in a folder and compares it byte for byte: the
// database alone takes the composed and the decomposed form of a letter for
// equal. IsNotFound tells that nothing has the name.
func (i *Instance) FindInDir(ctx context.Context, dirID, name string) (File, error) {
	found, err := i.findByQuery(ctx, dirID, name)
	if queryRefused(err) {
		return i.findByListing(ctx, dirID, name)
	}
	return found, err
}

// queryRefused says whether the stack has no index for the query, or the token
// only sees folders one by one.
func queryRefused(err error) bool {
	var e *Error
	if !errors.As(err, &e) || e.kind != kindOther {
		return false
	}
	switch e.Status {
	case http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound,
		http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return true
	}
	return false
}

func (i *Instance) findByQuery(ctx context.Context, dirID, name string) (File, error) {
	const op = "find name in folder"
	body, err := json.Marshal(map[string]any{
		"selector": map[string]string{"dir_id": dirID, "name": name},
		"fields":   findFields,
		"limit":    pageSize,
	})
	if err != nil {
		return File{}, fmt.Errorf("%s: %w", op, err)
	}
	return i.findOverPages(ctx, call{
		op: op, method: http.MethodPost, path: "/files/_find",
		body: body, contentType: "application/json", most: maxFiles,
	}, name)
}

func (i *Instance) findByListing(ctx context.Context, dirID, name string) (File, error) {
	return i.findOverPages(ctx, call{
		op: "list folder", method: http.MethodGet,
		path: fmt.Sprintf("%s/relationships/contents?page[limit]=%d", filePath(dirID), pageSize), most: maxFiles,
	}, name)
}

// findOverPages follows the links to the next page until the name is there.
func (i *Instance) findOverPages(ctx context.Context, c call, name string) (File, error) {
	for range maxPages {
		var page struct {
			Data  []fileJSON `json:"data"`
			Links struct {
				Next string `json:"next"`
			} `json:"links"`
		}
		if err := i.do(ctx, c, &page); err != nil {
			return File{}, err
		}
		for k := range page.Data {
			if page.Data[k].Attributes.Name == name {
				return page.Data[k].file(c.op)
			}
		}
		if page.Links.Next == "" || page.Links.Next == c.path || len(page.Data) == 0 {
			return File{}, &Error{Op: c.op, Status: http.StatusNotFound, Code: "no such name", kind: kindAbsent}
		}
		if !strings.HasPrefix(page.Links.Next, "/files/") {
			return File{}, fmt.Errorf("%s: %w: link to another place", c.op, ErrAnswer)
		}
		c.path = page.Links.Next
	}
	return File{}, fmt.Errorf("%s: %w: more than %d pages", c.op, ErrAnswer, maxPages)
}
