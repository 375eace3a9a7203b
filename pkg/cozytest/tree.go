package cozytest

import (
	"bytes"
	"cmp"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/text/collate"
	"golang.org/x/text/language"
	"golang.org/x/text/unicode/norm"
)

// tree is an instance's virtual file system. The instance's lock guards it.
type tree struct {
	root   *node
	trash  *node
	byID   map[string]*node
	byPath map[string][]*node // normalized path -> directories, by id
	files  int64              // bytes of current contents, trash included
	old    int64              // bytes of old versions
	binned int64              // bytes of files in the trash
}

func newTree(now time.Time) *tree {
	t := &tree{byID: make(map[string]*node), byPath: make(map[string][]*node)}
	t.root = newDir(RootID, "", now)
	t.root.rev = firstRevision()
	t.byID[RootID] = t.root
	t.index(t.root)
	t.trash = newDir(TrashID, trashName, now)
	t.trash.rev = firstRevision()
	t.attach(t.trash, t.root)
	return t
}

func newDir(id, name string, now time.Time) *node {
	return &node{
		id: id, rev: firstRevision(), name: name, created: now, updated: now,
		meta: newCozyMetadata(now), dirPart: &dirPart{children: make(map[string]*node)},
	}
}

// dir returns the directory with an id, or nil.
func (t *tree) dir(id string) *node {
	if n := t.byID[id]; n != nil && n.isDir() {
		return n
	}
	return nil
}

// file returns the file with an id, or nil.
func (t *tree) file(id string) *node {
	if n := t.byID[id]; n != nil && !n.isDir() {
		return n
	}
	return nil
}

// attach puts a node that is nowhere into a directory.
func (t *tree) attach(n, parent *node) {
	n.parent = parent
	parent.children[n.name] = n
	parent.sorted = nil
	t.byID[n.id] = n
	if n.isDir() {
		t.indexAll(n)
		return
	}
	current, versions := n.used()
	t.files += current
	t.old += versions
	if n.trashed {
		t.binned += current
	}
}

// detach takes a node out of its directory; its ids are forgotten.
func (t *tree) detach(n *node) {
	delete(n.parent.children, n.name)
	n.parent.sorted = nil
	delete(t.byID, n.id)
	if n.isDir() {
		t.forgetAll(n)
		return
	}
	current, versions := n.used()
	t.files -= current
	t.old -= versions
	if n.trashed {
		t.binned -= current
	}
}

// move gives a node another name or directory, or both.
func (t *tree) move(n, parent *node, name string) {
	delete(n.parent.children, n.name)
	n.parent.sorted = nil
	if n.isDir() {
		t.forgetAll(n)
	}
	n.name, n.parent = name, parent
	parent.children[name] = n
	parent.sorted = nil
	if n.isDir() {
		t.indexAll(n)
	}
}

// markTrashed sets the flag of every file at and below n and calls changed for
// those where it was different.
func (t *tree) markTrashed(n *node, trashed bool, changed func(*node)) {
	if n.isDir() {
		for _, child := range n.children {
			t.markTrashed(child, trashed, changed)
		}
		return
	}
	if n.trashed == trashed {
		return
	}
	n.trashed = trashed
	if trashed {
		t.binned += n.blob.size
	} else {
		t.binned -= n.blob.size
	}
	changed(n)
}

// index notes where a directory is. Paths that are canonically equal share a
// key, as they do in the database of the real stack.
func (t *tree) index(n *node) {
	n.pathKey = norm.NFC.String(n.path())
	list := t.byPath[n.pathKey]
	at, _ := slices.BinarySearchFunc(list, n, func(a, b *node) int { return strings.Compare(a.id, b.id) })
	t.byPath[n.pathKey] = slices.Insert(list, at, n)
}

func (t *tree) indexAll(n *node) {
	t.index(n)
	for _, child := range n.children {
		if child.isDir() {
			t.indexAll(child)
		}
	}
}

func (t *tree) forgetAll(n *node) {
	list := slices.DeleteFunc(t.byPath[n.pathKey], func(m *node) bool { return m == n })
	if t.byPath[n.pathKey] = list; len(list) == 0 {
		delete(t.byPath, n.pathKey)
	}
	for _, child := range n.children {
		if child.isDir() {
			t.forgetAll(child)
		}
	}
}

// dirByPath finds the oldest of the directories whose paths differ only by
// their normalization.
func (t *tree) dirByPath(p string) *node {
	if list := t.byPath[norm.NFC.String(path.Clean(p))]; len(list) > 0 {
		return list[0]
	}
	return nil
}

// byFullPath finds a directory, or a file by its exact name.
func (t *tree) byFullPath(p string) *node {
	if dir := t.dirByPath(p); dir != nil {
		return dir
	}
	p = path.Clean(p)
	if dir := t.dirByPath(path.Dir(p)); dir != nil {
		return dir.children[path.Base(p)]
	}
	return nil
}

// sortedChildren is the order of listings: directories first, then by name as
// the database collates. The trash is in no listing.
func (t *tree) sortedChildren(dir *node) []*node {
	if dir.sorted == nil {
		dir.sorted = sortNodes(dir.children)
	}
	return dir.sorted
}

var collators = sync.Pool{New: func() any { return collate.New(language.Und) }}

func sortNodes(children map[string]*node) []*node {
	collator, _ := collators.Get().(*collate.Collator)
	defer collators.Put(collator)
	var buffer collate.Buffer
	type keyed struct {
		node *node
		key  []byte
	}
	all := make([]keyed, 0, len(children))
	for _, n := range children {
		if n.id != TrashID {
			all = append(all, keyed{n, collator.KeyFromString(&buffer, n.name)})
		}
	}
	slices.SortFunc(all, func(a, b keyed) int {
		return cmp.Or(
			cmp.Compare(kindOrder(a.node), kindOrder(b.node)),
			bytes.Compare(a.key, b.key),
			cmp.Compare(a.node.id, b.node.id),
		)
	})
	sorted := make([]*node, len(all))
	for i, k := range all {
		sorted[i] = k.node
	}
	return sorted
}

func kindOrder(n *node) int {
	if n.isDir() {
		return 0
	}
	return 1
}
