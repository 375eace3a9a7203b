package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"path"
	"time"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/pkg/failpoint"
	"example.org/ncm/services/migrator/internal/transfer"
)

// mirrorEvery is the shortest time between two writes of one tracking document.
const mirrorEvery = time.Second

// mirrorTimeout bounds one write of a tracking document.
const mirrorTimeout = 30 * time.Second

// mirror writes the ledger's sums to tracking documents.
type mirror struct {
	ledger Mirrored
	sides  Sides
}

// write brings one tracking document up to date. A document that is gone counts
// as written, and gives ErrNoDocument.
func (m mirror) write(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, mirrorTimeout)
	defer cancel()
	s, ok, err := m.ledger.Snapshot(ctx, id)
	if err != nil || !ok {
		return err
	}
	instance, err := m.sides.Instance(s.Instance)
	if err != nil {
		return err
	}
	err = instance.WriteTracking(ctx, id, func(ctx context.Context, doc *contract.Tracking) error {
		var err error
		if s, err = m.apply(ctx, id, doc); err != nil {
			return err
		}
		return nil
	})
	gone := errors.Is(err, ErrNoDocument)
	if errors.Is(err, errDocumentHeld) {
		return nil // it stays behind, and is tried again
	}
	if err != nil && !gone && !errors.Is(err, errDocumentFinal) {
		return err
	}
	// If we stop here, the document is up to date and the ledger does not know:
	// it is written once more.
	failpoint.Here(failpoint.Mirrored)
	if err := m.ledger.Mirrored(ctx, id, s.Term, s.Changed); err != nil {
		return err
	}
	if gone {
		return ErrNoDocument
	}
	return nil
}

// errDocumentHeld: a trigger deletes what a migration copied that a retry has opened
// again. Whichever writes the document first goes on, and the other one waits.
var errDocumentHeld = errors.New("the source is being deleted")

// errDocumentFinal: the document has a final state already, and keeps it.
var errDocumentFinal = errors.New("the tracking document is final")

// apply puts a fresh snapshot into a document that was just read.
func (m mirror) apply(ctx context.Context, id string, doc *contract.Tracking) (transfer.Snapshot, error) {
	s, _, err := m.ledger.Snapshot(ctx, id)
	if err != nil {
		return s, err
	}
	if doc.Status.Final() && string(doc.Status) != string(s.State) {
		switch {
		case !reopened(s.Migration, doc):
			return s, errDocumentFinal
		case doc.SourceDeleting(time.Now()):
			return s, errDocumentHeld
		}
		// If we stop here, the ledger has a migration that goes on, and its document still
		// an end: whoever claims it next, or sweeps before that, comes here again.
		failpoint.Here(failpoint.Reopened)
	}
	failed, err := m.ledger.Notices(ctx, id, transfer.Failed, contract.MaxListed)
	if err != nil {
		return s, err
	}
	skipped, err := m.ledger.Notices(ctx, id, transfer.Skipped, contract.MaxListed)
	if err != nil {
		return s, err
	}
	fill(doc, s, failed, skipped, time.Now().UTC())
	return s, nil
}

// reopened says whether a document's final state is the one that a retry undid.
// A source that was deleted since has nothing more to give.
func reopened(m transfer.Migration, doc *contract.Tracking) bool {
	return m.ReopenedFrom != "" && string(doc.Status) == string(m.ReopenedFrom) && doc.SourceDeletedAt == nil
}

