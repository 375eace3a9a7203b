package cozytest

import (
	"encoding/hex"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"
)

// Entry is one directory or file as Walk shows it.
type Entry struct {
	Path       string    `json:"path"`
	ID         string    `json:"id"`
	DirID      string    `json:"dir_id,omitempty"`
	Dir        bool      `json:"dir"`
	Size       int64     `json:"size"`
	MD5        string    `json:"md5,omitempty"` // hexadecimal
	Mime       string    `json:"mime,omitempty"`
	CreatedAt  time.Time `json:"created_at"`
	UpdatedAt  time.Time `json:"updated_at"`
	Executable bool      `json:"executable,omitempty"`
	Trashed    bool      `json:"trashed,omitempty"`
	Favorite   bool      `json:"favorite,omitempty"`
	Tags       []string  `json:"tags,omitempty"`
	Versions   int       `json:"versions,omitempty"`
	Source     string    `json:"source_account,omitempty"`
	SourceID   string    `json:"source_account_identifier,omitempty"`
}

// Walk calls visit for every entry below the root, each directory before what
// is in it and otherwise in the byte order of names; the trash comes with the
// rest, marked. It goes by one state of the tree, taken at the start.
func (inst *Instance) Walk(visit func(Entry) error) error {
	for _, e := range inst.Entries() {
		if err := visit(e); err != nil {
			return err
		}
	}
	return nil
}

// Entries returns what Walk visits.
func (inst *Instance) Entries() []Entry {
	inst.mu.RLock()
	defer inst.mu.RUnlock()
	entries := make([]Entry, 0, len(inst.tree.byID))
	var add func(dir *node, path string, trashed bool)
	add = func(dir *node, path string, trashed bool) {
		for _, n := range byName(dir.children) {
			below := trashed || n.id == TrashID
			e := n.entry(joinPath(path, n.name), below)
			entries = append(entries, e)
			if n.isDir() {
				add(n, e.Path, below)
			}
		}
	}
	add(inst.tree.root, "/", false)
	return entries
}

func byName(children map[string]*node) []*node {
	all := make([]*node, 0, len(children))
	for _, n := range children {
		all = append(all, n)
	}
	slices.SortFunc(all, func(a, b *node) int { return strings.Compare(a.name, b.name) })
	return all
}

func (n *node) entry(path string, trashed bool) Entry {
	e := Entry{
		Path: path, ID: n.id, DirID: n.parent.id, Dir: n.isDir(),
		CreatedAt: n.created, UpdatedAt: n.updated, Trashed: trashed,
		Favorite: n.meta.Favorite, Tags: n.tags,
		Source: n.meta.SourceAccount, SourceID: n.meta.SourceIdentifier,
	}
	if !n.isDir() {
		e.Size, e.MD5, e.Mime = n.blob.size, hex.EncodeToString(n.blob.md5[:]), n.mime
		e.Executable, e.Versions = n.executable, len(n.versions)
	}
	return e
}

// Lookup finds an entry by its exact path; the trash is "/.cozy_trash".
func (inst *Instance) Lookup(path string) (Entry, bool) {
	inst.mu.RLock()
	defer inst.mu.RUnlock()
	n := inst.tree.exact(path)
	if n == nil || n.parent == nil {
		return Entry{}, false
	}
	return n.entry(path, n.inTrash()), true
}

func (t *tree) exact(path string) *node {
	n := t.root
	for name := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		if n == nil || !n.isDir() {
			return nil
		}
		n = n.children[name]
	}
	return n
}

// Open returns the content of a file by its exact path. It fails with
// fs.ErrNotExist for what is not a file, and for contents that were dropped.
func (inst *Instance) Open(path string) (io.ReadCloser, error) {
	inst.mu.RLock()
	n := inst.tree.exact(path)
	if n == nil || n.isDir() {
		inst.mu.RUnlock()
		return nil, fs.ErrNotExist
	}
	key := n.blob.key
	inst.mu.RUnlock()
	return inst.stack.blobs.open(key)
}

// Usage returns the bytes of current contents and of old versions.
func (inst *Instance) Usage() (files, versions int64) {
	inst.mu.RLock()
	defer inst.mu.RUnlock()
	return inst.tree.files, inst.tree.old
}
