package transfertest

import (
	"bytes"
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"example.org/ncm/services/migrator/internal/transfer"
)

// RootID is the folder of a Target that exists from the start.
const RootID = "root"

// Target is a tree in memory. Set the fields before it is used.
type Target struct {
	// Fault is asked before each call ("folder", "create", "replace", "mark",
	// "add marks", "find", "find all", "remove", "check") with the entry's name; an error is the
	// call's answer.
	Fault func(call, name string) error
	// After is asked when a create or replace has succeeded: an error loses the answer.
	After func(name string) error
	// Mangle changes what arrives of a file.
	Mangle func(name string, content []byte) []byte
	// Spoil changes what is stored of it.
	Spoil func(name string, content []byte) []byte

	mu      sync.Mutex
	nodes   map[string]*node // by id
	creates int
	removes int

	replaces int
	ahead    int
	refused  int
}

type node struct {
	transfer.Stored
	marks   transfer.Marks
	parent  string
	content string
}

var _ transfer.Target = (*Target)(nil)

// Tree gives the content of every file by its path, and "/" for folders.
func (t *Target) Tree() map[string]string {
	t.mu.Lock()
	defer t.mu.Unlock()
	tree := map[string]string{}
	for _, n := range t.nodes {
		p := n.Name
		for at := n.parent; at != RootID; at = t.nodes[at].parent {
			p = t.nodes[at].Name + "/" + p
		}
		if n.Folder {
			tree[p] = "/"
		} else {
			tree[p] = n.content
		}
	}
	return tree
}

// Favorites are the sorted names of all that was marked as one.
func (t *Target) Favorites() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var names []string
	for _, n := range t.nodes {
		if n.marks.Favorite {
			names = append(names, n.Name)
		}
	}
	slices.Sort(names)
	return names
}

// Creates is how many files were stored, Removes how many were removed.
func (t *Target) Creates() int { t.mu.Lock(); defer t.mu.Unlock(); return t.creates }

// Removes is how many files were removed.
func (t *Target) Removes() int { t.mu.Lock(); defer t.mu.Unlock(); return t.removes }

// Put stores a file as somebody else would.
func (t *Target) Put(parentID, name, content string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.add(parentID, name, false, []byte(content))
}

func (t *Target) add(parentID, name string, folder bool, content []byte) *node {
	if t.nodes == nil {
		t.nodes = map[string]*node{}
	}
	n := &node{parent: parentID, content: string(content)}
	n.Stored = transfer.Stored{ID: fmt.Sprint("id", len(t.nodes)+t.removes), ParentID: parentID, Name: name, Folder: folder}
	if !folder {
		sum := md5.Sum(content)
		n.Size, n.MD5 = int64(len(content)), sum[:]
	}
	t.nodes[n.ID] = n
	return n
}

func (t *Target) named(parentID, name string) *node {
	for _, n := range t.nodes {
		if n.parent == parentID && n.Name == name {
			return n
		}
	}
	return nil
}

func (t *Target) fault(call, name string) error {
	if t.Fault != nil {
		return t.Fault(call, name)
	}
	return nil
}

func refused(reason transfer.Reason, err error) error {
	return &transfer.Error{Side: transfer.SideTarget, Class: transfer.EntryFails, Reason: reason, Err: err}
}

