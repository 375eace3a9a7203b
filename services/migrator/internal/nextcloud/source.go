// Package nextcloud reads the files of one Nextcloud account over WebDAV: it is
// the source of a migration.
//
// Bodies go through gowebdav, except for the rest of one that broke off. Listings do not: gowebdav takes a listing that was
// cut for a short one and knows neither checksums nor file ids, so they are
// read here, over the same transport, as a stream that fails on anything short
// of a well-formed end.
//
// A Nextcloud answers success in cases where believing it would lose files
// without a word (a storage that is offline lists as empty, a folder downloads
// as an empty page). Each of them has a check and a comment where it is read.
package nextcloud

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync/atomic"
	"time"

	"example.org/ncm/services/migrator/internal/transfer"
)

// Config is what a Source needs. The limits have defaults.
type Config struct {
	HTTP     http.RoundTripper // shared by all sources; decides what may be dialled
	BaseURL  string            // as the user gave it; may hold a sub-path
	Login    string
	Password string
	UserID   string // of the WebDAV path; empty: the login
	Root     string // path of the folder or file to migrate; empty or "/": all
	Logger   *slog.Logger

	NoFavorites bool // leave out which entries are favourites
	NoTags      bool // leave out the tags of entries
	Mounts      Mounts

	Pace transfer.Pace // of the server; nil: none

	MaxDepth   int // folders below the root; 0: 256
	MaxEntries int // of one folder; 0: 1,000,000
	// Unanswered is how many requests may wait for the head of their answer at
	// once; 0: 16. When the password is revoked each of them is refused, and a
	// dozen refused logins make a Nextcloud lock our address out for all users
	// for half an hour. Bodies do not count.
	Unanswered int
	Idle       time.Duration // without a byte until a request is given up; 0: one minute
}

// Source is one account, rooted at the path that the user chose. Safe for
// concurrent use.
type Source struct {
	http       http.RoundTripper
	base       *url.URL
	files      string // path of the user's home on the server, decoded
	root       string // below files; no slash around it
	auth       basicAuth
	logger     *slog.Logger
	propfind   string // what listings ask for
	mounts     Mounts
	maxDepth   int
	maxEntries int
	idle       time.Duration

	// single is set when the root turns out to be a file.
	single atomic.Bool

	// refused holds the verdict on the login once it fell. The source locks our
	// address out for all users after a dozen wrong logins, so the first one
	// must be the last.
	refused    atomic.Pointer[transfer.Error]
	unanswered chan struct{} // holds one for each request without an answer

	trees *trees
	pace  transfer.Pace
}

// Pace implements transfer.Paced.
func (s *Source) Pace() transfer.Pace { return s.pace }

var (
	_ transfer.Source     = (*Source)(nil)
	_ transfer.Archiver   = (*Source)(nil)
	_ transfer.TreeLister = (*Source)(nil)
	_ transfer.Paced      = (*Source)(nil)
)

// New makes a Source; it sends nothing. Errors name the field, not its value.
func New(c Config) (*Source, error) {
	if c.HTTP == nil {
		return nil, errors.New("http transport is missing")
	}
	base, err := parseBase(c.BaseURL)
	if err != nil {
		return nil, err
	}
	files, err := filesPath(base, cmp.Or(c.UserID, c.Login))
	if err != nil {
		return nil, err
	}
	root, err := cleanPath(c.Root)
	if err != nil {
		return nil, fmt.Errorf("source path: %w", err)
	}
	return &Source{
		http:       c.HTTP,
		base:       base,
		files:      files,
		root:       root,
		auth:       basicAuth{login: c.Login, password: c.Password},
		propfind:   propfind(c),
		mounts:     c.Mounts,
		logger:     cmp.Or(c.Logger, slog.New(slog.DiscardHandler)),
		maxDepth:   cmp.Or(c.MaxDepth, 256),
		maxEntries: cmp.Or(c.MaxEntries, 1_000_000),
		idle:       cmp.Or(c.Idle, time.Minute),
		unanswered: make(chan struct{}, cmp.Or(c.Unanswered, 16)),
		trees:      newTrees(),
		pace:       c.Pace,
	}, nil
}

