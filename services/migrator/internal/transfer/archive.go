package transfer

import (
	"context"
	"crypto/md5"
	"errors"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// Archiver is what a Source may be besides: it sends several files of one folder
// in one answer, which can cost it far less than a request for each.
type Archiver interface {
	// Archive asks for files of a folder and calls yield with the place in files
	// and the whole content of each that came as it was listed, once, in any
	// order. The content is yield's to keep. What did not come has to be asked for
	// by Open, whatever the error is; only ErrNoArchives says that there is no
	// point in asking again. An error of yield ends it and is returned as it is.
	Archive(ctx context.Context, folder string, files []File, yield func(i int, content []byte) error) error
}

// ErrNoArchives is returned by an Archiver whose server does not know archives.
var ErrNoArchives = errors.New("the source has no archives")

// A bundle is what one archive is asked for: files of one folder, neighbours in
// the ledger. All of it is in memory at once, for each bundle that is read.
const (
	bundleFiles  = 64
	bundleBytes  = 4 << 20
	bundleLeast  = 4         // fewer are as quick one by one: a bundle costs two requests more
	bundleMember = 512 << 10 // bytes of the largest file that goes into one
	bundleReads  = 2         // archives read at once: one is read while the other is uploaded
)

// archiveFailures is how many archives in a row may give nothing before no more
// are asked for in this slice.
const archiveFailures = 3

// job is a file to be copied, with its content where an archive brought it.
type job struct {
	File
	content []byte // nil: to be read from the source
	md5     []byte // of the content
}

func newJob(f File, content []byte) job {
	if content == nil {
		return job{File: f}
	}
	sum := md5.Sum(content)
	return job{f, content, sum[:]}
}

// bundler hands files to the transfers: small neighbours together by way of an
// archive, all others one by one.
type bundler struct {
	*run
	archiver Archiver // nil: one by one
	bundles  chan []File
	open     []File // the bundle that is being filled
	bytes    int64
	failures atomic.Int64 // archives in a row that gave nothing
}

// feedFiles reads files from the ledger for the transfers until there are no more.
func (r *run) feedFiles(ctx context.Context) error {
	defer close(r.jobs)
	b := &bundler{run: r, bundles: make(chan []File)}
	if r.cfg.Archives {
		b.archiver, _ = r.cfg.Source.(Archiver)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(b.bundles)
		return feeder[File]{
			read:  r.cfg.Ledger.Files,
			id:    func(f File) int64 { return f.ID },
			hand:  b.add,
			flush: b.flush,
			more:  r.moreFiles,
			over:  r.listed.Load,
		}.run(ctx, r.cfg.Drain)
	})
	for range bundleReads {
		g.Go(func() error {
			for files := range b.bundles {
				if err := b.fetch(ctx, files); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return r.noteDrained(g.Wait())
}

// add takes the next file of the ledger.
func (b *bundler) add(ctx context.Context, f File) error {
	if !b.takes(f) {
		if err := b.flush(ctx); err != nil {
			return err
		}
		if !b.takes(f) {
			return b.hand(ctx, newJob(f, nil))
		}
	}
	b.open, b.bytes = append(b.open, f), b.bytes+f.Size
	if len(b.open) == bundleFiles {
		return b.flush(ctx)
	}
	return nil
}

// takes says whether a file can go into the open bundle. One that was tried
// before goes alone: it may be what spoils an archive.
func (b *bundler) takes(f File) bool {
	switch {
	case b.archiver == nil, b.failures.Load() >= archiveFailures, f.Attempts > 0, f.Size > bundleMember:
		return false
	case len(b.open) == 0:
		return true
	}
	return f.FolderID == b.open[0].FolderID && b.bytes+f.Size <= bundleBytes
}

// flush sends the open bundle on its way.
func (b *bundler) flush(ctx context.Context) error {
	files := b.open
	b.open, b.bytes = nil, 0
	if len(files) >= bundleLeast {
		return send(ctx, b.cfg.Drain, b.bundles, files)
	}
	return b.alone(ctx, files)
}

func (b *bundler) hand(ctx context.Context, j job) error { return send(ctx, b.cfg.Drain, b.jobs, j) }

// alone leaves files to requests of their own.
func (b *bundler) alone(ctx context.Context, files []File) error {
	for _, f := range files {
		if err := b.hand(ctx, newJob(f, nil)); err != nil {
			return err
		}
	}
	return nil
}

// fetch hands out what an archive brings, and leaves the rest to requests of its
// own. What is wrong with the source or a file shows there, so no error of an
// archive is anybody's fault here.
func (b *bundler) fetch(ctx context.Context, files []File) error {
	contents := make([][]byte, len(files))
	got, err := b.read(ctx, files, contents)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, ErrNoArchives):
		b.failures.Store(archiveFailures)
	case got == 0:
		b.failures.Add(1)
	default:
		b.failures.Store(0)
	}
	if err != nil {
		b.cfg.Logger.DebugContext(ctx, "archive did not bring all", "folder", files[0].FolderID, "files", len(files), "came", got, "error", err)
	}
	for i, f := range files {
		if err := b.hand(ctx, newJob(f, contents[i])); err != nil {
			return err
		}
		contents[i] = nil
	}
	return nil
}

// read fills contents from one archive. Nothing is uploaded before the archive is
// known to be of one moment: the folder's ETag changes with each file in it, so
// while it stays, all members are the listed ones. An ETag that is older than the
// folder's last change is asked for once more.
func (b *bundler) read(ctx context.Context, files []File, contents [][]byte) (got int, err error) {
	etag := files[0].FolderETag
	for range 2 {
		if etag == "" {
			if etag, err = b.folderETag(ctx, files[0]); err != nil {
				return 0, err
			}
		}
		clear(contents)
		archiveErr := b.archiver.Archive(ctx, files[0].FolderPath, files, func(i int, content []byte) error {
			contents[i] = content
			return nil
		})
		if errors.Is(archiveErr, ErrNoArchives) {
			return 0, archiveErr
		}
		now, err := b.folderETag(ctx, files[0])
		if err != nil {
			clear(contents)
			return 0, err
		}
		if now == etag {
			return count(contents), archiveErr
		}
		etag = now
	}
	clear(contents)
	return 0, errors.New("the folder keeps changing")
}

func (b *bundler) folderETag(ctx context.Context, f File) (string, error) {
	e, err := b.cfg.Source.Stat(ctx, f.FolderPath)
	if err == nil && e.ETag == "" {
		err = errors.New("the folder has no etag")
	}
	return e.ETag, err
}

func count(contents [][]byte) (n int) {
	for _, c := range contents {
		if c != nil {
			n++
		}
	}
	return n
}
