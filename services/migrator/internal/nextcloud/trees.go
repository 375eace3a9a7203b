package nextcloud

import (
	"context"
	"errors"
	"path"
	"strings"
	"sync"
	"time"

	"example.org/ncm/services/migrator/internal/transfer"
)

const (
	// mostBranches bounds the entries that trees hold in memory, per Source: about
	// 8 MB. A folder with more below it is listed by itself, and each folder in it
	// is asked for as a tree in its turn. One that only lacks room is put off.
	mostBranches = 20_000
	// branchText is how many bytes of text an entry has without counting as several.
	branchText = 512
	// fewestBranches is the room below which no tree is asked for yet.
	fewestBranches = mostBranches / 2
	// treeLoads are asked for at once. The server works out all of a tree before it
	// sends the first byte.
	treeLoads = 2
	// treeIdle is how long it may take over that.
	treeIdle = 30 * time.Second
	// treeFailures in a row end the asking for trees.
	treeFailures = 3
)

// trees holds what PROPFINDs of Depth infinity brought, until somebody asks for
// the folders in it: 14,000 entries take a Nextcloud a second so, and 11 to 20 if
// it is asked folder by folder.
//
// Such an answer is a hint. It shows a folder that can't be read, or a storage that
// was never scanned, as an empty one. So a folder is served from it only if that
// could not be: it has children, their sizes add up to its own, it is no mount, and
// nothing about it failed. Every other one is asked for by itself.
type trees struct {
	load chan struct{} // holds one for each tree that is asked for

	mu       sync.Mutex
	branches map[string]*branch // by path below the root of the migration
	doubtful map[string]bool    // folders that a tree showed, but not to be believed
	entries  int                // in both, as weigh counts them
	failures int                // in a row
}

// branch is a folder in a tree.
type branch struct {
	self     transfer.Entry
	mount    string
	absent   bool
	answered bool // self is set
	failed   bool // the server could not read a child
	children []transfer.Entry
	weight   int // of the children
}

// weigh says as how many entries one counts that is at a path.
func (r *response) weigh(at string) int {
	text := len(at) + len(r.etag) + len(r.fileID) + len(r.mime) + len(r.checksums) + len(r.permissions) + r.tagged
	return 1 + text/branchText
}

func newTrees() *trees {
	return &trees{
		load:     make(chan struct{}, treeLoads),
		branches: map[string]*branch{}, doubtful: map[string]bool{},
	}
}

// ListInTree implements transfer.TreeLister.
func (s *Source) ListInTree(ctx context.Context, folder string, yield func(transfer.Entry) error) (transfer.Entry, error) {
	if _, err := s.locate(folder); err != nil {
		return transfer.Entry{}, err // as a listing of its own refuses it
	}
	b := s.trees.find(folder)
	if b == nil && folder != "" {
		if err := s.grow(ctx, folder); err != nil {
			return transfer.Entry{}, err
		}
		b = s.trees.find(folder)
	}
	if b == nil {
		return s.List(ctx, folder, yield)
	}
	for _, e := range b.children {
		e.FolderETag = b.self.ETag
		if err := yield(e); err != nil {
			return transfer.Entry{}, err
		}
	}
	s.trees.cut(folder, b)
	return b.self, nil
}