// Check asks for the root itself: whether it is there and the login is good, its
// size with all that is in it, and whether it is a folder. It stops the
// migration with ReasonSourceMissing when there is nothing.
//
// A root that is a file is one entry of a folder that has nothing else, from the
// first Check on.
func (s *Source) Check(ctx context.Context) (transfer.Entry, error) {
	root, err := s.query(ctx, "", query{depth: "0", check: (*listing).checkEntry})
	if err == nil {
		s.single.Store(!root.Folder)
	}
	return root, err
}

// Stat implements transfer.Source.
func (s *Source) Stat(ctx context.Context, entry string) (transfer.Entry, error) {
	return s.query(ctx, entry, query{depth: "0", check: (*listing).checkEntry})
}

// List implements transfer.Source.
func (s *Source) List(ctx context.Context, folder string, yield func(transfer.Entry) error) (transfer.Entry, error) {
	if folder == "" && s.single.Load() {
		return s.listSingle(ctx, yield)
	}
	return s.query(ctx, folder, query{depth: "1", limit: s.maxEntries, yield: yield, check: (*listing).checkFolder})
}

// listSingle lists a root that is a file.
func (s *Source) listSingle(ctx context.Context, yield func(transfer.Entry) error) (transfer.Entry, error) {
	file, err := s.Check(ctx)
	if err != nil {
		return transfer.Entry{}, err
	}
	if file.Folder {
		return transfer.Entry{}, &transfer.Error{
			Side: transfer.SideSource, Class: transfer.Again, Reason: transfer.ReasonChanged,
			Err: errors.New("a folder has taken the place of the file"),
		}
	}
	if err := yield(file); err != nil {
		return transfer.Entry{}, err
	}
	return transfer.Entry{Name: file.Name, Folder: true, Size: file.Size, ModTime: file.ModTime, ETag: file.ETag}, nil
}

// Open implements transfer.Source. A body that breaks off late is opened again
// behind its back.
func (s *Source) Open(ctx context.Context, file string) (*transfer.Body, error) {
	resource, err := s.locate(file)
	if err != nil {
		return nil, err
	}
	c := s.newCall(ctx, file == "")
	b, err := c.get(resource)
	if err != nil {
		c.watchdog.release()
		return nil, err
	}
	return &transfer.Body{
		ReadCloser: c.lasting(b, resource),
		Size:       b.size,
		ETag:       cleanETag(cmp.Or(c.header.Get("OC-ETag"), c.header.Get("ETag"))),
		ModTime:    parseDate(c.header.Get("Last-Modified")),
		MIME:       c.header.Get("Content-Type"),
		Checksums:  c.header.Get("OC-Checksum"),
	}, nil
}

// query is what one PROPFIND asks for.
type query struct {
	depth string
	limit int // of children
	yield func(transfer.Entry) error
	check func(*listing) error // at the end of the answer
}

func (s *Source) query(ctx context.Context, folder string, q query) (transfer.Entry, error) {
	resource, err := s.locate(folder)
	if err != nil {
		return transfer.Entry{}, err
	}
	c := s.newCall(ctx, folder == "")
	defer c.watchdog.release()
	b, err := c.propfind(resource, q.depth)
	if err != nil {
		return transfer.Entry{}, err
	}
	defer func() { _ = b.Close() }() // the answer was read, or its error is known
	l := newListing(c.url, strings.TrimPrefix(path.Base("/"+resource), "/"), q)
	l.mounts = s.mounts
	if err = decodeMultistatus(b, l.visit); err == nil {
		err = q.check(l)
	}
	if l.failure != nil {
		return transfer.Entry{}, l.failure
	}
	if err != nil {
		return transfer.Entry{}, c.fail(err)
	}
	return l.self, nil
}

// locate gives the path of an entry below the user's home.
func (s *Source) locate(p string) (string, error) {
	clean, err := cleanPath(p)
	if err == nil && depth(clean) > s.maxDepth {
		err = fmt.Errorf("more than %d folders deep", s.maxDepth)
	}
	if err != nil {
		return "", &transfer.Error{
			Side: transfer.SideSource, Class: transfer.EntryFails, Reason: transfer.ReasonIncomplete, Err: err,
		}
	}
	if s.single.Load() && clean == path.Base(s.root) {
		return s.root, nil
	}
	return strings.Trim(s.root+"/"+clean, "/"), nil
}

// remember keeps a verdict on the login.
func (s *Source) remember(e *transfer.Error) {
	if e.Reason == transfer.ReasonLoginRefused {
		s.refused.CompareAndSwap(nil, e)
	}
}
