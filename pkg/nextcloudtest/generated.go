package nextcloudtest

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"strconv"
	"strings"
	"time"
)

// manyPerFolder is how many files AddGeneratedTree puts in one folder by default.
const manyPerFolder = 1000

// rule offers entries that are on no disk: one file, or a tree of files of one
// size whose names, ids and contents follow from their number.
type rule struct {
	root      string // path of the file or of the tree's top folder
	files     int    // 0: one file
	folders   int    // 0: the files are in the top folder
	perFolder int
	closed    bool // the user may not read the files
	size      int64
	seed      uint64
	firstID   int64
	mtime     time.Time
}

// AddGenerated offers a file of pseudo random bytes that follow from the seed.
// Its parent folders are made on disk.
func (s *Server) AddGenerated(user, p string, size int64, seed uint64) error {
	return s.addRule(user, &rule{root: cleanPath(p), size: size, seed: seed})
}

// AddGeneratedTree offers a folder of files of one size each, so many in a sub-folder,
// by default 1,000, and needs the same memory for ten and for a million files.
func (s *Server) AddGeneratedTree(user, p string, files, perFolder int, size int64) error {
	perFolder = cmp.Or(perFolder, manyPerFolder)
	if perFolder < 0 {
		return fmt.Errorf("add generated files: %d in a folder", perFolder)
	}
	folders := (files + perFolder - 1) / perFolder
	return s.addRule(user, &rule{root: cleanPath(p), files: files, folders: folders, perFolder: perFolder, size: size})
}

// AddGeneratedFolders offers a folder of so many folders, with one file in each that
// the user can see and may not read: a tree that is listed and not copied. It needs
// flat memory as well.
func (s *Server) AddGeneratedFolders(user, p string, folders int) error {
	return s.addRule(user, &rule{root: cleanPath(p), files: folders, folders: folders, perFolder: 1, size: 1, closed: true})
}

// AddGeneratedFolder offers one flat folder of files of one size each, in flat
// memory as well.
func (s *Server) AddGeneratedFolder(user, p string, files int, size int64) error {
	return s.addRule(user, &rule{root: cleanPath(p), files: files, size: size})
}

func (s *Server) addRule(user string, r *rule) error {
	a, err := s.account(user)
	if err != nil {
		return fmt.Errorf("add generated files: %w", err)
	}
	if r.root == "" || r.size < 0 || r.files < 0 {
		return fmt.Errorf("add generated files: bad path, size or count: %q, %d, %d", r.root, r.size, r.files)
	}
	if err := os.MkdirAll(a.home.disk(path.Dir(r.root)), 0o755); err != nil {
		return fmt.Errorf("add generated files: %w", err)
	}
	need := int64(1 + r.folders + r.files)
	r.firstID = s.fileIDs.Add(need) - need + 1
	r.mtime = s.started.Add(-24 * time.Hour).Truncate(time.Second)
	if r.seed == 0 {
		r.seed = hashText(r.root)
	}
	a.home.mu.Lock()
	defer a.home.mu.Unlock()
	a.home.rules[r.root] = r
	return nil
}

// ruled finds an entry that exists by rule.
func (h *home) ruled(p string) (entry, bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if len(h.rules) == 0 {
		return entry{}, false
	}
	if r, ok := h.rules[p]; ok {
		return r.top(), true
	}
	for root, r := range h.rules {
		if rest, ok := strings.CutPrefix(p, root+"/"); ok && r.files > 0 {
			return r.find(rest)
		}
	}
	return entry{}, false
}

func (h *home) ruleNames(dir string) []string {
	h.mu.RLock()
	defer h.mu.RUnlock()
	var names []string
	for root := range h.rules {
		if parentOf(root) == dir {
			names = append(names, path.Base(root))
		}
	}
	return names
}

func parentOf(p string) string {
	i := strings.LastIndexByte(p, '/')
	return p[:max(i, 0)]
}

