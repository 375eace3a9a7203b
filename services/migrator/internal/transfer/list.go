package transfer

import (
	"context"
	"errors"
	"fmt"
	"path"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"example.org/ncm/pkg/failpoint"
)

// A page of a listing goes to the ledger when it is full or this old, so that
// copying starts while a huge folder is still being read.
const (
	pageEntries = 1000
	pageAge     = 250 * time.Millisecond
)

// errDrained ends a feeder because nothing new may be begun.
var errDrained = errors.New("drained")

// list lists every folder that the ledger has to list, those found on the way
// included.
func (r *run) list(ctx context.Context) error {
	g, gctx := errgroup.WithContext(ctx)
	folders := make(chan Folder)
	g.Go(func() error {
		defer close(folders)
		return r.feedFolders(gctx, folders)
	})
	for range r.cfg.Listers {
		g.Go(func() error {
			for f := range folders {
				if err := r.listFolder(gctx, f); err != nil {
					return err
				}
				r.listing.Add(-1)
				r.moreFolders.ring()
			}
			return nil
		})
	}
	err := g.Wait()
	r.listed.Store(true)
	r.ringForFiles()
	return r.noteDrained(err)
}

func (r *run) feedFolders(ctx context.Context, out chan<- Folder) error {
	return feeder[Folder]{
		read: r.foldersLeft,
		id:   func(f Folder) int64 { return f.ID },
		hand: func(ctx context.Context, f Folder) error {
			r.listing.Add(1)
			return send(ctx, r.cfg.Drain, out, f)
		},
		more: r.moreFolders,
		over: func() bool { return r.listing.Load() == 0 && r.later.len() == 0 },
	}.run(ctx, r.cfg.Drain)
}

// foldersLeft reads folders that are still to be listed, and when all others are, those
// that were put off.
func (r *run) foldersLeft(ctx context.Context, after int64, limit int) ([]Folder, error) {
	idle := r.listing.Load() == 0 // asked before the read: nothing is added after it
	folders, err := r.cfg.Ledger.Folders(ctx, after, limit)
	if err != nil || len(folders) > 0 || !idle {
		return folders, err
	}
	if t, ok := r.cfg.Source.(TreeLister); ok {
		t.Forget()
	}
	return r.later.take(), nil
}

// mostLater bounds the folders that are put off. Further ones are listed by themselves.
const mostLater = 1000

// later holds folders until all others are listed. Safe for concurrent use.
type later struct {
	mu      sync.Mutex
	folders []Folder
}

func (l *later) add(f Folder) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.folders = append(l.folders, f)
}

func (l *later) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.folders)
}

func (l *later) take() []Folder {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.folders
	l.folders = nil
	return all
}

// listFolder lists one folder, and records what became of it, or puts it off.
func (r *run) listFolder(ctx context.Context, f Folder) error {
	started := time.Now()
	putOff := false
	failure, err := r.retry(ctx, func() error {
		err := r.listOnce(ctx, f)
		if putOff = errors.Is(err, ErrLater); putOff {
			return nil
		}
		return err
	})
	if err != nil {
		return err
	}
	if putOff {
		r.later.add(f)
		return nil
	}
	if failure == nil {
		r.progress.Store(true)
		r.cfg.Metrics.Listed(Done, "", time.Since(started))
		return nil
	}
	if f.Path == "" && failure.Class == EntryFails {
		failure.Class = MigrationStops // without its root there is nothing to migrate
		return failure
	}
	res := FolderResult{Folder: f, Outcome: r.outcome(failure, f.Attempts), Reason: failure.Reason}
	r.cfg.Metrics.Listed(res.Outcome, res.Reason, time.Since(started))
	_, err = retryLedger(ctx, func() (struct{}, error) {
		return struct{}{}, r.cfg.Ledger.RecordFolder(ctx, res)
	})
	return err
}

