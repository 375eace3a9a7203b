package request

import (
	"context"
	"errors"
	"time"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/pkg/failpoint"
)

// passwordTimeout bounds what is asked of a source about a password. It is part of
// writeTimeout, and nothing that a migration can't do without.
const passwordTimeout = 5 * time.Second

// exchange gives the account an app password for the migration in place of its
// login password, which costs a Nextcloud eight times as much with each request
// and would open more than files. Where that can't be done the account stays as
// it is, unless the login is refused.
func (d *Desk) exchange(ctx context.Context, instance, id string, account *contract.Account) error {
	if !d.ExchangePasswords {
		return nil
	}
	asking, cancel := context.WithTimeout(ctx, passwordTimeout)
	defer cancel()
	password, err := d.Passwords.Exchange(asking, instance, account.Auth)
	switch {
	case CodeOf(err) == CodeBadCredentials:
		return err
	case err != nil:
		d.Logger.WarnContext(ctx, "login password not exchanged", "migration", id, "instance", instance, "error", err)
		return nil
	case password == "":
		return nil
	}
	account.Issue(id, password)
	// If we stop here, or the answer was lost, the source has an app password that
	// nobody knows: it opens nothing to anybody, and the user sees it among the
	// sessions, with the instance's name.
	failpoint.Here(failpoint.TriggerExchanged)
	return nil
}

// returnEarlier gives back the app password that the instance's account holds, which
// is about to be replaced by the one in account.
func (d *Desk) returnEarlier(ctx context.Context, instance string, account contract.Account) {
	earlier, err := d.Accounts.Login(ctx, instance)
	switch {
	case errors.Is(err, ErrNotFound):
	case err != nil:
		d.Logger.WarnContext(ctx, "earlier account not read", "instance", instance, "error", err)
	case earlier.Auth != account.Auth:
		d.returnDone(ctx, instance, earlier)
	}
}

// returnDone gives back an account's app password if the migration that it was made
// for is over. If we stop before, or after that and before the account is replaced,
// the account's login is of no more use than its migration; done again, it is refused.
func (d *Desk) returnDone(ctx context.Context, instance string, account contract.Account) {
	id := account.IssuedFor()
	if id == "" {
		return
	}
	document, err := d.Documents.Get(ctx, instance, id)
	if err == nil && document.Status.Final() || errors.Is(err, ErrNotFound) {
		d.giveBack(ctx, instance, account)
	}
}

// returnUnused gives back the app password of a request that failed with cause.
func (d *Desk) returnUnused(ctx context.Context, instance string, account contract.Account, cause error) {
	if account.IssuedFor() == "" {
		return
	}
	if CodeOf(cause) == CodeConflict {
		// The winner's workers may be about to use what this request has saved
		// over the winner's: then it stays until that account is replaced.
		stored, err := d.Accounts.Login(ctx, instance)
		if err != nil && !errors.Is(err, ErrNotFound) || stored.Auth == account.Auth {
			return
		}
	}
	d.giveBack(ctx, instance, account)
}

func (d *Desk) giveBack(ctx context.Context, instance string, account contract.Account) {
	asking, cancel := context.WithTimeout(ctx, passwordTimeout)
	defer cancel()
	if err := d.Passwords.GiveBack(asking, account.Auth); err != nil {
		d.Logger.WarnContext(ctx, "app password not given back", "migration", account.IssuedFor(), "instance", instance, "error", err)
	}
}
