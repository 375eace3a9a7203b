package transfer_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"example.org/ncm/services/migrator/internal/transfer"
	"example.org/ncm/services/migrator/internal/transfertest"
)

// fetchBench is a bench whose target fetches by itself.
type fetchBench struct {
	*bench
	fetching *transfertest.Fetching
}

func newFetchBench(files map[string]string) *fetchBench {
	b := newBench(files)
	return &fetchBench{b, &transfertest.Fetching{Source: b.source, Target: b.target}}
}

func (b *fetchBench) run(ctx context.Context) (transfer.End, error) {
	return transfer.Run(ctx, transfer.Config{
		Source: b.fetching, Target: b.target, Ledger: b.ledger, Drain: b.drain, Attempts: 3, Transfers: 4,
	})
}

func (b *fetchBench) mustComplete(t *testing.T) {
	t.Helper()
	if end, err := b.run(t.Context()); err != nil || end.Kind != transfer.Complete {
		t.Fatalf("slice ended as %+v, %v", end, err)
	}
}

func (b *fetchBench) opened() (n int) {
	for p := range b.source.Files {
		n += b.source.Calls("open", p)
	}
	return n
}

func TestFilesAreFetchedWithoutPassingThroughHere(t *testing.T) {
	t.Parallel()
	files := tree(200)
	files["empty"] = ""
	b := newFetchBench(files)
	b.mustComplete(t)
	b.mustHave(t, withFolders(files))
	if n := b.opened(); n != 0 || b.fetching.Fetched() != int64(len(files)) {
		t.Errorf("%d files were read and %d fetched, want 0 and %d", n, b.fetching.Fetched(), len(files))
	}
	for p := range files {
		if r := b.ledger.Results()[p]; r.Outcome != transfer.Done || r.Size != int64(len(files[p])) || len(r.MD5) != 16 || r.TargetID == "" {
			t.Errorf("%s has the result %+v", p, r)
		}
	}
}

func TestACopyWhoseAnswerWasLostCountsOnce(t *testing.T) {
	t.Parallel()
	files := map[string]string{"a.txt": "1", "d/b.txt": "22", "c.txt": "333"}
	b := newFetchBench(files)
	var lost atomic.Int64
	b.fetching.Lost = func(context.Context, string) error {
		if lost.Add(1) > 2 {
			return nil
		}
		return transfertest.Again(transfer.SideTarget, transfer.ReasonUnreachable)
	}
	b.mustComplete(t)
	b.mustHave(t, withFolders(files))
	for p := range files {
		if r := b.ledger.Results()[p]; r.Outcome != transfer.Done || r.TargetName != "" {
			t.Errorf("%s has the result %+v", p, r)
		}
	}
}

func TestAFetchThatFindsAnotherFileOfItsSizeKeepsBoth(t *testing.T) {
	t.Parallel()
	b := newFetchBench(map[string]string{"a.txt": "mine", "b.txt": "same"})
	b.target.Put(transfertest.RootID, "a.txt", "ours")
	b.target.Put(transfertest.RootID, "b.txt", "same")
	b.mustComplete(t)
	b.mustHave(t, map[string]string{"a.txt": "ours", "a (2).txt": "mine", "b.txt": "same"})
}

func TestAFileThatChangedSinceItWasListedIsNotKeptTwice(t *testing.T) {
	t.Parallel()
	b := newFetchBench(map[string]string{"a.txt": "as it is now"})
	b.fetching.Listed = func(e *transfer.Entry) { e.Size = 3 }
	var lost atomic.Bool
	b.fetching.Lost = func(context.Context, string) error {
		if lost.Swap(true) {
			return nil
		}
		return transfertest.Again(transfer.SideTarget, transfer.ReasonUnreachable)
	}
	b.mustComplete(t)
	b.mustHave(t, map[string]string{"a.txt": "as it is now"})
}

func TestWhatDoesNotArriveWholeIsRemovedAndStreamed(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(b *fetchBench){
		"not fetched": func(b *fetchBench) {
			b.fetching.FetchFault = func(string) error { return fmt.Errorf("over quota: %w", transfer.ErrNotFetched) }
		},
		"cut": func(b *fetchBench) {
			b.fetching.Spoil = func(_, content string) string { return content[:1] }
		},
		"longer": func(b *fetchBench) {
			b.fetching.Spoil = func(_, content string) string { return content + "!" }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := map[string]string{"a.txt": "12345", "d/b.txt": "6789"}
			b := newFetchBench(files)
			spoil(b)
			b.mustComplete(t)
			b.mustHave(t, withFolders(files))
			if b.target.Creates() != len(files) {
				t.Errorf("%d files were streamed, want %d", b.target.Creates(), len(files))
			}
		})
	}
}

