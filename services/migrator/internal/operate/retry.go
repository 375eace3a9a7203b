package operate

import (
	"example.org/ncm/services/migrator/internal/transfer"
)

// mayRetry decides whether a migration may go on. A user who canceled one, or
// whose document is gone, does not get files behind their back.
func mayRetry(m *Migration, failed bool) error {
	reason := transfer.Reason(m.Reason)
	switch {
	case m.Purged:
		return RefusedError("the migration's entries are purged; ask the user to start a new one, which copies only what is missing")
	case m.State == transfer.StateCanceled || m.CancelRequestedAt != nil:
		return RefusedError("the user canceled the migration; only the user may start a new one")
	case m.State == transfer.StateFailed && reason == transfer.ReasonWithdrawn:
		return RefusedError("the tracking document is gone or was given up; ask the user to start a new migration, which copies only what is missing")
	case failed && m.failed() == 0:
		return RefusedError("no entry of the migration failed")
	case m.State == transfer.StateCompleted && !failed && m.failed() > 0:
		return RefusedError("the migration is completed, and " + Count(m.failed(), "entry", "entries") + " failed: retry with --failed")
	case m.State == transfer.StateCompleted && !failed:
		return RefusedError("the migration is completed and nothing failed; for what is new on the Nextcloud the user starts a new one")
	}
	return nil
}

// ErrActive is wrapped when a migration can't be opened again because another one
// of its instance is active.
const ErrActive = RefusedError("another migration of the instance is active; wait for its end, or cancel it")