// grow asks for the tree of a folder if that may help. An error is ctx's alone, or
// ErrLater: the folder can still be listed by itself.
func (s *Source) grow(ctx context.Context, folder string) error {
	if !s.trees.mayGrow(folder) {
		return nil
	}
	select {
	case s.trees.load <- struct{}{}:
		defer func() { <-s.trees.load }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if s.trees.find(folder) != nil {
		return nil
	}
	room := s.trees.room()
	if room < fewestBranches {
		return transfer.ErrLater
	}
	grown, err := s.tree(ctx, folder, room)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if room < mostBranches && errors.Is(err, errTooMany) {
		return transfer.ErrLater
	}
	s.logger.DebugContext(ctx, "tree asked for", "folders", len(grown), "error", err)
	s.trees.add(folder, grown, err)
	return nil
}

// tree reads all below a folder, by paths below the root of the migration. Only
// errors of the answer as a whole are errors.
func (s *Source) tree(ctx context.Context, folder string, limit int) (map[string]*branch, error) {
	resource, err := s.locate(folder)
	if err != nil {
		return nil, err
	}
	c := s.newCall(ctx, false)
	c.watchdog.idle = min(c.watchdog.idle, treeIdle)
	defer c.watchdog.release()
	b, err := c.propfind(resource, "infinity")
	if err != nil {
		return nil, err
	}
	defer func() { _ = b.Close() }()
	hrefs, grown, entries := newHrefs(c.url), map[string]*branch{}, 0
	at := func(p string) *branch {
		if grown[p] == nil {
			grown[p] = &branch{}
		}
		return grown[p]
	}
	err = decodeMultistatus(b, func(r *response) error {
		below, err := hrefs.below(r.href)
		if err != nil {
			return err
		}
		p := path.Join(folder, below)
		weight := r.weigh(p)
		if entries += weight; entries > limit {
			return errTooMany
		}
		if r.collection || below == "" {
			at(p).is(r, path.Base("/"+resource+"/"+below))
		}
		if below != "" {
			parent := at(path.Dir("/" + p)[1:])
			parent.has(r, path.Base(p), s.mounts)
			parent.weight += weight
		}
		return nil
	})
	if err != nil {
		return nil, c.fail(err)
	}
	return grown, nil
}

// is takes what the server says of the folder itself.
func (b *branch) is(r *response, name string) {
	if b.answered || r.failure() != 0 {
		b.failed = true
		return
	}
	b.self, b.mount, b.absent, b.answered = r.entry(name), r.mount, r.absent(), true
}

// has takes a child. A server lists a folder before what is in it; if it ever did
// not, what kind of mount it is in would not be known here.
func (b *branch) has(r *response, name string, mounts Mounts) {
	if r.failure() != 0 || !b.answered {
		b.failed = true
		return
	}
	name = strings.Clone(name) // it is a part of the whole path, which may go
	b.children = append(b.children, r.child(name, b.mount, mounts))
}

// believable says whether what the tree shows of a folder is all that is in it.
func (b *branch) believable(parent *branch) bool {
	switch {
	case !b.answered, b.failed, b.absent, len(b.children) == 0, !b.self.Folder, b.self.SkipReason != "":
		return false
	case parent != nil && b.mount != parent.mount:
		return false // a mount: what is behind it may never have been looked at
	}
	sum := int64(0)
	for _, e := range b.children {
		if e.Size < 0 {
			return false
		}
		sum += e.Size
	}
	return sum == b.self.Size
}

// find gives a folder that a tree brought.
func (t *trees) find(folder string) *branch {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.branches[folder]
}

// cut forgets a folder that was served.
func (t *trees) cut(folder string, b *branch) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.branches[folder] == b {
		delete(t.branches, folder)
		t.entries -= b.weight
	}
}

// mayGrow says whether to ask for the tree of a folder. One that a tree has shown
// already is asked for by itself, once.
func (t *trees) mayGrow(folder string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.doubtful[folder] {
		t.trust(folder)
		return false
	}
	return t.failures < treeFailures
}

// room is how many entries more may be held.
func (t *trees) room() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return mostBranches - t.entries
}

// Forget implements transfer.TreeLister.
func (s *Source) Forget() {
	t := s.trees
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.branches)
	clear(t.doubtful)
	t.entries = 0
}

// doubt notes a folder as doubtful, and trust forgets that.
func (t *trees) doubt(folder string) {
	if !t.doubtful[folder] {
		t.doubtful[folder] = true
		t.entries += 1 + len(folder)/branchText
	}
}

func (t *trees) trust(folder string) {
	if t.doubtful[folder] {
		delete(t.doubtful, folder)
		t.entries -= 1 + len(folder)/branchText
	}
}

// add keeps what is believable of a tree, or notes what became of asking.
func (t *trees) add(top string, grown map[string]*branch, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case errors.Is(err, errTooMany):
		return // its folders are smaller
	case err != nil:
		t.failures++
		return
	}
	t.failures = 0
	for p, b := range grown {
		var parent *branch
		if p != top {
			parent = grown[strings.TrimPrefix(path.Dir("/"+p), "/")]
		}
		switch {
		case !b.believable(parent):
			t.doubt(p)
		case t.branches[p] == nil:
			t.branches[p] = b
			t.entries += b.weight
		}
	}
	// The folder that was asked for is listed by itself now, if it is doubtful.
	t.trust(top)
}