func TestOnlyAFileThatChangedDuringALongFetchIsStreamed(t *testing.T) {
	t.Parallel()
	for listed, streamed := range map[string]int{"old": 1, "new": 0} {
		t.Run(listed, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newFetchBench(map[string]string{"big": "new bytes"})
				b.source.ETag = func(string) string { return "new" }
				b.fetching.Listed = func(e *transfer.Entry) { e.ETag = listed }
				b.fetching.Spoil = func(_, content string) string { return strings.Replace(content, "new", listed, 1) }
				b.fetching.Lost = func(ctx context.Context, _ string) error {
					select {
					case <-time.After(time.Minute):
					case <-ctx.Done():
					}
					return nil
				}
				b.mustComplete(t)
				b.mustHave(t, map[string]string{"big": "new bytes"})
				if n := b.target.Creates(); n != streamed {
					t.Errorf("%d files were streamed, want %d", n, streamed)
				}
			})
		})
	}
}

// TestACancellationWaitsAMomentForTheAnswer: the target can't be stopped, so what
// ends within the moment is recorded, and nothing is waited for longer.
func TestACancellationWaitsAMomentForTheAnswer(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		took time.Duration
		want transfer.Outcome
	}{"short": {time.Second, transfer.Done}, "long": {time.Hour, ""}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newFetchBench(map[string]string{"a.txt": "1"})
				canceled := errors.New("canceled")
				ctx, cancel := context.WithCancelCause(t.Context())
				b.fetching.Lost = func(ctx context.Context, _ string) error {
					cancel(canceled)
					select {
					case <-time.After(test.took):
						return nil
					case <-ctx.Done():
						return context.Cause(ctx)
					}
				}
				started := time.Now()
				if _, err := b.run(ctx); !errors.Is(err, canceled) {
					t.Errorf("slice ended with %v", err)
				}
				if took := time.Since(started); took > 3*time.Second {
					t.Errorf("the slice ended after %v", took)
				}
				if got := b.ledger.Results()["a.txt"].Outcome; got != test.want {
					t.Errorf("result %q, want %q", got, test.want)
				}
			})
		})
	}
}

func TestALostLeaseDoesNotWaitForTheAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newFetchBench(map[string]string{"a.txt": "1"})
		ctx, cancel := context.WithCancelCause(t.Context())
		b.fetching.Lost = func(ctx context.Context, _ string) error {
			cancel(transfer.ErrLeaseLost)
			<-ctx.Done()
			return context.Cause(ctx)
		}
		started := time.Now()
		if _, err := b.run(ctx); !errors.Is(err, transfer.ErrLeaseLost) {
			t.Errorf("slice ended with %v", err)
		}
		if took := time.Since(started); took != 0 {
			t.Errorf("the slice ended after %v", took)
		}
		if r := b.ledger.Results()["a.txt"]; r.Outcome != "" {
			t.Errorf("recorded as %+v", r)
		}
	})
}

func TestAVanishedTargetFolderIsMadeAnewForAFetch(t *testing.T) {
	t.Parallel()
	b := newFetchBench(map[string]string{"d/a.txt": "1", "d/b.txt": "2"})
	var trashed atomic.Bool
	b.fetching.FetchFault = func(string) error {
		if !trashed.Swap(true) {
			b.target.Trash(b.target.ID(transfertest.RootID, "d"))
		}
		return nil
	}
	end, err := transfer.Run(t.Context(), transfer.Config{
		Source: b.fetching, Target: b.target, Ledger: b.ledger, Transfers: 1,
		Root: func(context.Context) (string, error) { return transfertest.RootID, nil },
	})
	if err != nil || end.Kind != transfer.Complete {
		t.Fatalf("slice ended as %+v, %v", end, err)
	}
	if tree := b.target.Tree(); tree["d/a.txt"] != "1" || tree["d/b.txt"] != "2" || strings.Contains(fmt.Sprint(tree), "(2)") {
		t.Errorf("target: %v", tree)
	}
}
