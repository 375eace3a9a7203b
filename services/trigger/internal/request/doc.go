// Package request decides what becomes of the requests of users: whether a
// migration may start, be canceled or have its source deleted, and what is
// written in which order when it does.
//
// # One migration for each instance
//
// Any number of triggers may serve one instance at the same time and share
// nothing but the instance's documents. A request looks for an active document,
// checks the login, creates its own document, settles, saves the account, claims
// its document and publishes the message.
//
// The look before is not enough: two requests may both find nothing. Nor is
// comparing times after the creation: a request can take its time first, create
// its document late and find itself older than one that has looked around, seen
// nobody and gone ahead. So a document is undecided until its own request claims
// it, and claiming and overruling are both conditional writes (by _rev) to that
// one document, of which CouchDB lets exactly one succeed:
//
//   - settle: a request that sees another document which is decided, or which
//     comes before its own (by creation time, then id), gives way;
//   - otherwise it overrules the others by marking them failed, and gives way to
//     one that was claimed in the meantime;
//   - claim: a request whose document was overruled gives way.
//
// At most one wins: of two documents the later one is created before its request
// looks around, so that request sees the earlier one, and either gives way or
// overrules it, after which the earlier one can no longer be claimed. And not
// all give way: the first of the undecided documents is overruled by nobody, and
// gives way only to one that is decided, which then is the winner. All this
// needs that a look shows every document whose creation was answered before.
//
// Documents that the stack's own route makes are decided from the start, because
// their message follows at once. That route does not look again, so the ledger's
// one active migration for each instance stays the last guard.
//
// # Deleting a source
//
// Entries go first, then the trashbin, then the document gets its
// source_deleted_at. What is gone counts as deleted, so whenever it stops
// half-way the same request finishes it. See [Desk.DeleteSource].
//
// While it runs, the document has a source_deleting_at that is renewed: a lease,
// by the clocks of the triggers. It is written before the look for active
// migrations, and a new migration looks for it after its own document is there,
// so that they cannot miss one another. A process that is paused for longer than
// its hold may still have one deletion of an entry on its way when it wakes up.
package request
