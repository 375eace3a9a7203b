package cozytest

import (
	"net/http"
	"path"
	"strings"
	"time"

	"golang.org/x/text/unicode/norm"
)

const (
	storageRoot = "/var/lib/cozy/storage/"
	maxNameSize = 255 // bytes; the limit of the file system below the stack
)

const badName = "Invalid filename: empty or contains an illegal character"

func checkName(name string) error {
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00\n\r") {
		return invalidParameter("name", badName)
	}
	return nil
}

// makeDir answers the creations of directories, by id and by path.
func (c *call) makeDir(parentID string) error {
	if c.query().Has("Path") {
		return c.makeDirByPath()
	}
	name := c.query().Get("Name")
	if err := checkName(name); err != nil {
		return err
	}
	g, err := c.allow(verbPost, doctypeFiles)
	if err != nil {
		return err
	}
	dir := newDir(c.inst.ids.next(), name, time.Now().UTC())
	dir.created, dir.updated = c.dates(dir.created)
	dir.tags = splitTags(c.query().Get("Tags"))
	dir.meta = c.inst.signedMetadata(dir.meta.CreatedAt, g.slug)
	c.setSource(&dir.meta)
	c.inst.gate.spend(c.r.Context(), c.inst.gate.profile.Directory)

	c.inst.mu.Lock()
	err = c.inst.addDir(dir, c.inst.tree.dir(parentID))
	return c.finishDir(dir, err)
}

func (c *call) setSource(m *cozyMetadata) {
	m.SourceAccount = c.query().Get("SourceAccount")
	m.SourceIdentifier = c.query().Get("SourceAccountIdentifier")
}

// finishDir unlocks the instance and answers.
func (c *call) finishDir(dir *node, err error) error {
	if err != nil {
		c.inst.mu.Unlock()
		return err
	}
	res := dir.short()
	c.inst.announce(eventCreated, dir)
	c.inst.mu.Unlock()
	writeDocument(c.writer(), http.StatusCreated, document{Data: res})
	return nil
}

// addDir needs the lock.
func (inst *Instance) addDir(dir, parent *node) error {
	if parent == nil {
		return noFile()
	}
	where := storageRoot + inst.host + joinPath(parent.path(), dir.name)
	if parent.children[dir.name] != nil {
		return jsonapiError(http.StatusConflict, "mkdir "+where+": file exists")
	}
	if len(dir.name) > maxNameSize {
		return unqualified("mkdir " + where + ": file name too long")
	}
	inst.tree.attach(dir, parent)
	return nil
}

// makeDirByPath needs no token on the real stack, which only complains about a
// bad one in a header.
func (c *call) makeDirByPath() error {
	p, err := c.pathArgument()
	if err != nil {
		return err
	}
	_, _ = c.authenticate()
	p = path.Clean(p)
	if c.query().Get("Recursive") == "true" {
		return c.makeDirs(p)
	}
	if err := checkName(path.Base(p)); err != nil {
		return err
	}
	dir := newDir(c.inst.ids.next(), path.Base(p), time.Now().UTC())
	c.inst.mu.Lock()
	err = c.inst.addDir(dir, c.inst.tree.dirByPath(path.Dir(p)))
	return c.finishDir(dir, err)
}

// makeDirs creates a directory and the missing ones above it. Of calls that
// overlap in time and in a missing directory, all but the first answer 404.
func (c *call) makeDirs(p string) error {
	inst := c.inst
	inst.mu.Lock()
	missing := inst.missing(p)
	if len(missing) == 0 {
		res := inst.tree.dirByPath(p).short()
		inst.mu.Unlock()
		writeDocument(c.writer(), http.StatusCreated, document{Data: res})
		return nil
	}
	if err := inst.reserve(missing); err != nil {
		inst.mu.Unlock()
		return err
	}
	inst.mu.Unlock()
	pause(c.r.Context(), inst.stack.config.RecursiveRace)

	inst.mu.Lock()
	for _, m := range missing {
		delete(inst.making, norm.NFC.String(m))
	}
	dir, err := inst.addDirs(missing)
	return c.finishDir(dir, err)
}

// missing lists the directories that p needs and that do not exist, the
// outermost first.
func (inst *Instance) missing(p string) []string {
	if p == "/" || inst.tree.dirByPath(p) != nil {
		return nil
	}
	return append(inst.missing(path.Dir(p)), p)
}

func (inst *Instance) reserve(paths []string) error {
	for _, p := range paths {
		if inst.making[norm.NFC.String(p)] {
			return noFile()
		}
	}
	for _, p := range paths {
		inst.making[norm.NFC.String(p)] = true
	}
	return nil
}

func (inst *Instance) addDirs(paths []string) (last *node, err error) {
	for _, p := range paths {
		if err := checkName(path.Base(p)); err != nil {
			return nil, err
		}
		last = newDir(inst.ids.next(), path.Base(p), time.Now().UTC())
		if err := inst.addDir(last, inst.tree.dirByPath(path.Dir(p))); err != nil {
			return nil, err
		}
	}
	return last, nil
}

// dates reads the two dates of a creation. What cannot be read is ignored, and
// nothing keeps an entry from being older than its creation.
func (c *call) dates(now time.Time) (created, updated time.Time) {
	created = now
	if t, err := http.ParseTime(c.r.Header.Get("Date")); err == nil {
		created = t
	}
	if t, err := time.Parse(time.RFC3339, c.query().Get("CreatedAt")); err == nil {
		created = t
	}
	updated = created
	if t, err := time.Parse(time.RFC3339, c.query().Get("UpdatedAt")); err == nil {
		updated = t
	}
	return created, updated
}

func splitTags(list string) []string {
	var tags []string
	seen := make(map[string]bool)
	for tag := range strings.SplitSeq(list, ",") {
		if tag = strings.TrimSpace(tag); tag != "" && !seen[tag] {
			seen[tag] = true
			tags = append(tags, tag)
		}
	}
	return tags
}
