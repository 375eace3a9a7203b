package request

import (
	"errors"
	"fmt"
	"time"
)

// Code says what kind of answer an error is; each stands for one HTTP status.
type Code string

// The codes of the errors that are meant for callers. Everything that is no
// *Error is CodeInternal.
const (
	CodeInternal        Code = "internal"
	CodeInvalid         Code = "invalid"            // a field breaks a rule
	CodeNoToken         Code = "no_token"           // the caller sent no token
	CodeInvalidToken    Code = "invalid_token"      // nobody's token, or another instance's
	CodeExpiredToken    Code = "expired_token"      // was good once
	CodeMalformedScope  Code = "malformed_scope"    // a token without any permission
	CodeNoApplication   Code = "no_application"     // the token's application is not installed
	CodeForbidden       Code = "forbidden"          // a good token without the permission
	CodeNoInstance      Code = "no_instance"        // the stack does not know the host
	CodeBlockedInstance Code = "blocked_instance"   // the stack serves it to nobody
	CodeBadCredentials  Code = "bad_credentials"    // the Nextcloud refuses the login
	CodeConflict        Code = "conflict"           // the state of a migration is in the way
	CodeUnreachable     Code = "source_unreachable" // no Nextcloud answers as one
	CodeUnavailable     Code = "unavailable"        // could not be done now, may be later
	CodeNotFound        Code = "not_found"          // no such migration
	CodeTooMany         Code = "too_many"           // more logins were checked than may be
)

// Error is an answer to the caller. Its message is safe to show to a user; the
// cause is for the log only.
type Error struct {
	Code    Code
	Message string
	Cause   error
	// RetryAfter is when to ask again; zero where nothing is known.
	RetryAfter time.Duration
}

// Error is for the log.
func (e *Error) Error() string {
	if e.Cause == nil {
		return e.Message
	}
	return fmt.Sprintf("%s: %v", e.Message, e.Cause)
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Cause }

// CodeOf tells the kind of any error.
func CodeOf(err error) Code {
	if known, ok := errors.AsType[*Error](err); ok {
		return known.Code
	}
	return CodeInternal
}

// MessageOf is what a user may read about any error.
func MessageOf(err error) string {
	if known, ok := errors.AsType[*Error](err); ok {
		return known.Message
	}
	return "an internal error occurred, please retry later"
}

func invalid(format string, args ...any) error {
	return &Error{Code: CodeInvalid, Message: fmt.Sprintf(format, args...)}
}

func conflict() error {
	return &Error{Code: CodeConflict, Message: "a nextcloud migration is already in progress"}
}

func unavailable(cause error) error {
	return &Error{
		Code:    CodeUnavailable,
		Message: "migration service is unavailable, please retry later",
		Cause:   cause,
	}
}

func notFound(cause error) error {
	return &Error{Code: CodeNotFound, Message: "nextcloud migration not found", Cause: cause}
}

func refused(format string, args ...any) error {
	return &Error{Code: CodeConflict, Message: fmt.Sprintf(format, args...)}
}

func tooMany(wait time.Duration) error {
	return &Error{Code: CodeTooMany, Message: "too many login checks, please retry later", RetryAfter: wait}
}

// ErrNotFound is what a port returns for a document that does not exist.
var ErrNotFound = errors.New("document not found")

// ErrEntry is wrapped by errors of Sources that are about one entry, where
// others may fare better.
var ErrEntry = errors.New("entry refused")
