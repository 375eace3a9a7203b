package request

import (
	"strings"
	"time"

	"example.org/ncm/pkg/contract"
)

// Document is a tracking document and what triggers note in it for one another.
type Document struct {
	ID  string
	Rev string
	contract.Tracking

	// CreatedAt is when a trigger made the document. Nil: another service did.
	CreatedAt *time.Time
	// RequestedAt is when its message was last about to be published, or, for
	// a document of another service, when a trigger first met it.
	RequestedAt *time.Time
	// Source is whose files are copied; zero in documents of other services.
	Source Source
}

// Source tells the account of a migration from others that the instance had
// before or has by now.
type Source struct {
	URL    string
	UserID string
}

// How long an active document may show no progress before its message is
// published again.
const (
	startWithin     = time.Minute
	heartbeatWithin = 10 * time.Minute
)

// decided says whether the document's message is out, or about to be.
func (d *Document) decided() bool { return d.CreatedAt == nil || d.RequestedAt != nil }

// before orders undecided documents.
func (d *Document) before(other *Document) bool {
	if byTime := d.CreatedAt.Compare(*other.CreatedAt); byTime != 0 {
		return byTime < 0
	}
	return strings.Compare(d.ID, other.ID) < 0
}

// abandoned says whether the request that made an undecided document must be
// dead: it would have claimed it, or marked it failed, long ago.
func (d *Document) abandoned(now time.Time) bool {
	return !d.decided() && now.Sub(*d.CreatedAt) >= startWithin
}

// unmet says whether nothing tells how long a document has waited to start.
func (d *Document) unmet() bool {
	return d.CreatedAt == nil && d.RequestedAt == nil && d.StartedAt == nil
}

// stuck says whether a decided document shows no sign that anybody works on it,
// so that its message may be lost.
func (d *Document) stuck(now time.Time) bool {
	switch {
	case !d.decided() || d.unmet() || now.Sub(instant(d.RequestedAt)) < startWithin:
		return false
	case d.StartedAt == nil:
		return true
	default:
		return now.Sub(latest(d.StartedAt, d.LastHeartbeatAt)) >= heartbeatWithin
	}
}

// inTheWay returns the conflict that an active document is to a new migration,
// or nil.
func (d *Document) inTheWay(now time.Time) error {
	switch {
	case !d.Status.Final():
		return conflict()
	case d.SourceDeleting(now):
		return refused("the source of a nextcloud migration is being deleted, please retry later")
	default:
		return nil
	}
}

// fail makes the document say that the migration ended before it began.
func (d *Document) fail(message string, now time.Time) {
	d.Status = contract.StatusFailed
	d.FinishedAt = &now
	d.Errors = append(d.Errors, contract.Failure{Message: message, At: now})
}

func latest(a, b *time.Time) time.Time {
	if instant(a).After(instant(b)) {
		return *a
	}
	return instant(b)
}

func instant(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}
