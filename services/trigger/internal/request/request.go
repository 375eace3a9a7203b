package request

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/pkg/failpoint"
)

// Deps are what a Desk works with; all are required.
type Deps struct {
	Permissions Permissions
	Limits      Limits
	Logins      Logins
	Passwords   Passwords
	Sources     Sources
	Accounts    Accounts
	Documents   Documents
	Targets     Targets
	Queue       Queue
	Logger      *slog.Logger

	// ExchangePasswords has login passwords replaced by app passwords.
	ExchangePasswords bool

	// DeleteUnchecked lets sources be deleted of which not everything was
	// imported, or which another migration is copying, as the stack does.
	DeleteUnchecked bool
}

// Desk takes the requests of users. Between calls it remembers nothing that
// matters to them, and it is safe for concurrent use.
type Desk struct {
	Deps
	erasing     context.Context // the life of all deletions
	stopErasing context.CancelFunc
}

// New returns a desk.
func New(deps Deps) *Desk {
	erasing, stop := context.WithCancel(context.Background())
	return &Desk{Deps: deps, erasing: erasing, stopErasing: stop}
}

// Ceilings of what Start does, so that the whole is bounded by their sum and no
// living request has an undecided document that looks abandoned.
const (
	checkTimeout = 30 * time.Second // the login
	writeTimeout = 20 * time.Second // from the creation of the document to the confirmed message
	failTimeout  = 10 * time.Second // marking it failed
)

// Authorize returns nil when the bearer of the token has the right in the
// instance, else an *Error.
func (d *Desk) Authorize(ctx context.Context, instance, token string, right Right) error {
	if token == "" {
		return &Error{Code: CodeNoToken, Message: "No token in request"}
	}
	return d.Permissions.May(ctx, instance, token, right)
}

// Start hands a migration over to the workers and returns its document. The
// caller must have been authorized. Errors for the caller are *Error.
func (d *Desk) Start(ctx context.Context, instance string, order Order) (Document, error) {
	order, err := order.checked()
	if err != nil {
		return Document{}, err
	}
	if err := d.refuseSecond(ctx, instance); err != nil {
		return Document{}, err
	}
	// Without a broker nobody needs to wait for a Nextcloud to answer.
	if err := d.Queue.Ready(); err != nil {
		return Document{}, unavailable(err)
	}
	userID, err := d.checkLogin(ctx, instance, order)
	if err != nil {
		return Document{}, err
	}
	// A caller who goes away from here on must not leave things half written.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
	defer cancel()
	return d.write(ctx, instance, order, userID)
}

// checkLogin asks the source, but not more often than it should be: whoever may
// ask without end can try out passwords, and a Nextcloud that saw too many wrong
// ones refuses all users of our address.
func (d *Desk) checkLogin(ctx context.Context, instance string, order Order) (userID string, err error) {
	if wait := d.Limits.Take(instance, order.URL, order.Login); wait > 0 {
		return "", tooMany(wait)
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	userID, err = d.Logins.Check(ctx, order.account("").Auth)
	if err != nil {
		return "", fmt.Errorf("check login: %w", err)
	}
	if userID == "" {
		userID = order.Login
	}
	return userID, nil
}

func (d *Desk) write(ctx context.Context, instance string, order Order, userID string) (Document, error) {
	now := time.Now().UTC()
	own, err := d.Documents.Create(ctx, instance, Document{
		Tracking:  contract.NewTracking(order.SourcePath, order.TargetDir),
		CreatedAt: &now,
		Source:    order.source(userID),
	})
	if err != nil {
		return Document{}, fmt.Errorf("create tracking document: %w", err)
	}
	// If we stop here, an undecided document blocks the instance, no message is
	// out and the account is the one of before. The first request after a
	// minute finds it abandoned, marks it failed and goes on.
	failpoint.Here(failpoint.TriggerDocument)
	account := order.account(userID)
	launched, err := d.launch(ctx, instance, own, &account)
	if err != nil {
		d.withdraw(ctx, instance, own.ID, account, err)
		return Document{}, err
	}
	return launched, nil
}

// launch brings an undecided document to the workers.
func (d *Desk) launch(ctx context.Context, instance string, own Document, account *contract.Account) (Document, error) {
	if err := d.settle(ctx, instance, &own); err != nil {
		return Document{}, err
	}
	d.returnEarlier(ctx, instance, *account)
	if err := d.exchange(ctx, instance, own.ID, account); err != nil {
		return Document{}, err
	}
	// Only now, because the loser of two requests must not replace the login
	// that the winner's workers are going to use, nor make a second account.
	accountID, err := d.Accounts.Save(ctx, instance, *account)
	if err != nil {
		return Document{}, fmt.Errorf("%w: %w", errNotSaved, err)
	}
	// If we stop here, the account has the new login and nothing else changed:
	// the document is abandoned as above, the next request saves the account
	// over again.
	failpoint.Here(failpoint.TriggerAccount)
	claimed, err := d.claim(ctx, instance, own.ID)
	if err != nil {
		return Document{}, err
	}
	// If we stop here, or the broker took the message and its answer is lost,
	// the document is pending without or with a message. A later request finds
	// it stuck and publishes again; the workers admit a migration only once.
	failpoint.Here(failpoint.TriggerClaim)
	if err := d.publish(ctx, instance, accountID, claimed); err != nil {
		// The broker may have it all the same: workers let a migration be whose
		// document is final, as it is going to be.
		return Document{}, unavailable(err)
	}
	failpoint.Here(failpoint.TriggerPublished)
	d.Logger.InfoContext(ctx, "migration requested", "migration", claimed.ID, "instance", instance)
	return claimed, nil
}

func (d *Desk) publish(ctx context.Context, instance, accountID string, document Document) error {
	err := d.Queue.Publish(ctx, contract.Requested{
		MigrationID:   document.ID,
		WorkplaceFQDN: instance,
		AccountID:     accountID,
		SourcePath:    document.SourcePath,
		Timestamp:     time.Now().Unix(),
	})
	if err != nil {
		return fmt.Errorf("publish request: %w", err)
	}
	return nil
}

// withdraw tells the user why nothing comes, and gives back what was made for it.
// Where the document can't be written it stays active: if it is undecided it is
// found abandoned later, if it is claimed its message is published by a later
// request, late but true, and needs the password. Before its account was saved it
// can't have been claimed: nobody needs the password then.
func (d *Desk) withdraw(ctx context.Context, instance, id string, account contract.Account, cause error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), failTimeout)
	defer cancel()
	err := d.failUnless(ctx, instance, id, MessageOf(cause), func(*Document) bool { return false })
	if err != nil {
		d.Logger.ErrorContext(ctx, "tracking document not marked failed",
			"migration", id, "instance", instance, "error", err)
		if !errors.Is(cause, errNotSaved) {
			return
		}
	}
	after, stop := context.WithTimeout(context.WithoutCancel(ctx), failTimeout) // the document may have used up the other
	defer stop()
	d.returnUnused(after, instance, account, cause)
}

var errNotSaved = errors.New("save account")
