// Package transfer copies the entries of one migration from a source to a target
// and keeps the ledger of it: the engine, and the words that it shares with its
// adapters.
//
// # One slice
//
// A slice is the piece of work done under one lease. Three kinds of goroutines
// work on it at once:
//
//	folders ─> listers ──pages──> ledger ─> feeders ─────────> transfers ─results─> recorder ─> ledger
//	   ^────────────────────────────┘          └─> archives ───────^
//
// Listers read folders, make them in the target and add their children to the ledger
// page by page, so that no file waits for its folder. One feeder reads files from the
// ledger in the order of their ids, so that copying starts with the first page; small
// neighbours, of one folder or of several, come many at once in archives where the
// source has them. Another one
// reads the large files, which begin before the small ones that were listed earlier
// and leave most transfers to these. Transfers stream one file each; one recorder
// writes results in batches. All of it goes through the ledger, so memory does
// not grow with the number of entries and a new holder starts where the last one
// stood.
//
// Reading by ascending id misses nothing because the ledger gives ids under the
// lock of the migration's row: what commits later has the higher id.
//
// # What a crash can lose
//
// Only the knowledge of the last batch. Those files are in the target already:
// creating them again finds the name taken, the contents compare equal, and they
// are counted once. The same holds for a folder that was made but not recorded.
//
// # Errors
//
// An adapter classifies each error once (Error.Class). What may pass is tried
// again, at first in place, then in a later pass, and fails for good when its
// passes are used up. When one side fails several times in a row, the engine asks
// that side for its root: if that fails too, the side is down as a whole, the
// slice ends and no entry's attempts are used up.
package transfer
