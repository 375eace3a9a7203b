package transfer_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"example.org/ncm/services/migrator/internal/transfer"
	"example.org/ncm/services/migrator/internal/transfertest"
)

// narrow is a TreeLister that has room for one folder of the top, and what is below it,
// at a time.
type narrow struct {
	*transfertest.Source
	mu      sync.Mutex
	held    string
	listed  []string
	putOff  int
	forgets int
}

func (n *narrow) ListInTree(ctx context.Context, folder string, yield func(transfer.Entry) error) (transfer.Entry, error) {
	if folder != "" && !n.holds(folder) {
		return transfer.Entry{}, fmt.Errorf("%q: %w", folder, transfer.ErrLater)
	}
	return n.Source.List(ctx, folder, yield)
}

func (n *narrow) holds(folder string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	top, _, _ := strings.Cut(folder, "/")
	if n.held == "" {
		n.held = top
	}
	if n.held != top {
		n.putOff++
		return false
	}
	n.listed = append(n.listed, folder)
	return true
}

func (n *narrow) Forget() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.forgets++
	n.held = ""
}

func TestFoldersThatLackRoomAreListedAfterAllOthers(t *testing.T) {
	t.Parallel()
	files := map[string]string{}
	const tops = 6
	for n := range tops {
		for m := range 5 {
			files[fmt.Sprintf("top%d/sub%d/deep/file", n, m)] = "content"
		}
	}
	b := newBench(files)
	source := &narrow{Source: b.source}
	end, err := transfer.Run(t.Context(), transfer.Config{Source: source, Target: b.target, Ledger: b.ledger, Trees: true})
	if err != nil || end.Kind != transfer.Complete {
		t.Fatalf("end %+v, error %v", end, err)
	}
	for file := range files {
		if r := b.ledger.Results()[file]; r.Outcome != transfer.Done {
			t.Errorf("%s has the result %+v", file, r)
		}
	}
	var order []string
	for _, folder := range source.listed {
		top, _, _ := strings.Cut(folder, "/")
		order = append(order, top)
	}
	if order = slices.Compact(order); len(order) != tops {
		t.Errorf("listed in the order %v, want each with all below it", order)
	}
	if source.putOff == 0 || source.forgets < tops-1 {
		t.Errorf("%d folders were put off, %d times all was forgotten", source.putOff, source.forgets)
	}
}

// Where too many wait, folders are listed by themselves: what waits is in memory.
func TestOnlySoManyFoldersArePutOff(t *testing.T) {
	t.Parallel()
	files := map[string]string{}
	for n := range 1200 {
		files[fmt.Sprintf("top%d/file", n)] = "content"
	}
	b := newBench(files)
	source := &narrow{Source: b.source, held: "none of them"}
	drain := make(chan struct{})
	alone := make(chan string, len(files))
	b.source.Fault = func(call, path string) error {
		if call == "list" && path != "" {
			alone <- path
		}
		return nil
	}
	go func() {
		<-alone
		close(drain)
	}()
	end, err := transfer.Run(t.Context(), transfer.Config{Source: source, Target: b.target, Ledger: b.ledger, Trees: true, Drain: drain})
	if err != nil || end.Kind != transfer.Drained {
		t.Fatalf("end %+v, error %v", end, err)
	}
	if source.forgets > 0 || source.putOff < 1000 {
		t.Errorf("%d folders were put off, %d times all was forgotten", source.putOff, source.forgets)
	}
}
