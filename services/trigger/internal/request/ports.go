package request

import (
	"context"
	"time"

	"example.org/ncm/pkg/contract"
)

// Right is what a caller's token has to allow on the instance's migrations, in
// the words of the stack's permissions.
type Right string

// The rights that requests need.
const (
	RightAsk  Right = "POST" // for migrations, and what is done to them
	RightRead Right = "GET"
)

// Permissions asks the stack what a token may do. Safe for concurrent use.
type Permissions interface {
	// May returns nil when the token has the right on the instance's
	// migrations, else an *Error that says why not.
	May(ctx context.Context, instance, token string, right Right) error
}

// Limits bounds how often logins are checked. Safe for concurrent use.
type Limits interface {
	// Take counts a check of a login for an instance. Zero: go ahead; else
	// nothing was counted and the next one may be made after that time.
	Take(instance, url, login string) (wait time.Duration)
}

// Logins checks a login at its source. Safe for concurrent use.
type Logins interface {
	// Check returns the id that the source knows the user by. A refused login
	// is an *Error with CodeBadCredentials, everything else that is wrong with
	// the source one with CodeUnreachable.
	Check(ctx context.Context, account contract.AccountAuth) (userID string, err error)
}

// Passwords has Nextclouds make app passwords, and end them. Safe for concurrent
// use.
type Passwords interface {
	// Exchange returns an app password in place of the account's login password;
	// empty when that is one already. The user sees it as a session that is named
	// after the instance. A refused login is an *Error with CodeBadCredentials.
	// Not idempotent: each call makes one.
	Exchange(ctx context.Context, instance string, account contract.AccountAuth) (password string, err error)
	// GiveBack ends the app password that the account logs in with. One that has
	// ended is no error.
	GiveBack(ctx context.Context, account contract.AccountAuth) error
}

// Sources are the Nextclouds, reached with an account of the instance. Paths are
// those of Order.SourcePath. Each call has a ceiling of its own. Errors are
// *Error: CodeBadCredentials for a refused login, else CodeUnreachable. Safe for
// concurrent use.
type Sources interface {
	// Children names what is directly in the user's home and is the user's to
	// delete. It fails unless the listing is known to be whole.
	Children(ctx context.Context, account contract.Account) (names []string, err error)
	// Delete moves an entry with all below it to the trashbin. What does not
	// exist is deleted. The home itself is refused. An error that is about this
	// entry alone wraps ErrEntry.
	Delete(ctx context.Context, account contract.Account, path string) error
	// EmptyTrash deletes for good what is in the trashbin.
	EmptyTrash(ctx context.Context, account contract.Account) error
	// Measure says how much is at a path, or ErrNotFound.
	Measure(ctx context.Context, account contract.Account, path string) (Amount, error)
}

// Amount is how much there is to copy, as far as the source can tell at once.
type Amount struct {
	Bytes *int64 // nil: the source does not know
	Files *int64 // nil: not to be had cheaply
}

// Targets are the folders of instances. Safe for concurrent use.
type Targets interface {
	// Space says how full an instance is.
	Space(ctx context.Context, instance string) (Space, error)
	// Folder looks at a path.
	Folder(ctx context.Context, instance, path string) (Folder, error)
}

// Space is how full an instance is, in bytes.
type Space struct {
	Used  int64
	Quota int64 // 0: unlimited
}

// Folder is what is known about a path of an instance.
type Folder struct {
	Exists bool
	File   bool // something else has the path
	Empty  bool
}

// Accounts keeps the login in the instance. Safe for concurrent use.
type Accounts interface {
	// Find returns the id of the instance's account, or ErrNotFound.
	Find(ctx context.Context, instance string) (id string, err error)
	// Login returns the instance's account with its password, or ErrNotFound.
	Login(ctx context.Context, instance string) (contract.Account, error)
	// Save makes the account say what is given and returns its id; fields that
	// the account does not name are kept. Idempotent.
	Save(ctx context.Context, instance string, account contract.Account) (id string, err error)
}

// Documents keeps the tracking documents. Safe for concurrent use.
type Documents interface {
	// Active returns the documents that are pending or running, among them all
	// whose creation was answered before the call, and those with a SourceDeletingAt.
	// Errors, Skipped and Progress of what it returns are not filled.
	Active(ctx context.Context, instance string) ([]Document, error)
	// Get returns a document, or ErrNotFound.
	Get(ctx context.Context, instance, id string) (Document, error)
	// List returns all documents in no order. Errors and Skipped of what it
	// returns are not filled.
	List(ctx context.Context, instance string) ([]Document, error)
	// Create stores a new document and returns it with its id and revision. Not
	// idempotent.
	Create(ctx context.Context, instance string, document Document) (Document, error)
	// Change reads a document, applies the change and stores the outcome on
	// condition that nobody wrote the document in between; otherwise it starts
	// again, so change may be called several times. Fields that Document does
	// not name are kept. An error of change is returned as it is, with nothing
	// stored. ErrNotFound is returned for an unknown id.
	Change(ctx context.Context, instance, id string, change func(*Document) error) (Document, error)
}

// Queue hands messages to the workers. Safe for concurrent use.
type Queue interface {
	// Ready returns nil while a message has a chance. It does not wait.
	Ready() error
	// Publish returns nil only when the message is safe with the broker and
	// some queue holds it. After an error the outcome is not known.
	Publish(ctx context.Context, message contract.Requested) error
	// Cancel does the same for a cancellation.
	Cancel(ctx context.Context, message contract.Canceled) error
}