// listOnce adds a folder's children to the ledger and makes the folder in the
// target, in the order that leaves none behind whose listing can't be read.
func (r *run) listOnce(ctx context.Context, f Folder) error {
	page := Page{Folder: f}
	since := time.Now()
	self, err := r.listSource(ctx, f.Path, func(e Entry) error {
		// Not before there is more: a folder that fits is recorded as a whole.
		if len(page.Entries) == pageEntries || len(page.Entries) > 0 && time.Since(since) >= pageAge {
			if err := r.addPage(ctx, &page); err != nil {
				return err
			}
			page.Entries, since = page.Entries[:0], time.Now()
		}
		page.Entries = append(page.Entries, e)
		page.ETag = e.FolderETag
		return nil
	})
	if err != nil {
		// The pages that were added stay; the folder is listed again, and what is
		// known already is not added twice.
		return err
	}
	r.source.ok()
	page.Complete, page.ETag = true, self.ETag
	return r.addPage(ctx, &page)
}

func (r *run) listSource(ctx context.Context, folder string, yield func(Entry) error) (Entry, error) {
	if t, ok := r.cfg.Source.(TreeLister); ok && r.cfg.Trees {
		self, err := t.ListInTree(ctx, folder, yield)
		if !errors.Is(err, ErrLater) || r.later.len() < mostLater {
			return self, err
		}
	}
	return r.cfg.Source.List(ctx, folder, yield)
}

// makeFolder finds or makes the target's folder for f, which is not known to exist.
func (r *run) makeFolder(ctx context.Context, f *Folder) error {
	err := r.ensureFolder(ctx, f)
	if reasonOf(err) == ReasonParentGone {
		if f.ParentTarget, err = r.restore(ctx, f.ParentID, f.ParentTarget, err); err == nil {
			err = r.ensureFolder(ctx, f)
		}
	}
	if err != nil {
		return err
	}
	// If we stop here, the folder is in the target and not in the ledger: the
	// next holder finds its name taken by a folder and goes on with that one.
	failpoint.Here(failpoint.FolderMade)
	return nil
}

// addPage makes sure of the page's folder in the target and records the page.
func (r *run) addPage(ctx context.Context, p *Page) error {
	if p.Folder.TargetID == "" {
		if err := r.makeFolder(ctx, &p.Folder); err != nil {
			return err
		}
	}
	_, err := retryLedger(ctx, func() (struct{}, error) { return struct{}{}, r.cfg.Ledger.AddPage(ctx, *p) })
	if err != nil {
		return &ledgerError{err}
	}
	r.moreFolders.ring()
	r.ringForFiles()
	return nil
}

// ringForFiles wakes up who hands out files.
func (r *run) ringForFiles() {
	r.moreFiles.ring()
	r.moreLarge.ring()
}

// ensureFolder finds or makes the target's folder for f and fills in where it is;
// when a file has its name, the folder gets a number. If we stop between the folder
// and its marks, the next holder finds it and marks it.
func (r *run) ensureFolder(ctx context.Context, f *Folder) error {
	for n := 1; n <= maxNumbered; n++ {
		name := numbered(f.Name, n, true)
		if n > 1 {
			reserved, err := r.reserved(ctx, path.Dir("/" + f.Path)[1:], name)
			if err != nil {
				return err
			}
			if reserved {
				continue
			}
		}
		stored, err := r.cfg.Target.EnsureFolder(ctx, NewFolder{
			ParentID:  f.ParentTarget,
			Name:      name,
			ModTime:   f.ModTime,
			CreatedAt: f.CreatedAt,
			Marks:     f.Marks,
		})
		if errors.Is(err, ErrNameTaken) {
			continue
		}
		if err == nil {
			err = r.markFolder(ctx, *f, stored.ID)
		}
		if err != nil {
			return err
		}
		r.target.ok()
		f.TargetID, f.TargetName = stored.ID, ""
		if stored.Name != f.Name {
			f.TargetName = stored.Name
		}
		return nil
	}
	return &Error{Side: SideTarget, Class: EntryFails, Reason: ReasonNameTaken, Err: fmt.Errorf("%d names taken", maxNumbered)}
}