// fill writes the ledger's view over a document; what the ledger does not know
// stays.
func fill(doc *contract.Tracking, s transfer.Snapshot, failed, skipped []transfer.Notice, now time.Time) {
	doc.Status = contract.Status(s.State)
	doc.SchemaVersion = contract.SchemaVersion
	doc.LastHeartbeatAt = &now
	doc.StartedAt, doc.FinishedAt = timeOrNil(s.StartedAt), timeOrNil(s.FinishedAt)
	doc.Progress = contract.Progress{
		FilesImported: s.FilesDone,
		FilesTotal:    s.FilesTotal,
		BytesImported: s.BytesDone,
		BytesTotal:    s.Bytes(),
	}
	doc.Errors = make([]contract.Failure, 0, len(failed)+1)
	for _, n := range failed {
		doc.Errors = append(doc.Errors, contract.Failure{
			Path: s.Path(n.Path), Message: transfer.Reason(n.Reason).Message(), At: n.At,
		})
	}
	doc.Skipped = make([]contract.Skip, 0, len(skipped))
	for _, n := range skipped {
		doc.Skipped = append(doc.Skipped, contract.Skip{
			Path: s.Path(n.Path), Reason: n.Reason, Size: n.Size,
		})
	}
	doc.ErrorsTruncatedCount = s.FilesFailed + s.FoldersFailed - int64(len(failed))
	doc.SkippedTruncatedCount = s.FilesSkipped + s.FoldersSkipped - int64(len(skipped))
	doc.PauseReason, doc.FailureReason = "", "" // a retry may have undone a failure
	if s.PauseReason != "" && s.FinishedAt.IsZero() {
		doc.PauseReason = s.PauseReason.Message()
	}
	doc.Report, doc.ReportMissing = "", ""
	switch {
	case s.FinishedAt.IsZero():
	case s.Unreported != "":
		doc.ReportMissing = "The report could not be written: " + s.Unreported.Message()
	case s.Report != "":
		doc.Report = path.Join(s.TargetDir, s.Report)
	}
	switch s.State {
	case transfer.StateFailed:
		doc.FailureReason = s.FailureReason.Message()
		if s.BytesMissing > 0 {
			doc.FailureReason += " About " + inWords(s.BytesMissing) + " more are needed."
		}
		doc.Errors = append(doc.Errors, contract.Failure{Message: doc.FailureReason, At: s.FinishedAt})
		if n := len(doc.Errors); n > contract.MaxListed {
			// What ended it all must be among those that are shown.
			doc.Errors = append(doc.Errors[:contract.MaxListed-1], doc.Errors[n-1])
			doc.ErrorsTruncatedCount++
		}
	case transfer.StateCanceled:
		doc.CanceledAt = timeOrNil(s.FinishedAt)
	}
}

// inWords rounds bytes up, as people name them.
func inWords(bytes int64) string {
	unit := float64(bytes)
	for _, name := range []string{"bytes", "kB", "MB", "GB", "TB"} {
		if unit < 1000 || name == "TB" {
			return fmt.Sprintf("%.1f %s", math.Ceil(unit*10)/10, name)
		}
		unit /= 1000
	}
	return ""
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	utc := t.UTC()
	return &utc
}

// mirrorWhile keeps a tracking document up to date while its slice runs.
func (w *Worker) mirrorWhile(ctx context.Context, h *holder, log *slog.Logger) {
	tick := time.NewTicker(mirrorEvery)
	defer tick.Stop()
	started := time.Now()
	var before transfer.Snapshot
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		s, ok, err := w.cfg.Ledger.Snapshot(ctx, h.lease.ID)
		if err != nil || !ok || s.Term != h.lease.Term {
			continue // the renewal finds out what is wrong
		}
		quiet := time.Since(latest(started, h.mirrored))
		near := quiet < longestQuiet && nearEnd(before, s)
		before = s
		if near {
			continue
		}
		if s.Changed == s.Mirrored && quiet < w.cfg.Heartbeat/2 {
			continue
		}
		err = w.mirror.write(ctx, h.lease.ID)
		switch {
		case errors.Is(err, ErrNoDocument):
			h.cancel(errWithdrawn)
			return
		case err != nil && ctx.Err() == nil:
			w.cfg.Metrics.mirrorFailed()
			log.WarnContext(ctx, "tracking document not written", "error", err)
		}
		h.mirrored = time.Now()
		tick.Reset(mirrorEvery)
	}
}

// longestQuiet bounds how long a document waits for an end that seems near.
const longestQuiet = 3 * mirrorEvery

// nearEnd says whether a migration is over before the next write is due, if it goes on
// as between two snapshots. Its document is left for the final state then, which would
// have to wait after this write.
func nearEnd(before, now transfer.Snapshot) bool {
	listed := now.FoldersTotal > 0 && now.FoldersListed+now.FoldersFailed+now.FoldersSkipped >= now.FoldersTotal
	files, bytes := now.FilesDone-before.FilesDone, now.BytesDone-before.BytesDone
	left := now.FilesTotal - now.FilesDone - now.FilesFailed - now.FilesSkipped
	return listed && left <= files && now.BytesTotal-now.BytesDone <= bytes
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// mirrorFinal writes a final state as soon as it may; should that fail, the sweep
// of any worker does it later.
func (w *Worker) mirrorFinal(ctx context.Context, h *holder, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), mirrorTimeout)
	defer cancel()
	pause := time.NewTimer(time.Until(h.mirrored.Add(mirrorEvery)))
	defer pause.Stop()
	<-pause.C
	if err := w.mirror.write(ctx, h.lease.ID); err != nil && !errors.Is(err, ErrNoDocument) {
		w.cfg.Metrics.mirrorFailed()
		log.WarnContext(ctx, "final state not written yet", "error", err)
	}
}
