package nextcloudtest

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// MountType is the value of nc:mount-type.
type MountType string

// The kinds of mounts that the server knows.
const (
	MountShared   MountType = "shared"
	MountGroup    MountType = "group"
	MountExternal MountType = "external"
)

// Mount makes a folder (or a received file) a mount point.
type Mount struct {
	Type MountType `json:"type"`
	// Owner is the user id of who shares; empty means the user.
	Owner string `json:"owner,omitempty"`
	// Offline storage: an empty listing without etag and file id, 503 on GET.
	Offline bool `json:"offline,omitempty"`
	// Unscanned storage: size -1, and empty at Depth infinity.
	Unscanned bool `json:"unscanned,omitempty"`
	// NoDownload answers GET with 403.
	NoDownload bool `json:"no_download,omitempty"`

	id int64
}

// Lock on a file.
type Lock struct {
	// Owner is the user id of who locked the file by hand; nobody else may then
	// write or delete it. Empty means no such lock.
	Owner string `json:"owner,omitempty"`
	// Exclusive is the lock of a running or broken upload: GET answers 423.
	Exclusive bool `json:"exclusive,omitempty"`
}

// meta is what is known of an entry besides the disk.
type meta struct {
	checksum    string
	claimed     bool // checksum is what somebody said, even if that is nothing
	computed    string
	computedFor uint64 // fingerprint of the content that computed belongs to
	favorite    bool
	encrypted   bool
	gone        bool
	permissions string
	tags        []string
	created     time.Time
	uploaded    time.Time
	lock        Lock
	bump        uint64 // changes the etag
}

// meta gives a copy; the zero value is an entry that nobody touched.
func (h *home) meta(p string) meta {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if m, ok := h.metas[p]; ok {
		return *m
	}
	return meta{}
}

// hidden says whether a received share was given back.
func (h *home) hidden(p string) bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if len(h.unshared) == 0 {
		return false
	}
	for at := p; at != ""; at = parentOf(at) {
		if h.unshared[at] {
			return true
		}
	}
	return false
}

func (h *home) update(p string, f func(*meta)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	m, ok := h.metas[p]
	if !ok {
		m = &meta{}
		h.metas[p] = m
	}
	f(m)
}

func (s *Server) set(user, p string, f func(*meta)) error {
	a, err := s.account(user)
	if err != nil {
		return fmt.Errorf("set %s: %w", p, err)
	}
	a.home.update(cleanPath(p), f)
	return nil
}

// SetChecksum sets what the uploader of a file claimed, "SHA1:… MD5:…". It need
// not be true, nor a checksum at all; "" means that nothing was claimed.
func (s *Server) SetChecksum(user, p, checksum string) error {
	return s.set(user, p, func(m *meta) { m.checksum, m.claimed = checksum, true })
}

// SetFavorite stars an entry.
func (s *Server) SetFavorite(user, p string, on bool) error {
	return s.set(user, p, func(m *meta) { m.favorite = on })
}

// SetEncrypted marks a folder as end-to-end encrypted.
func (s *Server) SetEncrypted(user, p string, on bool) error {
	return s.set(user, p, func(m *meta) { m.encrypted = on })
}

// SetPermissions replaces the oc:permissions of an entry, "RGDNVW" for example.
func (s *Server) SetPermissions(user, p, permissions string) error {
	return s.set(user, p, func(m *meta) { m.permissions = permissions })
}

// SetTags replaces the tags of an entry.
func (s *Server) SetTags(user, p string, tags ...string) error {
	return s.set(user, p, func(m *meta) { m.tags = tags })
}

// SetCreated sets nc:creation_time, which is 0 for most files.
func (s *Server) SetCreated(user, p string, at time.Time) error {
	return s.set(user, p, func(m *meta) { m.created = at })
}

// SetModified sets the time of an entry, on disk or generated.
func (s *Server) SetModified(user, p string, at time.Time) error {
	a, err := s.account(user)
	if err != nil {
		return fmt.Errorf("set time of %s: %w", p, err)
	}
	p = cleanPath(p)
	a.home.mu.Lock()
	r, ok := a.home.rules[p]
	if ok { // lists may be reading the old one
		changed := *r
		changed.mtime = at
		a.home.rules[p] = &changed
	}
	a.home.mu.Unlock()
	if ok {
		return nil
	}
	if err := os.Chtimes(a.home.disk(p), at, at); err != nil {
		return fmt.Errorf("set time of %s: %w", p, err)
	}
	return nil
}

// SetLock locks a file, or unlocks it with the zero Lock. Its etag changes
// either way, as on the real server.
func (s *Server) SetLock(user, p string, lock Lock) error {
	return s.set(user, p, func(m *meta) { m.lock, m.bump = lock, m.bump+1 })
}

// SetGone makes a file one that the server lists but cannot open any more.
func (s *Server) SetGone(user, p string, gone bool) error {
	return s.set(user, p, func(m *meta) { m.gone = gone })
}

// SetMount makes an entry a mount point; an empty Type undoes that.
func (s *Server) SetMount(user, p string, mount Mount) error {
	a, err := s.account(user)
	if err != nil {
		return fmt.Errorf("set mount %s: %w", p, err)
	}
	mount.id = s.mountIDs.Add(1)
	a.home.mu.Lock()
	defer a.home.mu.Unlock()
	if mount.Type == "" {
		delete(a.home.mounts, cleanPath(p))
		return nil
	}
	a.home.mounts[cleanPath(p)] = mount
	return nil
}

// mountOf finds the mount that an entry is in, and whether it is its root.
func (h *home) mountOf(p string) (m Mount, root, ok bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if len(h.mounts) == 0 {
		return Mount{}, false, false
	}
	for at := p; at != ""; at = parentOf(at) {
		if m, ok := h.mounts[at]; ok {
			return m, at == p, true
		}
	}
	return Mount{}, false, false
}

// moveMeta takes what is known of a path and of all below to another path.
func (h *home) moveMeta(from, to string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	moveKeys(h.metas, from, to)
	moveKeys(h.ids, from, to)
	moveKeys(h.mounts, from, to)
}

// dropMeta forgets what is known of a path and of all below.
func (h *home) dropMeta(p string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	dropKeys(h.metas, p)
	dropKeys(h.ids, p)
	dropKeys(h.mounts, p)
}

func moveKeys[V any](m map[string]V, from, to string) {
	moved := make(map[string]V)
	for k, v := range m {
		if k == from || strings.HasPrefix(k, from+"/") {
			moved[to+k[len(from):]] = v
			delete(m, k)
		}
	}
	for k, v := range moved {
		m[k] = v
	}
}

func dropKeys[V any](m map[string]V, p string) {
	for k := range m {
		if k == p || strings.HasPrefix(k, p+"/") {
			delete(m, k)
		}
	}
}
