package transfer

import (
	"context"
	"crypto/md5"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// Archiver is what a Source may be besides: it sends several files below one folder
// in one answer, which can cost it far less than a request for each.
type Archiver interface {
	// Archive asks for files below a folder and calls yield with the place in files
	// and the whole content of each that came as it was listed, once, in any
	// order. The content is yield's to keep. What did not come has to be asked for
	// by Open, whatever the error is; only ErrNoArchives says that there is no
	// point in asking again. An error of yield ends it and is returned as it is.
	Archive(ctx context.Context, folder string, files []File, yield func(i int, content []byte) error) error
}

// ErrNoArchives is returned by an Archiver whose server does not know archives.
var ErrNoArchives = errors.New("the source has no archives")

// A bundle is what one archive is asked for: neighbours in the ledger, of one folder
// or of several. All of it is in memory at once.
const (
	bundleFiles  = 64
	bundleBytes  = 4 << 20
	bundleLeast  = 4         // fewer are as quick one by one: a bundle costs two requests more
	bundleMember = 512 << 10 // bytes of the largest file that goes into one
	bundleReads  = 2         // archives read at once: one is read while the other is uploaded

	// bundlesHeld is how many bytes of members a slice holds, from before their
	// archive is asked for until they are in the target: what two archives bring
	// while a third is uploaded, however many transfers there are.
	bundlesHeld = (bundleReads + 1) * bundleBytes
)

// archiveFailures is how many archives in a row may give nothing before no more
// are asked for in this slice; those over several folders are counted by themselves.
const archiveFailures = 3

// job is a file to be copied, with its content where an archive brought it.
type job struct {
	File
	content []byte // nil: to be read from the source
	md5     []byte // of the content
	held    int64  // bytes of bundlesHeld that it gives back when it is over
}

func newJob(f File, content []byte) job {
	if content == nil {
		return job{File: f}
	}
	sum := md5.Sum(content)
	return job{File: f, content: content, md5: sum[:], held: f.Size}
}

// bundler hands files to the transfers: small neighbours together by way of an
// archive, all others one by one.
type bundler struct {
	*run
	archiver Archiver // nil: one by one
	bundles  chan []File
	open     []File // the bundle that is being filled
	bytes    int64
	// Archives in a row that gave nothing: of one folder, and of several.
	failures, scattered failures

	looking sync.Mutex
	last    *look // the folder that was listed again last
}

// feedFiles reads files from the ledger for the transfers until there are no more.
// Large ones are left to feedLarge.
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
			read: func(ctx context.Context, after int64, limit int) ([]File, error) {
				return r.filesLeft(ctx, r.cfg.Ledger.Files, after, limit)
			},
			id:    func(f File) int64 { return f.ID },
			last:  r.cfg.Ledger.LastFile,
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

// failures counts those in a row. Safe for concurrent use.
type failures struct{ inARow atomic.Int64 }

// note counts an archive that brought so many files.
func (f *failures) note(came int) {
	if came > 0 {
		f.inARow.Store(0)
		return
	}
	f.inARow.Add(1)
}

// tooMany says that no more are asked for in this slice.
func (f *failures) tooMany() bool { return f.inARow.Load() >= archiveFailures }

// giveUp has no more asked for.
func (f *failures) giveUp() { f.inARow.Store(archiveFailures) }

// scattered says whether a bundle is of several folders.
func scattered(files []File) bool {
	return slices.ContainsFunc(files, func(f File) bool { return f.FolderID != files[0].FolderID })
}

// common is the path of the deepest folder that all of these files are below.
func common(files []File) string {
	top := files[0].FolderPath
	for _, f := range files {
		for top != "" && f.FolderPath != top && !strings.HasPrefix(f.FolderPath, top+"/") {
			top = top[:max(0, strings.LastIndexByte(top, '/'))]
		}
	}
	return top
}

// add takes the next file of the ledger.
func (b *bundler) add(ctx context.Context, f File) error {
	if f.Size >= LargeFile {
		return nil
	}
	if f.asItWas() {
		return b.recognize(ctx, f)
	}
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
	case b.archiver == nil, b.failures.tooMany(), f.Attempts > 0, f.Size < 0, f.Size > bundleMember:
		return false
	case f.Earlier.found(): // whether it is read at all is decided later
		return false
	case len(b.open) == 0:
		return true
	}
	return b.bytes+f.Size <= bundleBytes && (f.FolderID == b.open[0].FolderID || !b.scattered.tooMany())
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

// fetch hands out what archives bring, and leaves the rest to requests of its
// own.
//
// What is left of an archive that breaks off is asked for together once more, but
// for the first file of it: several readers at once make a Nextcloud take a folder
// for locked now and then, in the middle of an archive. A further time only where
// the last one was worth it. Where an archive over several folders brings nothing,
// each folder gets its own.
func (b *bundler) fetch(ctx context.Context, files []File) error {
	for again := false; ; again = true {
		if err := b.held.Acquire(ctx, bytesOf(files)); err != nil {
			return context.Cause(ctx)
		}
		contents, came, broke, err := b.archive(ctx, files)
		if err != nil {
			return err
		}
		var rest []File
		for i, f := range files {
			if contents[i] == nil {
				rest = append(rest, f)
				continue
			}
			if err := b.hand(ctx, newJob(f, contents[i])); err != nil {
				return err
			}
			contents[i] = nil
		}
		b.held.Release(bytesOf(rest))
		if came == 0 && scattered(files) {
			return b.apart(ctx, files)
		}
		worth := came >= bundleLeast || !again && !b.failures.tooMany()
		if !broke || !worth || len(rest) <= bundleLeast {
			return b.alone(ctx, rest)
		}
		if err := b.alone(ctx, rest[:1]); err != nil {
			return err
		}
		files = rest[1:]
	}
}

func bytesOf(files []File) (sum int64) {
	for _, f := range files {
		sum += f.Size
	}
	return sum
}

// apart fetches a bundle folder by folder.
func (b *bundler) apart(ctx context.Context, files []File) error {
	for len(files) > 0 {
		n := slices.IndexFunc(files, func(f File) bool { return f.FolderID != files[0].FolderID })
		if n < 0 {
			n = len(files)
		}
		fetch := b.fetch
		if n < bundleLeast || b.failures.tooMany() {
			fetch = b.alone
		}
		if err := fetch(ctx, files[:n]); err != nil {
			return err
		}
		files = files[n:]
	}
	return nil
}

// archive reads one archive when the source has a place for it, and says whether
// it broke off. What is wrong with the source or a file shows where it is asked for
// alone, so no error of an archive is anybody's fault here.
func (b *bundler) archive(ctx context.Context, files []File) (contents [][]byte, came int, broke bool, err error) {
	place, err := b.place(ctx, b.sourcePace, 0)
	if err != nil {
		return nil, 0, false, err
	}
	contents = make([][]byte, len(files))
	started := time.Now()
	came, cause := b.read(ctx, files, contents)
	place.release(0)
	var e *Error
	broke = errors.As(cause, &e) && e.Reason == ReasonIncomplete
	if e != nil && e.Throttled {
		b.sourcePace.Busy()
	}
	b.cfg.Metrics.Archived(len(files), came, time.Since(started))
	switch {
	case ctx.Err() != nil:
		return nil, 0, false, context.Cause(ctx)
	case errors.Is(cause, ErrNoArchives):
		b.failures.giveUp()
	case scattered(files):
		b.scattered.note(came)
	default:
		b.failures.note(came)
	}
	if cause != nil {
		b.cfg.Logger.DebugContext(ctx, "archive did not bring all", "folder", files[0].FolderID, "files", len(files), "came", came, "error", cause)
	}
	return contents, came, broke, nil
}

// read fills contents from one archive. Nothing is uploaded before the archive is
// known to be of one moment: a folder's ETag changes with each file in it, and in
// the folders below, so while it stays, all members are what their listings say.
func (b *bundler) read(ctx context.Context, files []File, contents [][]byte) (got int, err error) {
	if scattered(files) {
		return b.readBelow(ctx, common(files), files, contents)
	}
	look, err := b.look(ctx, files[0])
	for range 2 {
		if err != nil {
			return 0, err
		}
		clear(contents)
		got, err = b.ask(ctx, files, look, contents)
		if errors.Is(err, ErrNoArchives) {
			return 0, err
		}
		now, statErr := b.folderETag(ctx, files[0].FolderPath)
		if statErr != nil {
			clear(contents)
			return 0, statErr
		}
		if now == look.etag {
			return got, err
		}
		look, err = b.lookAgain(ctx, files[0])
	}
	clear(contents)
	return 0, errChanging
}

var errChanging = errors.New("the folder keeps changing")

// readBelow is read for files of several folders below a top one. That one was
// listed before them, so that its ETag of then speaks for them all.
func (b *bundler) readBelow(ctx context.Context, top string, files []File, contents [][]byte) (got int, err error) {
	etag, err := retryLedger(ctx, func() (string, error) { return b.cfg.Ledger.ETagAbove(ctx, files[0].FolderID, top) })
	if err != nil {
		return 0, err
	}
	if etag == "" {
		return 0, errors.New("the folder above has no etag")
	}
	got, err = b.ask(ctx, files, &look{etag: etag, path: top}, contents)
	if got == 0 {
		return 0, err
	}
	now, statErr := b.folderETag(ctx, top)
	if statErr == nil && now != etag {
		statErr = errChanging
	}
	if statErr != nil {
		clear(contents)
		return 0, statErr
	}
	return got, err
}

// ask fills contents with what an archive brings of the files that are still as
// they were listed at first.
func (b *bundler) ask(ctx context.Context, files []File, look *look, contents [][]byte) (got int, err error) {
	var same []File
	var places []int
	for i, f := range files {
		if look.etags == nil || look.etags[f.Name] == f.ETag {
			same, places = append(same, f), append(places, i)
		}
	}
	err = b.archiver.Archive(ctx, look.path, same, func(i int, content []byte) error {
		contents[places[i]] = content
		got++
		return nil
	})
	return got, err
}

// look is what a folder was like when it was listed: its own ETag and, where that
// was not when its files came into the ledger, theirs by name.
type look struct {
	folderID int64
	path     string
	etag     string
	etags    map[string]string
}

// mostLookedAt bounds the ETags that are kept of one folder. Where there are more,
// its files come alone once it has changed.
const mostLookedAt = 20_000

// look gives the latest listing of a file's folder.
func (b *bundler) look(ctx context.Context, f File) (*look, error) {
	b.looking.Lock()
	last := b.last
	b.looking.Unlock()
	if last != nil && last.folderID == f.FolderID {
		return last, nil
	}
	if f.FolderETag != "" {
		return &look{folderID: f.FolderID, path: f.FolderPath, etag: f.FolderETag}, nil
	}
	return b.lookAgain(ctx, f)
}

// lookAgain lists a folder that changed since, or whose listing is not over yet.
func (b *bundler) lookAgain(ctx context.Context, f File) (*look, error) {
	now := &look{folderID: f.FolderID, path: f.FolderPath, etags: map[string]string{}}
	self, err := b.cfg.Source.List(ctx, f.FolderPath, func(e Entry) error {
		if len(now.etags) == mostLookedAt {
			return errors.New("the folder is too large to be looked at again")
		}
		now.etags[e.Name] = e.ETag
		return nil
	})
	if err != nil {
		return nil, err
	}
	now.etag = self.ETag
	b.looking.Lock()
	defer b.looking.Unlock()
	b.last = now
	return now, nil
}

func (b *bundler) folderETag(ctx context.Context, folder string) (string, error) {
	e, err := b.cfg.Source.Stat(ctx, folder)
	if err == nil && e.ETag == "" {
		err = errors.New("the folder has no etag")
	}
	return e.ETag, err
}
