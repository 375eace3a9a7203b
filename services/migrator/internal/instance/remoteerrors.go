package instance

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"example.org/ncm/pkg/cozy"
	"example.org/ncm/services/migrator/internal/transfer"
)

// maxDepth is how many folders below the root an entry may be.
const maxDepth = 256

var errCut = errors.New("listing or body was cut")

// ask does something about an entry, given by its path below the root, when there
// is a place for a request, and classifies what comes of it.
func (r *Remote) ask(ctx context.Context, entry string, do func(path string) error) error {
	select {
	case r.asking <- struct{}{}:
		defer func() { <-r.asking }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if e := r.refused.Load(); e != nil {
		return e
	}
	if strings.Count(entry, "/") >= maxDepth {
		return sourceError(transfer.EntryFails, transfer.ReasonIncomplete, errDepth)
	}
	return r.classify(ctx, entry == "", do(r.at(entry)))
}

// classify says what becomes of the work after an error: one of the Nextcloud, as
// far as the stack tells, or one of the stack itself. On the root there is no
// other entry that could still succeed.
func (r *Remote) classify(ctx context.Context, root bool, err error) error {
	var classified *transfer.Error
	switch {
	case err == nil, errors.As(err, &classified), errors.Is(err, transfer.ErrNotFetched):
		return err
	case errors.Is(err, cozy.ErrToken):
		return classify(ctx, err)
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case cozy.IsRemoteRefused(err):
		return r.refusal(ctx, root, transfer.ReasonForbidden, err)
	case cozy.IsNotFound(err), errors.Is(err, errNoEntry), errors.Is(err, errPage):
		return r.refusal(ctx, root, transfer.ReasonNotFound, err)
	case notAnAccount(err):
		return r.remember(err)
	case errors.Is(err, errCut):
		return sourceError(transfer.Again, transfer.ReasonIncomplete, err)
	case cozy.IsRemoteFault(err):
		return sourceError(transfer.Again, transfer.ReasonBusy, err)
	case cozy.IsUnqualified(err):
		return sourceError(transfer.Again, transfer.ReasonUnreachable, err)
	case errors.Is(err, errAbsent):
		return sourceError(transfer.Again, transfer.ReasonStorageAway, err)
	case errors.Is(err, errEmptyHome):
		return sourceError(transfer.MigrationStops, transfer.ReasonNoFiles, err)
	}
	return classify(ctx, err)
}

// refusal finds out whether it is an entry that is refused or missing, or the
// account: the stack says the same of both.
func (r *Remote) refusal(ctx context.Context, root bool, reason transfer.Reason, err error) error {
	r.doubt.Lock()
	defer r.doubt.Unlock()
	if e := r.refused.Load(); e != nil {
		return e
	}
	_, home := r.remote.Size(ctx, "")
	switch {
	case cozy.IsRemoteRefused(home), cozy.IsNotFound(home):
		return r.remember(home)
	case home != nil:
		return r.classify(ctx, false, home)
	case !root:
		return sourceError(transfer.EntryFails, reason, err)
	case reason == transfer.ReasonNotFound:
		reason = transfer.ReasonSourceMissing
	}
	return sourceError(transfer.MigrationStops, reason, err)
}

// notAnAccount: the account document is not one of a Nextcloud.
func notAnAccount(err error) bool {
	var answer *cozy.Error
	return errors.As(err, &answer) && answer.Status == http.StatusBadRequest &&
		!cozy.IsTokenRefused(err) && !cozy.IsForbidden(err)
}

// remember keeps the verdict on the login.
func (r *Remote) remember(err error) error {
	e := sourceError(transfer.MigrationStops, transfer.ReasonLoginRefused, err)
	r.refused.CompareAndSwap(nil, e)
	return e
}

func sourceError(class transfer.Class, reason transfer.Reason, err error) *transfer.Error {
	return &transfer.Error{Side: transfer.SideSource, Class: class, Reason: reason, Err: err}
}
