package sides_test

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

	"example.org/ncm/test/rig"
)

// What another app of the instance's owner does beside the migration.

// made is the stack's answer to whoever makes a file or folder.
type made struct {
	Data struct {
		ID string `json:"id"`
	} `json:"data"`
}

func (c *scene) makeFolder(parent, name string) (id string) {
	c.t.Helper()
	answer := c.asStack(http.MethodPost, "/files/"+parent+"?Type=directory&Name="+url.QueryEscape(name), "", http.StatusCreated)
	return idOf(c, answer)
}

func (c *scene) upload(parent, name, content string) (id string) {
	c.t.Helper()
	answer := c.asStack(http.MethodPost, "/files/"+parent+"?Type=file&Name="+url.QueryEscape(name), content, http.StatusCreated)
	return idOf(c, answer)
}

func idOf(c *scene, answer rig.Answer) string {
	c.t.Helper()
	var m made
	decode(c.t, []byte(answer.Body), &m)
	return m.Data.ID
}

// trash moves an entry to the trash; destroy leaves nothing of it.
func (c *scene) trash(id string) {
	c.t.Helper()
	c.asStack(http.MethodDelete, "/files/"+id, "", http.StatusOK)
}

func (c *scene) destroy(id string) {
	c.t.Helper()
	c.asStack(http.MethodDelete, "/files/trash/"+id, "", http.StatusNoContent)
}

func (c *scene) rename(id, name string) {
	c.t.Helper()
	body := fmt.Sprintf(`{"data":{"type":"io.cozy.files","id":%q,"attributes":{"name":%q}}}`, id, name)
	c.asStack(http.MethodPatch, "/files/"+id, body, http.StatusOK)
}

// idAt finds an entry below the target folder; "" is the folder itself.
func (c *scene) idAt(path string) string {
	c.t.Helper()
	full := strings.TrimSuffix(rig.TargetDir+"/"+path, "/")
	for id, e := range c.targetEntries() {
		if e.Path == full {
			return id
		}
	}
	c.t.Fatalf("the target has no %s", full)
	return ""
}

func (c *scene) read(path string) string {
	c.t.Helper()
	content, err := os.ReadFile(c.disk(path))
	if err != nil {
		c.t.Fatal(err)
	}
	return string(content)
}
