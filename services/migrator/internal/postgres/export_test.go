package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Pool is for statements of tests, under the settings that all others have.
func (l *Ledger) Pool() *pgxpool.Pool { return l.pool }

const (
	// SelectLargeFiles is what LargeFiles asks.
	SelectLargeFiles = selectLargeFiles
	// Large is its condition.
	Large = large
)

// WaitingPages is how many pages wait for one that is being written.
func (s *Slice) WaitingPages() int {
	s.pages.mu.Lock()
	defer s.pages.mu.Unlock()
	return len(s.pages.waiting)
}

// NewGroupCommit gives the write of a group.
func NewGroupCommit() func(ctx context.Context, args pgx.NamedArgs, do func([]pgx.NamedArgs) error) error {
	g := newGroupCommit()
	return g.write
}
