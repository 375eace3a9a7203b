package cozy

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

var (
	// ErrAnswer is wrapped when an answer of success can't be understood or is
	// larger than its bound. The request may have had its effect.
	ErrAnswer = errors.New("malformed answer")
	// ErrTokenRefreshed is wrapped when an upload found its token refused and a
	// new one was fetched: the same upload with a fresh body may succeed.
	ErrTokenRefreshed = errors.New("token was refused, a new one is there")
	// ErrToken is wrapped when no token could be had for an instance.
	ErrToken = errors.New("no token for the instance")
	// ErrBodyShort is wrapped when the body of an upload ended before its size.
	// The stack keeps nothing of such a file.
	ErrBodyShort = errors.New("body is shorter than announced")
	// ErrStalled is wrapped when the stack took no bytes of an upload, or did not
	// answer it, for Config.Stall; and when it did not begin to answer about a
	// Remote for as long, or did not end a copy within its Patience.
	ErrStalled = errors.New("the stack stalled")
)

// Error is an answer of the stack other than success. The server's free text is
// left out, it may hold paths of the server and values of the request.
type Error struct {
	Op         string // what was asked for, "create folder"
	Status     int    // HTTP status
	Code       string // short machine word: "Conflict", "no_index", may be empty
	RetryAfter time.Duration

	kind kind
}

func (e *Error) Error() string {
	text := fmt.Sprintf("%s: status %d", e.Op, e.Status)
	if e.Code != "" {
		text += " (" + e.Code + ")"
	}
	if e.kind == kindAppMissing {
		text += ": the app that the token is made for is not installed in the instance"
	}
	return text
}

// kind tells apart what the stack says with the same status.
type kind int

const (
	kindOther         kind = iota
	kindAbsent             // the file, folder or document does not exist
	kindInstanceGone       // the stack knows no instance of this host
	kindBlocked            // the instance is blocked
	kindAppMissing         // the token's application is not installed
	kindTokenFault         // the token is missing, expired or not understood
	kindTooLarge           // the file exceeds the quota or the stack's limit
	kindScope              // the token has an empty scope
	kindRemoteRefused      // the token is good; the Nextcloud refuses the account or the entry
	kindRemoteFault        // the Nextcloud answers with something unexpected
	kindUnqualified        // the stack met an error that it has no words for
	kindStale              // the file is at another revision than the request names
	kindMangled            // the body has not the MD5 that was sent ahead of it
)

// IsNotFound says whether the file, folder or document that was asked for does
// not exist, in an instance that answers. An unknown instance or a foreign 404
// (of a proxy) is something else.
func IsNotFound(err error) bool { return is(err, func(e *Error) bool { return e.kind == kindAbsent }) }

// IsConflict says whether a name is taken or a revision is stale.
func IsConflict(err error) bool {
	return is(err, func(e *Error) bool { return e.Status == http.StatusConflict })
}

// IsStale says whether a file changed since the revision that was named.
func IsStale(err error) bool { return is(err, func(e *Error) bool { return e.kind == kindStale }) }

// IsMangled says whether a body arrived with another MD5 than was sent ahead of it.
func IsMangled(err error) bool { return is(err, func(e *Error) bool { return e.kind == kindMangled }) }

// IsTokenRefused says whether the token itself was refused: missing, expired,
// malformed or made for another instance.
func IsTokenRefused(err error) bool {
	return is(err, func(e *Error) bool { return e.kind == kindTokenFault })
}

// IsForbidden says whether the token is good but does not allow the request.
func IsForbidden(err error) bool {
	return is(err, func(e *Error) bool {
		return e.Status == http.StatusForbidden || e.kind == kindAppMissing || e.kind == kindScope
	})
}

// IsBlocked says whether the instance exists and is blocked. One that is being moved
// or imported answers 503 without that word: it is busy, and comes back by itself.
func IsBlocked(err error) bool {
	return is(err, func(e *Error) bool { return e.kind == kindBlocked })
}

// IsInstanceGone says whether the stack or the token source knows no such
// instance.
func IsInstanceGone(err error) bool {
	return is(err, func(e *Error) bool { return e.kind == kindInstanceGone })
}

// IsTooLarge says whether a file exceeds the quota or the largest size that the
// stack stores. A limit of a proxy, or of the database on a document, has the
// same status and is something else.
func IsTooLarge(err error) bool {
	return is(err, func(e *Error) bool { return e.kind == kindTooLarge })
}

// IsRemoteRefused says whether the Nextcloud of a Remote answered 401 or 403: it
// refuses the login, or this entry.
func IsRemoteRefused(err error) bool {
	return is(err, func(e *Error) bool { return e.kind == kindRemoteRefused })
}

// IsRemoteFault says whether the Nextcloud of a Remote answered with a status
// that the stack does not expect: busy, locked, in maintenance, broken.
func IsRemoteFault(err error) bool {
	return is(err, func(e *Error) bool { return e.kind == kindRemoteFault })
}

// IsUnqualified says whether the stack met an error that it has no status for.
// With a Remote that is a Nextcloud which can't be reached or whose answer is
// malformed, and a copy that the instance does not take: over its quota, into a
// folder that is gone, under a name that it refuses, of a body without a length.
func IsUnqualified(err error) bool {
	return is(err, func(e *Error) bool { return e.kind == kindUnqualified })
}

// IsGatewayTimeout says whether something before the stack got tired of waiting
// for its answer. The stack goes on.
func IsGatewayTimeout(err error) bool {
	return is(err, func(e *Error) bool { return e.Status == http.StatusGatewayTimeout })
}

func is(err error, holds func(*Error) bool) bool {
	var e *Error
	return errors.As(err, &e) && holds(e)
}
