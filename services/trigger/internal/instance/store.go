// Package instance keeps what the trigger writes into a Cozy instance: the
// account with the login and the tracking document. It is the only place that
// turns the trigger's words into the stack's documents and answers.
package instance

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/pkg/cozy"
	"example.org/ncm/services/trigger/internal/request"
)

// Scope is what the token of the trigger has to allow, no more.
const Scope = contract.DoctypeAccounts + ":GET,POST,PUT " +
	contract.DoctypeMigrations + ":GET,POST,PUT " +
	contract.DoctypeFiles + ":GET " +
	contract.DoctypeSettings + ":GET"

// maxTries bounds how often a write is begun again because another writer was
// faster.
const maxTries = 8

var errContended = errors.New("another writer was faster each time")

// Store reads and writes in all instances of a stack. It is safe for concurrent
// use.
type Store struct {
	stack *cozy.Stack
}

var (
	_ request.Permissions = (*Store)(nil)
	_ request.Accounts    = (*Store)(nil)
	_ request.Documents   = (*Store)(nil)
	_ request.Targets     = (*Store)(nil)
)

// New returns a store.
func New(stack *cozy.Stack) *Store { return &Store{stack: stack} }

// May implements request.Permissions.
func (s *Store) May(ctx context.Context, instance, token string, right request.Right) error {
	rules, err := s.stack.Instance(instance).Permissions(ctx, token)
	switch {
	case err != nil:
		return refusal(err)
	case !cozy.AllowsType(rules, string(right), contract.DoctypeMigrations):
		return forbidden()
	default:
		return nil
	}
}

// refusal says in the words of the stack why it would not take a token. Its own
// words are not passed on, they may hold what is internal.
func refusal(err error) error {
	var said *cozy.Error
	if !errors.As(err, &said) {
		return fmt.Errorf("ask for permissions: %w", err)
	}
	switch {
	case cozy.IsInstanceGone(err):
		return &request.Error{Code: request.CodeNoInstance, Message: "Instance not found", Cause: err}
	case cozy.IsBlocked(err):
		return &request.Error{Code: request.CodeBlockedInstance, Message: "the instance is blocked", Cause: err}
	case cozy.IsTokenRefused(err) && said.Code == "Expired token":
		return &request.Error{Code: request.CodeExpiredToken, Message: "Expired token", Cause: err}
	case cozy.IsTokenRefused(err):
		return &request.Error{Code: request.CodeInvalidToken, Message: "Invalid JWT token", Cause: err}
	case cozy.IsForbidden(err):
		return refusedScope(said)
	default:
		return fmt.Errorf("ask for permissions: %w", err)
	}
}

func refusedScope(said *cozy.Error) error {
	switch said.Status {
	case http.StatusNotFound:
		return &request.Error{Code: request.CodeNoApplication, Message: "no permission doc for the application", Cause: said}
	case http.StatusBadRequest:
		return &request.Error{Code: request.CodeMalformedScope, Message: "Permission scope is empty or malformed", Cause: said}
	default:
		return forbidden()
	}
}

func forbidden() error {
	return &request.Error{Code: request.CodeForbidden, Message: "Forbidden"}
}
