package transfer_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"example.org/ncm/services/migrator/internal/transfer"
	"example.org/ncm/services/migrator/internal/transfertest"
)

// A slice that only finds what there is no need to copy, behind much that was copied
// before it, passes by all of that once, not for each folder that it lists.
func TestWhatNeedsNoCopyIsPassedByOnce(t *testing.T) {
	t.Parallel()
	b := newBench(tree(100))
	for n := range 200 {
		name := fmt.Sprintf("late/%03d/left out", n)
		b.source.Files[name] = "x"
		b.source.Skip = append(b.source.Skip, name)
	}
	late := true
	b.source.Fault = func(call, path string) error {
		if late && call == "list" && path == "late" {
			return transfertest.Again(transfer.SideSource, transfer.ReasonBusy)
		}
		return nil
	}
	b.mustEnd(t, transfer.Incomplete)
	late = false
	counted := &passing{Ledger: b.ledger}
	end, err := transfer.Run(t.Context(), transfer.Config{Source: b.source, Target: b.target, Ledger: counted})
	if err != nil || end.Kind != transfer.Complete {
		t.Fatalf("end %+v, error %v", end, err)
	}
	for p, r := range b.ledger.Results() {
		if (r.Outcome == transfer.Skipped) != strings.HasPrefix(p, "late/") || r.Outcome == "" {
			t.Errorf("%s has the result %+v", p, r)
		}
	}
	if files, large := counted.files.Load(), counted.large.Load(); files != 1 || large != 1 {
		t.Errorf("%d reads of files and %d of large ones began with the first of all, want 1", files, large)
	}
}

// passing counts the reads of files that pass by all that is done already.
type passing struct {
	*transfertest.Ledger
	files, large atomic.Int64
}

func (p *passing) Files(ctx context.Context, after int64, limit int) ([]transfer.File, error) {
	if after == 0 {
		p.files.Add(1)
	}
	return p.Ledger.Files(ctx, after, limit)
}

func (p *passing) LargeFiles(ctx context.Context, after int64, limit int) ([]transfer.File, error) {
	if after == 0 {
		p.large.Add(1)
	}
	return p.Ledger.LargeFiles(ctx, after, limit)
}
