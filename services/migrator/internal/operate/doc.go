// Package operate is what an operator asks of the ledger and does to it: the
// same for the command line and for the page. It decides what may be done to a
// migration and puts its state into words; it moves no file.
//
// Actions go through the ledger alone. A worker sees a cancellation as it sees a
// user's, and a retry as work that is due; the tracking document follows from the
// ledger as always.
package operate