// EnsureFolder implements transfer.Target.
func (t *Target) EnsureFolder(_ context.Context, f transfer.NewFolder) (transfer.Stored, error) {
	if err := t.fault("folder", f.Name); err != nil {
		return transfer.Stored{}, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.parentGone(f.ParentID); err != nil {
		return transfer.Stored{}, err
	}
	n := t.named(f.ParentID, f.Name)
	switch {
	case n == nil:
		return t.add(f.ParentID, f.Name, true, nil).Stored, nil
	case !n.Folder:
		return transfer.Stored{}, refused(transfer.ReasonNameTaken, transfer.ErrNameTaken)
	default:
		return n.Stored, nil
	}
}

// Mark implements transfer.Target. Tags are given at creation.
func (t *Target) Mark(_ context.Context, id string, m transfer.Marks) error {
	if err := t.fault("mark", id); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := t.nodes[id]; n != nil {
		n.marks.Favorite = m.Favorite
	}
	return nil
}

// AddMarks implements transfer.Target.
func (t *Target) AddMarks(_ context.Context, id string, m transfer.Marks) error {
	if err := t.fault("add marks", id); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := t.nodes[id]; n != nil {
		n.marks.Favorite = n.marks.Favorite || m.Favorite
		n.marks.Tags = append(n.marks.Tags, m.Tags...)
	}
	return nil
}

// Unmark takes the marks of an entry away as its owner would.
func (t *Target) Unmark(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.nodes[id].marks = transfer.Marks{}
}

// Trash takes a folder away, with all that is in it.
func (t *Target) Trash(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.trash(id)
}

func (t *Target) trash(id string) {
	for childID, n := range t.nodes {
		if n.parent == id {
			t.trash(childID)
		}
	}
	delete(t.nodes, id)
	t.removes++
}

// ID gives the id of what has a name in a folder.
func (t *Target) ID(parentID, name string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := t.named(parentID, name); n != nil {
		return n.ID
	}
	return ""
}

// parentGone says whether a folder does not exist.
func (t *Target) parentGone(id string) error {
	if _, ok := t.nodes[id]; ok || id == RootID {
		return nil
	}
	return refused(transfer.ReasonParentGone, errors.New("no such folder"))
}

// Create implements transfer.Target.
func (t *Target) Create(_ context.Context, f transfer.NewFile) (transfer.Stored, error) {
	if err := t.fault("create", f.Name); err != nil {
		return transfer.Stored{}, err
	}
	t.mu.Lock()
	taken, gone := t.named(f.ParentID, f.Name) != nil, t.parentGone(f.ParentID)
	t.mu.Unlock()
	if gone != nil {
		return transfer.Stored{}, gone
	}
	if taken {
		return transfer.Stored{}, refused(transfer.ReasonNameTaken, transfer.ErrNameTaken)
	}
	content, err := contentOf(f)
	if err == nil && int64(len(content)) != f.Size {
		err = errors.New("body of the wrong length")
	}
	if err != nil {
		return transfer.Stored{}, &transfer.Error{Side: transfer.SideTarget, Class: transfer.Again, Reason: transfer.ReasonUnreachable, Err: err}
	}
	if content, err = t.receive(f.Name, f.MD5, content); err != nil {
		return transfer.Stored{}, err
	}
	t.mu.Lock()
	n := t.add(f.ParentID, f.Name, false, content)
	t.creates++
	t.mu.Unlock()
	if t.After != nil {
		if err := t.After(f.Name); err != nil {
			return transfer.Stored{}, err
		}
	}
	return n.Stored, nil
}

// receive gives what is stored of a body. One that has not the sum which was sent
// ahead of it is refused.
func (t *Target) receive(name string, want, content []byte) ([]byte, error) {
	if t.Mangle != nil {
		content = t.Mangle(name, content)
	}
	if want != nil {
		sum := md5.Sum(content)
		right := bytes.Equal(want, sum[:])
		t.mu.Lock()
		t.ahead++
		if !right {
			t.refused++
		}
		t.mu.Unlock()
		if !right {
			return nil, Again(transfer.SideTarget, transfer.ReasonCorrupt)
		}
	}
	if t.Spoil != nil {
		content = t.Spoil(name, content)
	}
	return content, nil
}

// Ahead is how many bodies came whole with their MD5 sent ahead, and how many of them
// were refused for it.
func (t *Target) Ahead() (all, refused int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.ahead, t.refused
}

// Find implements transfer.Target.
func (t *Target) Find(_ context.Context, parentID, name string) (transfer.Stored, error) {
	if err := t.fault("find", name); err != nil {
		return transfer.Stored{}, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := t.named(parentID, name); n != nil {
		return n.Stored, nil
	}
	return transfer.Stored{}, refused(transfer.ReasonNotFound, transfer.ErrNotFound)
}

// Remove implements transfer.Target.
func (t *Target) Remove(_ context.Context, id string) error {
	if err := t.fault("remove", id); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := t.nodes[id]; ok {
		delete(t.nodes, id)
		t.removes++
	}
	return nil
}

// Check implements transfer.Target.
func (t *Target) Check(context.Context) error { return t.fault("check", "") }

// FindAll implements transfer.Target.
func (t *Target) FindAll(_ context.Context, ids []string) ([]transfer.Stored, error) {
	if err := t.fault("find all", ""); err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	var found []transfer.Stored
	for _, id := range ids {
		if n := t.nodes[id]; n != nil {
			found = append(found, n.Stored)
		}
	}
	return found, nil
}

// Replace implements transfer.Target.
func (t *Target) Replace(_ context.Context, id string, was []byte, f transfer.NewFile) (transfer.Stored, error) {
	t.mu.Lock()
	n := t.nodes[id]
	modified := n == nil || !bytes.Equal(n.MD5, was)
	t.mu.Unlock()
	if modified {
		return transfer.Stored{}, refused(transfer.ReasonEdited, transfer.ErrModified)
	}
	if err := t.fault("replace", n.Name); err != nil {
		return transfer.Stored{}, err
	}
	content, err := contentOf(f)
	if err != nil {
		return transfer.Stored{}, &transfer.Error{Side: transfer.SideTarget, Class: transfer.Again, Reason: transfer.ReasonUnreachable, Err: err}
	}
	if content, err = t.receive(n.Name, f.MD5, content); err != nil {
		return transfer.Stored{}, err
	}
	t.Edit(id, string(content))
	t.mu.Lock()
	t.replaces++
	stored := n.Stored
	t.mu.Unlock()
	if t.After != nil {
		if err := t.After(n.Name); err != nil {
			return transfer.Stored{}, err
		}
	}
	return stored, nil
}

// Edit changes the content of a file as its owner would.
func (t *Target) Edit(id, content string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	sum := md5.Sum([]byte(content))
	n := t.nodes[id]
	n.content, n.Size, n.MD5 = content, int64(len(content)), sum[:]
}

// Replaces is how many files got another content.
func (t *Target) Replaces() int { t.mu.Lock(); defer t.mu.Unlock(); return t.replaces }

// Move puts a file into another folder as its owner would.
func (t *Target) Move(id, parentID string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.nodes[id]
	n.parent, n.ParentID = parentID, parentID
}

// contentOf reads what is sent.
func contentOf(f transfer.NewFile) ([]byte, error) {
	if f.Content != nil {
		return f.Content, nil
	}
	return io.ReadAll(f.Body)
}
