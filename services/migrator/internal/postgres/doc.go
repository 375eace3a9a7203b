// Package postgres keeps the ledger: what was asked for, who may work on it, and
// what became of each entry. It is the only package that speaks SQL.
//
// Time is the database's. A worker's clock decides nothing but when that worker
// stops trusting its own lease.
//
// Every write of a slice is one round trip of two statements in one implicit
// transaction: the first locks the migration's row, the second changes rows and
// counters if the row still has the holder's term. The lock makes the writes of
// one migration follow one another, which is what gives later rows higher ids.
package postgres

// Channels of NOTIFY.
const (
	channelWork     = "migrator_work"     // a migration became due
	channelCanceled = "migrator_canceled" // payload: the migration's id
)
