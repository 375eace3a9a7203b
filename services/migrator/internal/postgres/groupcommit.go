package postgres

import (
	"context"
	"errors"
	"sync"

	"github.com/jackc/pgx/v5"

	"example.org/ncm/services/migrator/internal/transfer"
)

// groupCommit writes together what comes while another write is on its way: writes of
// one migration wait for each other anyway, and each commit waits for a disk. Safe for
// concurrent use.
type groupCommit struct {
	turn chan struct{} // holds one while a group is written

	mu      sync.Mutex
	waiting []*grouped
}

// grouped is one write. Its fields belong to who has the turn.
type grouped struct {
	args    pgx.NamedArgs
	written bool // or failed with err
	err     error
}

func newGroupCommit() groupCommit { return groupCommit{turn: make(chan struct{}, 1)} }

// write has its turn and writes what waits then, in the order in which it came, or
// finds that another has done so meanwhile. Do writes all or nothing. When ctx ends,
// the write may still come with a later group.
func (g *groupCommit) write(ctx context.Context, args pgx.NamedArgs, do func([]pgx.NamedArgs) error) error {
	w := &grouped{args: args}
	g.add(w)
	select {
	case g.turn <- struct{}{}:
		defer func() { <-g.turn }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if w.written {
		return w.err
	}
	all := g.take()
	writeAll(all, do)
	if ctx.Err() == nil {
		return w.err
	}
	for _, other := range all {
		if other != w && other.err != nil { // their own contexts may go on
			other.written, other.err = false, nil
			g.add(other)
		}
	}
	return w.err
}

func (g *groupCommit) add(w *grouped) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting = append(g.waiting, w)
}

func (g *groupCommit) take() []*grouped {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := g.waiting
	g.waiting = nil
	return all
}

// writeAll writes a group, or each write of it by itself where one of them is to blame.
func writeAll(all []*grouped, do func([]pgx.NamedArgs) error) {
	args := make([]pgx.NamedArgs, 0, len(all))
	for _, w := range all {
		args = append(args, w.args)
	}
	err := do(args)
	if len(all) > 1 && ofOne(err) {
		for _, w := range all {
			writeAll([]*grouped{w}, do)
		}
		return
	}
	for _, w := range all {
		w.written, w.err = true, err
	}
}

// ofOne says whether an error may be about one write of a group alone.
func ofOne(err error) bool {
	var passes *transfer.Error
	return err != nil && !errors.As(err, &passes) && !errors.Is(err, transfer.ErrLeaseLost) &&
		!errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
}
