// Package worker decides who works on which migration, and for how long: it
// admits requests, holds leases, runs slices and mirrors the ledger to the
// tracking documents.
//
// # The lease
//
// A lease is the right of one worker to one migration. The database's clock alone
// decides when it ends; the holder renews it well before that, and by its own
// monotonic clock stops earlier still. Each claim raises the term, and every
// write to the ledger names the term: a worker that was paused and wakes up finds
// that it may not write any more, whatever it believes.
//
//	claimed ──renew──> held ──work ends──> released, paused or finished
//	                    ├── renewal refused, or none for too long ──> lost: nothing more is written
//	                    ├── cancellation ──> bodies cut ──> finished as canceled
//	                    └── the process stops ──> drained, cut after a grace ──> released
//
// The term fences the ledger, not the two sides. A holder that lost its lease may
// still end one upload per transfer; the next one meets these files by name and
// content and counts them once.
//
// # The mirror
//
// A tracking document is written from a snapshot of the ledger that is taken after
// the document was read, and with the revision that was read. So whoever writes,
// and however late, what is written is never older than what was there.
package worker
