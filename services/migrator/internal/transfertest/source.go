// Package transfertest holds a source, a target and a ledger in memory, with
// faults to order, for the tests of the engine.
package transfertest

import (
	"context"
	"errors"
	"io"
	"path"
	"slices"
	"strings"
	"sync"

	"example.org/ncm/services/migrator/internal/transfer"
)

// Source is a tree in memory. Set the fields before it is used.
type Source struct {
	Files   map[string]string // content by path
	Folders []string          // empty ones; others follow from Files

	// Fault is asked before each call ("list", "open", "check"); an error is the
	// call's answer.
	Fault func(call, path string) error
	// CutList ends the listing of a folder with an error after so many entries.
	CutList func(folder string) (after int, cut bool)
	// Checksums are claimed for a file, by listings too.
	Checksums func(file string) string
	// Listed are the ETags that listings show.
	Listed map[string]string
	// ETag is asked for at each Open and Stat.
	ETag func(file string) string
	// Favorites are the paths of files and folders that are marked as such.
	Favorites []string
	// Skip are the paths of files and folders that are to be left out.
	Skip []string
	// Body replaces the body of a file.
	Body func(ctx context.Context, file, content string) io.Reader

	mu    sync.Mutex
	calls map[string]int
}

var _ transfer.Source = (*Source)(nil)

// Calls is how often a call was made, by "call path".
func (s *Source) Calls(call, path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[call+" "+path]
}

func (s *Source) called(call, path string) error {
	s.mu.Lock()
	if s.calls == nil {
		s.calls = map[string]int{}
	}
	s.calls[call+" "+path]++
	s.mu.Unlock()
	if s.Fault != nil {
		return s.Fault(call, path)
	}
	return nil
}

// Check implements transfer.Source.
func (s *Source) Check(context.Context) (transfer.Entry, error) {
	size := 0
	for _, content := range s.Files {
		size += len(content)
	}
	return transfer.Entry{Folder: true, Size: int64(size)}, s.called("check", "")
}

// List implements transfer.Source.
func (s *Source) List(_ context.Context, folder string, yield func(transfer.Entry) error) (transfer.Entry, error) {
	if err := s.called("list", folder); err != nil {
		return transfer.Entry{}, err
	}
	self := transfer.Entry{Name: path.Base(folder), Folder: true}
	if s.ETag != nil {
		self.ETag = s.ETag(folder)
	}
	for i, e := range s.children(folder) {
		if s.ETag != nil {
			e.ETag = s.ETag(path.Join(folder, e.Name))
		}
		if s.Checksums != nil && !e.Folder {
			e.Checksums = s.Checksums(path.Join(folder, e.Name))
		}
		if s.CutList != nil {
			if after, cut := s.CutList(folder); cut && i == after {
				return transfer.Entry{}, Again(transfer.SideSource, transfer.ReasonIncomplete)
			}
		}
		e.FolderETag = self.ETag
		if err := yield(e); err != nil {
			return transfer.Entry{}, err
		}
	}
	return self, nil
}

// Stat implements transfer.Source.
func (s *Source) Stat(_ context.Context, entry string) (transfer.Entry, error) {
	if err := s.called("stat", entry); err != nil {
		return transfer.Entry{}, err
	}
	content, file := s.Files[entry]
	if !file && !slices.Contains(s.Folders, entry) && len(s.children(entry)) == 0 {
		return transfer.Entry{}, notFound()
	}
	e := transfer.Entry{Size: int64(len(content)), Folder: !file}
	if s.ETag != nil {
		e.ETag = s.ETag(entry)
	}
	return e, nil
}

func notFound() error {
	return &transfer.Error{
		Side: transfer.SideSource, Class: transfer.EntryFails,
		Reason: transfer.ReasonNotFound, Err: errors.New("gone"),
	}
}

func (s *Source) children(folder string) []transfer.Entry {
	found := map[string]transfer.Entry{}
	add := func(p string, file bool, size int) {
		if folder != "" {
			rest, below := strings.CutPrefix(p, folder+"/")
			if !below {
				return
			}
			p = rest
		}
		name, _, deeper := strings.Cut(p, "/")
		if file && !deeper {
			found[name] = transfer.Entry{Name: name, Size: int64(size)}
		} else {
			found[name] = transfer.Entry{Name: name, Folder: true}
		}
	}
	for p, content := range s.Files {
		add(p, true, len(content))
	}
	for _, p := range s.Folders {
		add(p, false, 0)
	}
	names := make([]string, 0, len(found))
	for name := range found {
		names = append(names, name)
	}
	slices.Sort(names)
	entries := make([]transfer.Entry, 0, len(names))
	for _, name := range names {
		e := found[name]
		if slices.Contains(s.Skip, path.Join(folder, name)) {
			e.SkipReason = "ordered by a test"
		}
		e.Favorite = slices.Contains(s.Favorites, path.Join(folder, name))
		if !e.Folder {
			e.ETag = s.Listed[path.Join(folder, name)]
		}
		entries = append(entries, e)
	}
	return entries
}

// Open implements transfer.Source.
func (s *Source) Open(ctx context.Context, file string) (*transfer.Body, error) {
	if err := s.called("open", file); err != nil {
		return nil, err
	}
	content, ok := s.Files[file]
	if !ok {
		return nil, notFound()
	}
	var reader io.Reader = strings.NewReader(content)
	if s.Body != nil {
		reader = s.Body(ctx, file, content)
	}
	body := &transfer.Body{ReadCloser: io.NopCloser(reader), Size: int64(len(content))}
	if s.ETag != nil {
		body.ETag = s.ETag(file)
	}
	if s.Checksums != nil {
		body.Checksums = s.Checksums(file)
	}
	return body, nil
}

// Archives is a Source that sends several files of a folder at once.
type Archives struct {
	*Source
	// Spoil is asked for the content of each member; false leaves it out.
	Spoil func(file, content string) (string, bool)
	// After is the error at the end of each archive.
	After func(folder string) error
}

var _ transfer.Archiver = (*Archives)(nil)

// Archive implements transfer.Archiver.
func (a *Archives) Archive(_ context.Context, folder string, files []transfer.File, yield func(int, []byte) error) error {
	if err := a.called("archive", folder); err != nil {
		return err
	}
	for i, f := range files {
		content, there := a.Files[f.Path()]
		if there && a.Spoil != nil {
			content, there = a.Spoil(f.Path(), content)
		}
		if !there || int64(len(content)) != f.Size {
			continue
		}
		if err := yield(i, []byte(content)); err != nil {
			return err
		}
	}
	if a.After != nil {
		return a.After(folder)
	}
	return nil
}

// Again is an error that may pass.
func Again(side transfer.Side, reason transfer.Reason) error {
	return &transfer.Error{Side: side, Class: transfer.Again, Reason: reason, Err: errors.New("ordered by a test")}
}

// Stops is an error that stops the migration.
func Stops(side transfer.Side, reason transfer.Reason) error {
	return &transfer.Error{Side: side, Class: transfer.MigrationStops, Reason: reason, Err: errors.New("ordered by a test")}
}

// UntilDone is a body that says nothing until its context ends.
func UntilDone(ctx context.Context) io.Reader { return waiting{ctx} }

type waiting struct{ ctx context.Context }

func (w waiting) Read([]byte) (int, error) {
	<-w.ctx.Done()
	return 0, w.ctx.Err()
}
