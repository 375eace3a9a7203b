package instance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/pkg/cozy"
	"example.org/ncm/services/trigger/internal/request"
)

// Find implements request.Accounts.
func (s *Store) Find(ctx context.Context, instance string) (string, error) {
	found, err := s.findAccount(ctx, instance)
	if err != nil {
		return "", err
	}
	if found == nil {
		return "", request.ErrNotFound
	}
	return found.ID, nil
}

// Login implements request.Accounts.
func (s *Store) Login(ctx context.Context, instance string) (contract.Account, error) {
	found, err := s.findAccount(ctx, instance)
	if err != nil {
		return contract.Account{}, err
	}
	if found == nil {
		return contract.Account{}, request.ErrNotFound
	}
	var account contract.Account
	_, err = s.stack.Instance(instance).GetDoc(ctx, contract.DoctypeAccounts, found.ID, &account, cozy.WithCredentials())
	if cozy.IsNotFound(err) {
		return contract.Account{}, fmt.Errorf("%w: %w", request.ErrNotFound, err)
	}
	if err == nil && account.Auth.Password == "" {
		// Not the user's fault, so it must not look like a wrong password.
		return contract.Account{}, errors.New("the stack keeps the password back from our token")
	}
	return account, err //nolint:wrapcheck // names its operation
}

// Save implements request.Accounts. The stack encrypts the password.
func (s *Store) Save(ctx context.Context, instance string, account contract.Account) (string, error) {
	for range maxTries {
		ref, err := s.saveAccount(ctx, instance, account)
		switch {
		case err == nil:
			return ref.ID, nil
		case !cozy.IsConflict(err) && !cozy.IsNotFound(err):
			return "", err
		}
	}
	return "", errContended
}

func (s *Store) saveAccount(ctx context.Context, instance string, account contract.Account) (cozy.Ref, error) {
	found, err := s.findAccount(ctx, instance)
	if err != nil {
		return cozy.Ref{}, err
	}
	in := s.stack.Instance(instance)
	if found == nil {
		return in.CreateDoc(ctx, contract.DoctypeAccounts, account) //nolint:wrapcheck // names its operation
	}
	merged, err := mergeAccount(found.JSON, account)
	if err != nil {
		return cozy.Ref{}, err
	}
	return in.PutDoc(ctx, contract.DoctypeAccounts, found.Ref, merged) //nolint:wrapcheck // names its operation
}

// findAccount gives the instance's account, or nil. All accounts are read,
// because the stack has no index for their type.
func (s *Store) findAccount(ctx context.Context, instance string) (*cozy.Doc, error) {
	for doc, err := range s.stack.Instance(instance).NormalDocs(ctx, contract.DoctypeAccounts) {
		if cozy.IsNotFound(err) {
			break // the database comes with the first account
		}
		if err != nil {
			return nil, err //nolint:wrapcheck // names its operation
		}
		var kind struct {
			AccountType string `json:"account_type"`
		}
		if json.Unmarshal(doc.JSON, &kind) == nil && kind.AccountType == contract.AccountTypeNextcloud {
			return &doc, nil
		}
	}
	return nil, nil //nolint:nilnil // no account is no error
}

// mergeAccount lays the account over the stored one, of which the fields of
// others are kept.
func mergeAccount(stored json.RawMessage, account contract.Account) (fields, error) {
	merged, err := fieldsOf(stored)
	if err != nil {
		return nil, err
	}
	given, err := fieldsOf(account)
	if err != nil {
		return nil, err
	}
	auth, err := fieldsOf(merged["auth"])
	if err != nil {
		auth = fields{} // of no use, and about to be replaced
	}
	// The stack would have two passwords to choose from.
	delete(auth, "credentials_encrypted")
	givenAuth, err := fieldsOf(account.Auth)
	if err != nil {
		return nil, err
	}
	delete(merged, "issued_password") // it was about the stored password
	merged.lay(given)
	auth.lay(givenAuth)
	if merged["auth"], err = json.Marshal(auth); err != nil {
		return nil, fmt.Errorf("encode account: %w", err)
	}
	return merged, nil
}
