package transfer

import (
	"cmp"
	"context"
	"slices"
)

// LargeFile is from which size on, in bytes, a file is large: it takes seconds over
// a line of a few megabytes a second. Large files begin as soon as they are listed,
// since the last file of a migration keeps the user waiting for as long as it takes.
const LargeFile = 16 << 20

// largeBatch is how many large files are put in order by size at once.
const largeBatch = 100

// largeFirst is how many of the transfers prefer large files. The others take them
// when there are no small ones left, so that these keep flowing.
func largeFirst(transfers int) int { return max(transfers/4, min(1, transfers-1)) }

// feedLarge reads large files from the ledger for the transfers until there are no
// more, of those that are there the largest first.
func (r *run) feedLarge(ctx context.Context) error {
	defer close(r.large)
	return r.noteDrained(feeder[File]{
		limit: largeBatch,
		read: func(ctx context.Context, after int64, limit int) ([]File, error) {
			files, err := r.filesLeft(ctx, r.cfg.Ledger.LargeFiles, after, limit)
			slices.SortStableFunc(files, func(a, b File) int { return cmp.Compare(b.Size, a.Size) })
			return files, err
		},
		id:   func(f File) int64 { return f.ID },
		last: r.cfg.Ledger.LastFile,
		hand: func(ctx context.Context, f File) error {
			if f.asItWas() {
				return r.recognize(ctx, f)
			}
			return send(ctx, r.cfg.Drain, r.large, newJob(f, nil))
		},
		more: r.moreLarge,
		over: r.listed.Load,
	}.run(ctx, r.cfg.Drain))
}

// next gives a transfer its next file. ok is false when there is none and none will come.
func (r *run) next(largeFirst bool) (j job, ok bool) {
	if largeFirst {
		return either(r.large, r.jobs)
	}
	if j, ok = <-r.jobs; ok {
		return j, true
	}
	j, ok = <-r.large
	return j, ok
}

// either receives from the first channel, or from the second while that has nothing.
// ok is false when both are closed and empty.
func either(first, second <-chan job) (j job, ok bool) {
	for first != nil || second != nil {
		select {
		case j, ok = <-first:
			if ok {
				return j, true
			}
			first = nil
			continue
		default:
		}
		select {
		case j, ok = <-first:
			if ok {
				return j, true
			}
			first = nil
		case j, ok = <-second:
			if ok {
				return j, true
			}
			second = nil
		}
	}
	return job{}, false
}