func (r *rule) top() entry {
	e := entry{path: r.root, dir: r.files > 0, mtime: r.mtime, id: r.firstID, salt: r.seed, rule: r}
	if !e.dir {
		e.size = r.size
	}
	return e
}

func (r *rule) folder(k int) entry {
	return entry{
		path: r.root + "/" + numbered("d", k, ""), dir: true, mtime: r.mtime,
		id: r.firstID + 1 + int64(k), salt: mix(r.seed + uint64(k)), rule: r,
	}
}

func (r *rule) file(i int) entry {
	p := r.root + "/"
	if r.folders > 0 {
		p += numbered("d", i/r.perFolder, "") + "/"
	}
	return entry{
		path: p + numbered("f", i, ".bin"), size: r.size, mtime: r.mtime.Add(-time.Duration(i) * time.Second),
		id: r.firstID + 1 + int64(r.folders) + int64(i), salt: mix(r.seed ^ mix(uint64(i)+1)), rule: r,
	}
}

func numbered(prefix string, n int, suffix string) string {
	digits := strconv.Itoa(n)
	return prefix + "00000000"[:max(8-len(digits), 0)] + digits + suffix
}

// find resolves a path below the top folder.
func (r *rule) find(rest string) (entry, bool) {
	dir, name := path.Split(rest)
	if n, ok := number(name, "d", ""); ok && dir == "" && n < r.folders {
		return r.folder(n), true
	}
	i, ok := number(name, "f", ".bin")
	if !ok || i >= r.files {
		return entry{}, false
	}
	e := r.file(i)
	return e, e.path == r.root+"/"+rest
}

func number(name, prefix, suffix string) (int, bool) {
	digits, ok := strings.CutPrefix(name, prefix)
	if !ok {
		return 0, false
	}
	digits, ok = strings.CutSuffix(digits, suffix)
	n, err := strconv.Atoi(digits)
	return n, ok && err == nil && n >= 0
}

// span is the range of file numbers directly below a folder.
func (r *rule) span(dir entry) (from, to int) {
	if r.folders == 0 {
		return 0, r.files
	}
	k, ok := number(dir.name(), "d", "")
	if dir.path == r.root || !ok {
		return 0, 0
	}
	return k * r.perFolder, min((k+1)*r.perFolder, r.files)
}

func (r *rule) children(dir entry) iter.Seq2[entry, error] {
	return func(yield func(entry, error) bool) {
		if dir.path == r.root {
			for k := range r.folders {
				if !yield(r.folder(k), nil) {
					return
				}
			}
		}
		from, to := r.span(dir)
		for i := from; i < to; i++ {
			if !yield(r.file(i), nil) {
				return
			}
		}
	}
}

func (r *rule) total(dir entry) total {
	n := r.files
	if dir.path != r.root {
		from, to := r.span(dir)
		n = to - from
	}
	return total{size: int64(n) * r.size, print: fingerprint(dir)}
}

func (r *rule) open(e entry) io.ReadSeekCloser {
	return &generator{seed: e.salt, size: e.size}
}

// generator reads the pseudo random bytes of a seed, from any offset at once.
type generator struct {
	seed uint64
	size int64
	at   int64
}

func (g *generator) Read(p []byte) (int, error) {
	if g.at >= g.size {
		return 0, io.EOF
	}
	if left := g.size - g.at; int64(len(p)) > left {
		p = p[:left]
	}
	n := len(p)
	for len(p) > 0 {
		word, off := uint64(g.at)/8, int(g.at%8)
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], mix(g.seed+word*0x9e3779b97f4a7c15))
		k := copy(p, b[off:])
		p = p[k:]
		g.at += int64(k)
	}
	return n, nil
}

func (g *generator) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += g.at
	case io.SeekEnd:
		offset += g.size
	}
	if offset < 0 {
		return 0, fs.ErrInvalid
	}
	g.at = offset
	return offset, nil
}

func (g *generator) Close() error { return nil }

// mix is the finalizer of splitmix64: every input bit changes half the output.
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

func hashText(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return mix(h)
}
