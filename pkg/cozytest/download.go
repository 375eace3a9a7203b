package cozytest

import (
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
	"unicode/utf8"
)

func (c *call) downloadByPath() error {
	p, err := c.pathArgument()
	if err != nil {
		return err
	}
	c.w.Header()["Content-Security-Policy"] = downloadPolicy
	return c.serveContent(func(t *tree) *node { return t.byFullPath(p) })
}

func (c *call) download(id string) error {
	return c.serveContent(func(t *tree) *node { return t.byID[id] })
}

// served is what a download needs of a file.
type served struct {
	name, path, mime string
	blob             blob
	updated          time.Time
}

func (c *call) serveContent(find func(*tree) *node) error {
	if _, err := c.allow(verbGet, doctypeFiles); err != nil {
		return err
	}
	c.inst.mu.RLock()
	n := find(c.inst.tree)
	if n == nil || n.isDir() {
		c.inst.mu.RUnlock()
		return noFile()
	}
	f := served{n.name, n.path(), n.mime, n.blob, n.updated}
	c.inst.mu.RUnlock()

	h := c.w.Header()
	h.Set("Content-Disposition", contentDisposition(f.name))
	h.Set("Etag", `"`+f.blob.md5Text()+`"`)
	content, err := c.inst.openContent(f)
	if err != nil {
		return err
	}
	defer content.Close()
	h.Set("Content-Type", f.mime)
	http.ServeContent(c.writer(), c.r, "", f.updated, c.inst.gate.slowContent(c.r.Context(), content))
	return nil
}

// openContent fails for names that are not UTF-8, whose files the real stack
// does not find again, and for contents that were dropped.
func (inst *Instance) openContent(f served) (*os.File, error) {
	if utf8.ValidString(f.name) {
		if file, err := inst.stack.blobs.open(f.blob.key); err == nil {
			return file, nil
		}
	}
	where := storageRoot + inst.host + strings.ToValidUTF8(f.path, "\ufffd")
	return nil, jsonapiError(http.StatusNotFound, "open "+where+": no such file or directory")
}

// contentDisposition gives an ASCII name, and the real one where they differ.
func contentDisposition(name string) string {
	name = strings.ToValidUTF8(name, "\ufffd")
	ascii := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || r == '"' || r == '\\' {
			return -1
		}
		return r
	}, name)
	if ascii == name {
		return `inline; filename="` + name + `"`
	}
	return `inline; filename="` + ascii + `"; filename*=UTF-8''` + url.PathEscape(name)
}
