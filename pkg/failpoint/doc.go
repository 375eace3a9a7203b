// Package failpoint names the places where a crash falls between two writes to
// different systems, so that tests can crash there. A build without the tag
// "failpoints" contains nothing of it.
package failpoint

// The places. ARCHITECTURE.md lists what is true at each and who repairs it.
const (
	// TriggerDocument: the tracking document exists, the account is not saved.
	TriggerDocument = "trigger-document"
	// TriggerExchanged: the source has made an app password, no account has it.
	TriggerExchanged = "trigger-exchanged"
	// TriggerAccount: the account is saved, the document is not claimed.
	TriggerAccount = "trigger-account"
	// TriggerClaim: the document is claimed, its message is not published.
	TriggerClaim = "trigger-claim"
	// TriggerPublished: the broker has the message, the caller has no answer.
	TriggerPublished = "trigger-published"
	// TriggerHold: the document says that its source is being deleted, nothing is.
	TriggerHold = "trigger-hold"
	// TriggerEntries: the source's entries are in the trashbin there.
	TriggerEntries = "trigger-entries"
	// TriggerTrash: the trashbin is empty, the document does not say so.
	TriggerTrash = "trigger-trash"
	// Admitted: the ledger has the request, the broker still has the message.
	Admitted = "admitted"
	// Canceled: the ledger has the cancellation, the broker still has the message.
	Canceled = "canceled"
	// Claimed: the ledger gave a lease, nobody renews it.
	Claimed = "claimed"
	// FolderMade: the target has a folder, the ledger does not know.
	FolderMade = "folder-made"
	// FileCreated: the target has a file, the ledger does not know.
	FileCreated = "file-created"
	// BadCopy: the target has a file with wrong content, which the ledger knows.
	BadCopy = "bad-copy"
	// Reopened: the ledger has a migration opened again, its document has the old end.
	Reopened = "reopened"
	// Once: the ledger has a migration of migrate-once, which has no document.
	Once = "once"
	// OnceDocument: the document is there too, nobody works on it.
	OnceDocument = "once-document"
	// Reported: the target has the report, the migration is not final.
	Reported = "reported"
	// Finished: the ledger has the final state, the tracking document does not.
	Finished = "finished"
	// PasswordReturned: an app password is given back, the ledger does not know.
	PasswordReturned = "password-returned"
	// Mirrored: the tracking document is up to date, the ledger does not know.
	Mirrored = "mirrored"
)
