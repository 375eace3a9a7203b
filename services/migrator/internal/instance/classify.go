package instance

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"example.org/ncm/pkg/cozy"
	"example.org/ncm/services/migrator/internal/transfer"
)

// classify says once, for everybody above, what becomes of the work after an
// error of the stack. It leaves alone what is classified already and the end of
// the caller's context.
func classify(ctx context.Context, err error) error {
	var classified *transfer.Error
	var answer *cozy.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, cozy.ErrToken):
		return classifyToken(ctx, err)
	case errors.As(err, &answer):
		return classifyAnswer(answer, err)
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, &classified): // the source's, out of the body of an upload
		return classified
	case errors.Is(err, cozy.ErrTokenRefreshed):
		return again(transfer.ReasonBusy, err)
	case errors.Is(err, cozy.ErrBodyShort):
		return &transfer.Error{Side: transfer.SideSource, Class: transfer.Again, Reason: transfer.ReasonIncomplete, Err: err}
	case errors.Is(err, cozy.ErrAnswer):
		return again(transfer.ReasonIncomplete, err)
	}
	return again(transfer.ReasonUnreachable, err)
}

// classifyToken is about the issuer of tokens. Its troubles are the service's
// own and pass, but for its word that there is no such instance.
func classifyToken(ctx context.Context, err error) error {
	var answer *cozy.Error
	switch {
	case cozy.IsInstanceGone(err):
		return stops(transfer.ReasonInstanceGone, err)
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case !errors.As(err, &answer):
		return again(transfer.ReasonUnreachable, err)
	case passes(answer.Status):
		return againAfter(transfer.ReasonBusy, answer.RetryAfter, err) // of the issuer: the target may have nothing to do
	}
	return again(transfer.ReasonAccessRefused, err)
}

// classifyAnswer knows what a status means whatever was asked for. What a 404, a
// 409 or a 422 is about is known to the caller, who looks at them before.
func classifyAnswer(answer *cozy.Error, err error) error {
	switch {
	case cozy.IsInstanceGone(err), cozy.IsBlocked(err):
		return stops(transfer.ReasonInstanceGone, err)
	case cozy.IsForbidden(err):
		return stops(transfer.ReasonAccessRefused, err)
	case cozy.IsTokenRefused(err):
		// A token that was fetched a moment ago: the stack and the issuer may
		// agree again later.
		return again(transfer.ReasonAccessRefused, err)
	case passes(answer.Status):
		return busy(answer, err)
	case cozy.IsMangled(err):
		return again(transfer.ReasonCorrupt, err)
	case answer.Status == http.StatusPreconditionFailed:
		return again(transfer.ReasonIncomplete, err)
	case answer.Status == http.StatusRequestEntityTooLarge:
		return fails(transfer.ReasonTooLarge, err)
	case answer.Status == http.StatusNotFound, answer.Status < http.StatusBadRequest:
		// Not the stack speaking, but what stands before it.
		return againAfter(transfer.ReasonUnreachable, answer.RetryAfter, err)
	}
	return again(transfer.ReasonInternal, err)
}

// passes says whether a status is about the moment and not about the request.
func passes(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusLocked, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return status >= http.StatusInternalServerError
}

// busy is about the target's moment. Some statuses say that it is asked for too much.
func busy(answer *cozy.Error, err error) error {
	e := &transfer.Error{Side: transfer.SideTarget, Class: transfer.Again, Reason: transfer.ReasonBusy, RetryAfter: answer.RetryAfter, Err: err}
	switch answer.Status {
	case http.StatusLocked, http.StatusTooManyRequests, http.StatusServiceUnavailable:
		e.Throttled = true
	}
	return e
}

func again(reason transfer.Reason, err error) error { return againAfter(reason, 0, err) }

func againAfter(reason transfer.Reason, wait time.Duration, err error) error {
	return &transfer.Error{Side: transfer.SideTarget, Class: transfer.Again, Reason: reason, RetryAfter: wait, Err: err}
}

func fails(reason transfer.Reason, err error) error {
	return &transfer.Error{Side: transfer.SideTarget, Class: transfer.EntryFails, Reason: reason, Err: err}
}

func stops(reason transfer.Reason, err error) error {
	return &transfer.Error{Side: transfer.SideTarget, Class: transfer.MigrationStops, Reason: reason, Err: err}
}

// nameTaken lets the engine see that it has to look what has the name.
func nameTaken(err error) error {
	return fails(transfer.ReasonNameTaken, fmt.Errorf("%w: %w", transfer.ErrNameTaken, err))
}
