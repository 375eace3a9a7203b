package transfer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"example.org/ncm/pkg/failpoint"
)

// fetch is create by the target itself. What does not arrive as it was listed is
// removed and reported as ErrNotFetched: streaming finds out what is the matter.
//
// The target compares no checksum with the source; the size is all that can be
// verified here, and that a file whose copy took its time did not change.
func (r *run) fetch(ctx context.Context, j *job, res *Result) (int64, error) {
	f := j.File
	// The target can't be stopped: it goes on with what nobody waits for any more.
	// A copy that ends within the grace is recorded.
	//
	// If we stop here, the file comes into the target without anybody knowing: the
	// next holder finds its name taken, now or when its own copy has ended.
	copying, done := cutting(ctx, func() bool { return !r.lost() })
	defer done()
	asked := time.Now()
	stored, err := r.fetcher.Fetch(copying, f)
	res.took.Target += time.Since(asked) // and of the source, at once
	if errors.Is(err, ErrNameTaken) {
		r.target.ok()
		return r.sizeNow(copying, f, err)
	}
	if err != nil {
		return f.Size, err
	}
	r.source.ok()
	r.target.ok()
	// If we stop here, the file is in the target and not in the ledger: see doc.go.
	failpoint.Here(failpoint.FileCreated)
	if stored.Size != f.Size || time.Since(asked) > slowTransfer {
		err = r.asListed(copying, f, stored)
	}
	if err != nil {
		r.discard(ctx, j, stored.ID)
		return f.Size, err
	}
	res.fill(f, stored, stored.MD5)
	return stored.Size, nil
}

// sizeNow gives the size of a file whose name is taken, maybe by a copy of what
// the file has become since it was listed.
func (r *run) sizeNow(ctx context.Context, f File, taken error) (int64, error) {
	now, err := r.stat(ctx, f)
	if err != nil {
		return 0, err
	}
	return now.Size, taken
}

// asListed makes sure that a copy is of the file that was listed: a longer or
// shorter one may be of a body that was cut, or of a file that has changed, maybe
// while it was copied.
func (r *run) asListed(ctx context.Context, f File, stored Stored) error {
	now, err := r.stat(ctx, f)
	switch {
	case err != nil:
		return err
	case stored.Size != now.Size || f.ETag != now.ETag:
		return fmt.Errorf("%w: %d bytes were stored, %d are there", ErrNotFetched, stored.Size, now.Size)
	}
	return nil
}

// stat gives the size and the ETag that a file has now; what the source does not
// say is taken to be as it was listed.
func (r *run) stat(ctx context.Context, f File) (Entry, error) {
	now, err := r.cfg.Source.Stat(ctx, f.Path())
	if err != nil {
		return Entry{}, err
	}
	r.source.ok()
	if now.Size < 0 {
		now.Size = f.Size
	}
	now.ETag = cmp.Or(now.ETag, f.ETag)
	return now, nil
}
