package postgres

import "github.com/jackc/pgx/v5/pgxpool"

// Pool is for statements of tests, under the settings that all others have.
func (l *Ledger) Pool() *pgxpool.Pool { return l.pool }

const (
	// SelectLargeFiles is what LargeFiles asks.
	SelectLargeFiles = selectLargeFiles
	// Large is its condition.
	Large = large
)
