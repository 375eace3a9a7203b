package nextcloudtest

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// entry is one file or folder of a user's home as it is now.
type entry struct {
	path  string // below the home, without leading slash; "" is the home itself
	dir   bool
	size  int64
	mtime time.Time
	id    int64  // file id where the rule that made the entry knows it
	salt  uint64 // differs between two contents of one size and time
	rule  *rule  // nil: the content is on disk
}

func (e entry) name() string {
	return path.Base(e.path)
}

// home is a user's files: a folder on disk and what is offered by rule.
type home struct {
	server    *Server
	root      string
	trashRoot string

	mu       sync.RWMutex
	ids      map[string]int64
	metas    map[string]*meta
	mounts   map[string]Mount
	unshared map[string]bool // received shares that were given back
	readers  map[string]int  // running GETs
	rules    map[string]*rule
	trash    map[string]trashed // by the name in the trashbin
}

func newHome(s *Server, root, trashRoot string) *home {
	return &home{
		server:    s,
		root:      root,
		trashRoot: trashRoot,
		ids:       make(map[string]int64),
		metas:     make(map[string]*meta),
		mounts:    make(map[string]Mount),
		unshared:  make(map[string]bool),
		readers:   make(map[string]int),
		rules:     make(map[string]*rule),
		trash:     make(map[string]trashed),
	}
}

// cleanPath turns what a test or a client calls a path into an entry's path.
func cleanPath(p string) string {
	return strings.TrimPrefix(path.Clean("/"+p), "/")
}

func (h *home) disk(p string) string {
	return filepath.Join(h.root, filepath.FromSlash(p))
}

// errPoisoned is what a name that is not UTF-8 does to the folder that holds it.
var errPoisoned = errors.New("invalid byte sequence for encoding \"UTF8\"")

// find looks a path up as it was asked for and, as the server stores names in
// NFC, by its normal form.
func (h *home) find(p string) (entry, error) {
	e, err := h.stat(p)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return e, err
	}
	if nfc := norm.NFC.String(p); nfc != p {
		return h.stat(nfc)
	}
	return e, err
}

func (h *home) stat(p string) (entry, error) {
	if e, ok := h.ruled(p); ok {
		return e, nil
	}
	info, err := deep(h, p, os.Lstat, (*os.Root).Lstat)
	if errors.Is(err, syscall.ENOTDIR) {
		err = fs.ErrNotExist
	}
	if err != nil {
		return entry{}, err
	}
	if !visible(info) || h.hidden(p) {
		return entry{}, fs.ErrNotExist
	}
	return diskEntry(p, info), nil
}

// visible leaves out what cannot be copied: links, pipes, sockets.
func visible(info fs.FileInfo) bool {
	return info.IsDir() || info.Mode().IsRegular()
}

func diskEntry(p string, info fs.FileInfo) entry {
	e := entry{path: p, dir: info.IsDir(), mtime: info.ModTime()}
	if !e.dir {
		e.size = info.Size()
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		e.salt = uint64(st.Ino)
	}
	return e
}

// children lists a folder in the order of the names, without holding more than
// the names in memory; folders that exist by rule are not even held that far.
func (h *home) children(dir entry) iter.Seq2[entry, error] {
	if dir.rule != nil {
		return dir.rule.children(dir)
	}
	return func(yield func(entry, error) bool) {
		names, err := h.names(dir.path)
		if err != nil {
			yield(entry{}, err)
			return
		}
		for _, name := range names {
			e, err := h.stat(path.Join(dir.path, name))
			if errors.Is(err, fs.ErrNotExist) {
				continue // gone since, or nothing that is shown
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// names of a folder on disk and of what is offered by rule in it. A name with a
// backslash cannot be addressed and is left out, as the real server does.
func (h *home) names(dir string) ([]string, error) {
	f, err := deep(h, dir, os.Open, (*os.Root).Open)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	names, err := f.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("read folder: %w", err)
	}
	names = append(names, h.ruleNames(dir)...)
	for _, name := range names {
		if !utf8.ValidString(name) {
			return nil, errPoisoned
		}
	}
	names = slices.DeleteFunc(names, func(n string) bool { return strings.Contains(n, `\`) })
	slices.Sort(names)
	return slices.Compact(names), nil
}

// open gives the content of a file, to be closed by the caller.
func (h *home) open(e entry) (io.ReadSeekCloser, error) {
	if e.rule != nil {
		return e.rule.open(e), nil
	}
	return deep(h, e.path, os.Open, (*os.Root).Open)
}

// deep does something to an entry on disk, folder by folder where its path is
// longer than the operating system takes.
func deep[T any](h *home, p string, direct func(string) (T, error), stepwise func(*os.Root, string) (T, error)) (T, error) {
	got, err := direct(h.disk(p))
	if !errors.Is(err, syscall.ENAMETOOLONG) {
		return got, err
	}
	root, err := os.OpenRoot(h.root)
	if err != nil {
		return got, err
	}
	defer func() { _ = root.Close() }()
	return stepwise(root, filepath.FromSlash(p))
}

// fileID is the id of an entry, made when it is first asked for.
func (h *home) fileID(e entry) int64 {
	if e.id != 0 {
		return e.id
	}
	h.mu.RLock()
	id, ok := h.ids[e.path]
	h.mu.RUnlock()
	if ok {
		return id
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if id, ok = h.ids[e.path]; ok {
		return id
	}
	id = h.server.fileIDs.Add(1)
	h.ids[e.path] = id
	return id
}
