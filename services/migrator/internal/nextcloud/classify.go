package nextcloud

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"example.org/ncm/pkg/egress"
	"example.org/ncm/services/migrator/internal/transfer"
)

var (
	// errAbsent: the server answered for a folder that it does not have.
	errAbsent = errors.New("the folder answers without identity and without children")
	// errStalled is the cause when no byte came for too long.
	errStalled = errors.New("no byte came for too long")
	// errCut: a body was not as long as announced, or came encoded.
	errCut = errors.New("body is not what was announced")
	// errRedirect: the source sent us somewhere we must not follow.
	errRedirect = errors.New("redirected to another address")
)

// maxRetryAfter bounds what a server may ask for.
const maxRetryAfter = 24 * time.Hour

// statusError is an answer that says no, before it is classified.
type statusError int

func (s statusError) Error() string { return "status " + strconv.Itoa(int(s)) }

// refusal is what the source says when it says no.
type refusal struct {
	status     int
	retryAfter time.Duration
	exception  string
	message    string // may hold names of files: for decisions, never for logs above debug
}

// parseRefusal reads the error document of sabre/dav; a body of another kind
// leaves exception and message empty.
func parseRefusal(status int, header http.Header, body []byte) refusal {
	var doc struct {
		Exception string `xml:"http://sabredav.org/ns exception"`
		Message   string `xml:"http://sabredav.org/ns message"`
	}
	if xml.Unmarshal(body, &doc) != nil {
		doc.Exception, doc.Message = "", ""
	}
	return refusal{
		status:     status,
		retryAfter: parseRetryAfter(header.Get("Retry-After"), time.Now()),
		exception:  doc.Exception,
		message:    doc.Message,
	}
}

func parseRetryAfter(value string, now time.Time) time.Duration {
	if value == "" {
		return 0
	}
	wait := time.Duration(0)
	if seconds, err := strconv.ParseInt(value, 10, 32); err == nil {
		wait = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		wait = at.Sub(now)
	}
	return min(max(wait, 0), maxRetryAfter)
}

// classify says what a refusal means. On the root of the migration there is no
// other entry that could still succeed: what ends an entry ends all.
func (r refusal) classify(root bool) *transfer.Error {
	e := &transfer.Error{Side: transfer.SideSource, RetryAfter: r.retryAfter, Err: r.cause()}
	e.Class, e.Reason = r.verdict()
	switch r.status {
	case http.StatusLocked, http.StatusTooManyRequests, http.StatusServiceUnavailable:
		e.Throttled = e.Reason == transfer.ReasonBusy
	}
	if root && e.Class == transfer.EntryFails {
		e.Class = transfer.MigrationStops
		if e.Reason == transfer.ReasonNotFound {
			e.Reason = transfer.ReasonSourceMissing
		}
	}
	return e
}

func (r refusal) cause() error {
	if r.exception == "" {
		return statusError(r.status)
	}
	return fmt.Errorf("%w: %.100q", statusError(r.status), r.exception)
}

func (r refusal) verdict() (transfer.Class, transfer.Reason) {
	switch r.status {
	case http.StatusUnauthorized:
		return transfer.MigrationStops, transfer.ReasonLoginRefused
	case http.StatusNotFound, http.StatusGone:
		return transfer.EntryFails, transfer.ReasonNotFound
	case http.StatusPreconditionFailed:
		return transfer.Again, transfer.ReasonChanged
	case http.StatusRequestTimeout, http.StatusLocked, http.StatusTooEarly, http.StatusTooManyRequests:
		return transfer.Again, transfer.ReasonBusy
	case http.StatusServiceUnavailable:
		return r.unavailable()
	}
	switch r.status / 100 {
	case 4:
		return transfer.EntryFails, transfer.ReasonForbidden
	case 5:
		return transfer.Again, transfer.ReasonBusy
	}
	// A success or a redirect, but not the one that was asked for: something
	// between the source and us has answered.
	return transfer.Again, transfer.ReasonIncomplete
}

// unavailable tells the meanings of 503 apart. Nextcloud has five, of which
// maintenance and a lost Redis are the same to us.
func (r refusal) unavailable() (transfer.Class, transfer.Reason) {
	switch {
	case strings.Contains(r.message, "Account disabled"):
		return transfer.MigrationStops, transfer.ReasonLoginRefused
	case strings.HasPrefix(r.message, "Could not open file") && strings.Contains(r.message, "seem to exist"):
		return transfer.EntryFails, transfer.ReasonNotFound
	case strings.HasPrefix(r.message, "Storage with mount id"):
		return transfer.Again, transfer.ReasonStorageAway
	}
	return transfer.Again, transfer.ReasonBusy
}

// classify gives errors of a request or its body their class. ctx is the
// caller's: when it is over, its error is the answer, whatever broke first.
func (s *Source) classify(ctx context.Context, root bool, err error) error {
	var (
		known  *transfer.Error
		status statusError
	)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &known):
		return known
	case errors.As(err, &status):
		return refusal{status: int(status)}.classify(root)
	case errors.Is(err, errRedirect):
		return redirected(root, err)
	case errors.Is(err, egress.ErrForbiddenAddress):
		return stops(transfer.ReasonAddress, err)
	case errors.Is(err, errAbsent) && root && s.root == "":
		// A home is never absent for a moment: the app password has no access to
		// files, or the path is another user's.
		return stops(transfer.ReasonNoFiles, err)
	}
	class, reason := transfer.Again, transfer.ReasonUnreachable
	switch {
	case errors.Is(err, errAbsent):
		reason = transfer.ReasonStorageAway
	case errors.Is(err, errTooMany):
		class, reason = transfer.EntryFails, transfer.ReasonIncomplete
	case errors.Is(err, errMalformed), errors.Is(err, errCut):
		reason = transfer.ReasonIncomplete
	}
	return &transfer.Error{Side: transfer.SideSource, Class: class, Reason: reason, Err: err}
}

func stops(reason transfer.Reason, err error) *transfer.Error {
	return &transfer.Error{Side: transfer.SideSource, Class: transfer.MigrationStops, Reason: reason, Err: err}
}

// redirected answers a redirect away from the source. On the root that is a
// login page in front of the Nextcloud or an address that has moved: nothing
// works until the user gives another account. Below the root the source did
// answer before, so it is a detour (a maintenance page) that may end.
func redirected(root bool, err error) *transfer.Error {
	e := &transfer.Error{Side: transfer.SideSource, Class: transfer.Again, Reason: transfer.ReasonUnreachable, Err: err}
	if root {
		e.Class, e.Reason = transfer.MigrationStops, transfer.ReasonLoginRefused
	}
	return e
}
