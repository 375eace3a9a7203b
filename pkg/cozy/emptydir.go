package cozy

import (
	"context"
	"net/http"
)

// EmptyDir says whether nothing is in a folder. IsNotFound tells a missing one.
func (i *Instance) EmptyDir(ctx context.Context, id string) (bool, error) {
	var page struct {
		Data []struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	err := i.do(ctx, call{
		op: "look into folder", method: http.MethodGet,
		path: filePath(id) + "/relationships/contents?page[limit]=1", most: maxFiles,
	}, &page)
	return len(page.Data) == 0, err
}
