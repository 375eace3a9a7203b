package cozy

import (
	"context"
	"errors"
)

// TokenSource gives bearer tokens for instances. Safe for concurrent use.
type TokenSource interface {
	// Token gives the token to use for a host. refused is the token that the
	// stack has just refused, which must not be given again; "" at first.
	Token(ctx context.Context, host, refused string) (string, error)
}

// Static is a source of one token for all hosts.
func Static(token string) TokenSource { return static(token) }

type static string

var errStaticRefused = errors.New("the only token was refused")

func (s static) Token(_ context.Context, _, refused string) (string, error) {
	if refused != "" && refused == string(s) {
		return "", errStaticRefused
	}
	return string(s), nil
}
