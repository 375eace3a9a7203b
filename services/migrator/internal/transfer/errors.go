package transfer

import (
	"errors"
	"fmt"
	"time"
)

// Side is who an error came from.
type Side string

// The two ends of a migration, and its record.
const (
	SideSource Side = "source"
	SideTarget Side = "target"
	SideLedger Side = "ledger"
)

// Class says what becomes of the work after an error.
type Class int

// The classes, from the mildest to the gravest.
const (
	// Again: the same request may succeed later.
	Again Class = iota
	// EntryFails: this entry can't be copied, the others can.
	EntryFails
	// MigrationStops: nothing of this migration can go on.
	MigrationStops
)

// Reason is the one word under which an error is counted, stored and put into
// words for the user.
type Reason string

// The reasons. Words are in Reason.Message.
const (
	ReasonUnreachable   Reason = "unreachable"    // no answer, reset, timeout
	ReasonBusy          Reason = "busy"           // 429, 423, 425, 5xx, maintenance
	ReasonIncomplete    Reason = "incomplete"     // an answer cut short or malformed
	ReasonChanged       Reason = "changed"        // the file changed while it was read
	ReasonCorrupt       Reason = "corrupt"        // the target stored other bytes than were sent
	ReasonNotFound      Reason = "not_found"      // gone since it was listed
	ReasonForbidden     Reason = "forbidden"      // this entry may not be read or written
	ReasonNameRefused   Reason = "name_refused"   // the target does not take the name
	ReasonNameTaken     Reason = "name_taken"     // the target has something of that name
	ReasonParentGone    Reason = "parent_gone"    // the target folder vanished
	ReasonTooLarge      Reason = "too_large"      // more than the target stores in one file
	ReasonStorageAway   Reason = "storage_away"   // a mount of the source answers, but with nothing
	ReasonLoginRefused  Reason = "login_refused"  // the source refuses the account
	ReasonNoFiles       Reason = "no_files"       // the source shows an account without its files
	ReasonAddress       Reason = "address"        // the source is where the service must not go
	ReasonAccessRefused Reason = "access_refused" // the target refuses the service's token
	ReasonQuota         Reason = "quota_exceeded" // the target is full
	ReasonInstanceGone  Reason = "instance_gone"  // the target does not exist any more or is blocked
	ReasonSourceMissing Reason = "source_missing" // source_path does not exist
	ReasonNewer         Reason = "newer"          // changed in the source since an earlier migration
	ReasonEdited        Reason = "edited"         // changed in the target since an earlier migration
	ReasonWithdrawn     Reason = "withdrawn"      // the tracking document is gone or final
	ReasonDeleting      Reason = "deleting"       // the source is being deleted
	ReasonAlreadyActive Reason = "already_active" // another migration of the instance is active
	ReasonInternal      Reason = "internal"       // our own fault
)

var messages = map[Reason]string{
	ReasonUnreachable:   "The server did not answer.",
	ReasonBusy:          "The server was busy or in maintenance.",
	ReasonIncomplete:    "The server's answer was cut short.",
	ReasonChanged:       "The file kept changing while it was copied.",
	ReasonCorrupt:       "The copy did not match the original.",
	ReasonNotFound:      "The file was removed from the Nextcloud before it could be copied.",
	ReasonForbidden:     "The Nextcloud does not allow this account to read it.",
	ReasonNameRefused:   "The Cozy does not accept this name.",
	ReasonNameTaken:     "The Cozy already has something else of this name.",
	ReasonParentGone:    "The target folder was moved or removed during the migration.",
	ReasonTooLarge:      "The file is too large for the Cozy.",
	ReasonStorageAway:   "An external storage of the Nextcloud was offline.",
	ReasonLoginRefused:  "The Nextcloud refuses the login. Please check the account and start again with a new app password.",
	ReasonNoFiles:       "The Nextcloud does not show the files of this account. Please check that its app password has access to files, then start again.",
	ReasonAddress:       "The address of the Nextcloud is not one that the migration service may use. Please check it and start again.",
	ReasonAccessRefused: "The migration service may not write into this Cozy. Please contact the support.",
	ReasonQuota:         "The Cozy is full (quota exceeded). Please make room or get more storage, then start again: what is already copied stays.",
	ReasonInstanceGone:  "This Cozy does not exist any more or is blocked.",
	ReasonSourceMissing: "The folder to migrate does not exist on the Nextcloud.",
	ReasonNewer:         "The file changed on the Nextcloud since an earlier migration. Its copy in the Cozy was left as it is.",
	ReasonEdited:        "The file was changed in the Cozy since an earlier migration, and was left as it is.",
	ReasonWithdrawn:     "The migration was withdrawn.",
	ReasonDeleting:      "The files on the Nextcloud are being deleted.",
	ReasonAlreadyActive: "A Nextcloud migration is already in progress.",
	ReasonInternal:      "An unexpected error happened. Please contact the support.",
}

// Message is the reason in words for the user.
func (r Reason) Message() string {
	if m, ok := messages[r]; ok {
		return m
	}
	return messages[ReasonInternal]
}

// Error is what adapters return: classified once, where the answer was read.
// Its text is for logs and holds no secret.
type Error struct {
	Side       Side
	Class      Class
	Reason     Reason
	RetryAfter time.Duration // what the server asked for; 0 when it did not
	Throttled  bool          // the server may be asked for too much: 423, 429 or 503
	Missing    int64         // with ReasonQuota: bytes of room that lack, 0 when it is not known
	Err        error
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s: %s: %v", e.Side, e.Reason, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// Sentinels of the two sides that the engine answers itself.
var (
	// ErrNotFetched is wrapped when the target does not fetch a file by itself.
	ErrNotFetched = errors.New("not fetched")
	// ErrNameTaken is wrapped when a create finds its name taken.
	ErrNameTaken = errors.New("name is taken")
	// ErrModified is wrapped when a file is not to be replaced because somebody
	// changed or removed it.
	ErrModified = errors.New("changed by somebody else")
	// ErrNotFound is wrapped when a look-up finds nothing.
	ErrNotFound = errors.New("not found")
)

// AsError gives the classified error in err. What no adapter classified is our
// own fault: tried again, reported as internal.
func AsError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Class: Again, Reason: ReasonInternal, Err: err}
}
