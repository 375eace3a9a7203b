package worker

import (
	"context"
	"crypto/md5" //nolint:gosec // the digest that the target knows
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"example.org/ncm/pkg/failpoint"
	"example.org/ncm/services/migrator/internal/report"
	"example.org/ncm/services/migrator/internal/transfer"
)

// Report says when a migration that ends leaves a report in its target folder.
type Report string

// The choices.
const (
	ReportNeeded Report = "needed" // when an entry failed, was skipped or renamed, or has a note
	ReportAlways Report = "always"
	ReportNever  Report = "never"
)

// Known says whether it is one of the choices.
func (r Report) Known() bool { return r == ReportNeeded || r == ReportAlways || r == ReportNever }

// A report may delay the final state for so long, and for so long per entry.
const (
	reportTime         = 20 * time.Second
	reportTimePerEntry = 200 * time.Microsecond
)

// conclude does what is left to do under the lease of a migration that ends: to
// count what an earlier holder sent, and to write the report. It outlives a
// cancellation; a stop of the worker and the loss of the lease end it, and change
// the settlement.
func (w *Worker) conclude(ctx, stop context.Context, lease transfer.Lease, s settlement, log *slog.Logger) settlement {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	// Nobody renews the lease of a slice that was cut short.
	if err := w.prolong(ctx, lease); err != nil {
		log.WarnContext(ctx, "lease not prolonged for the end", "error", err)
		return s // whether it still holds shows when the end is written
	}
	h := &holder{lease: lease, ledger: w.cfg.Ledger, ttl: w.cfg.LeaseTTL, drain: make(chan struct{}), cancel: func(cause error) {
		if !errors.Is(cause, errCanceled) {
			cancel(cause)
		}
	}}
	var helpers sync.WaitGroup
	helpersCtx, endHelpers := context.WithCancel(ctx)
	helpers.Go(func() { h.renew(helpersCtx, time.Now()) })
	helpers.Go(func() { w.stopWith(helpersCtx, stop, h) })
	defer func() { endHelpers(); helpers.Wait() }()

	if lease.Orphaned && s.readable() {
		if err := w.recount(ctx, lease); err != nil {
			log.WarnContext(ctx, "what an earlier holder sent may be uncounted", "error", err)
		}
	}
	err := w.report(ctx, lease)
	switch cause := context.Cause(ctx); {
	case err == nil:
	case errors.Is(cause, transfer.ErrLeaseLost):
		return settlement{lost: true}
	case errors.Is(cause, errStopped):
		return settlement{} // whoever goes on writes it
	default:
		log.WarnContext(ctx, "no report", "error", err)
		s.unreported = transfer.ReasonUnreachable
		var e *transfer.Error
		if errors.As(err, &e) {
			s.unreported = e.Reason
		}
	}
	return s
}

func (w *Worker) prolong(ctx context.Context, lease transfer.Lease) error {
	ctx, cancel := context.WithTimeout(ctx, lastWrites)
	defer cancel()
	_, err := w.cfg.Ledger.Renew(ctx, lease, w.cfg.LeaseTTL)
	return err
}

// report writes the report of a migration into its target folder where there is to
// be one. It depends on the ledger's entries alone, which nobody changes under this
// lease: a first pass over them gives its size and MD5, a second one sends it, and
// its size in memory does not grow with them.
func (w *Worker) report(ctx context.Context, lease transfer.Lease) error {
	if w.cfg.Report == ReportNever {
		return nil
	}
	m, ok, err := w.cfg.Ledger.Snapshot(ctx, lease.ID)
	if err != nil || !ok || !m.Started {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, reportTime+time.Duration(m.FilesTotal+m.FoldersTotal)*reportTimePerEntry)
	defer cancel()
	if needed, err := w.reportNeeded(ctx, &m); err != nil || !needed {
		return err
	}
	write := func(out io.Writer) error {
		return report.Write(out, m, w.cfg.Remarks, func(which transfer.Lines, yield func(transfer.Line) error) error {
			return w.cfg.Ledger.Lines(ctx, m.ID, which, yield)
		})
	}
	sum, size := md5.New(), new(counter) //nolint:gosec // see above
	if err := write(io.MultiWriter(sum, size)); err != nil {
		return fmt.Errorf("sum the report up: %w", err)
	}
	d := transfer.Deposit{
		File: transfer.NewFile{Name: report.Name, Size: int64(*size), MD5: sum.Sum(nil), MIME: "text/csv"},
		Open: func() io.ReadCloser { return stream(write) },
		Note: func(ctx context.Context, name string) error {
			return w.cfg.Ledger.Report(ctx, lease, name, sum.Sum(nil))
		},
		Before: m.Report, BeforeMD5: m.ReportMD5,
	}
	err = w.deposit(ctx, &m, d)
	for _, wait := range openWaits {
		if !passes(ctx, err) {
			break
		}
		pause := time.NewTimer(wait)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
		}
		err = w.deposit(ctx, &m, d)
	}
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	// If we stop here, the report is in the target and the migration is not final:
	// the next holder finds it by the name and the MD5 that were noted.
	failpoint.Here(failpoint.Reported)
	return nil
}

// reportNeeded says whether there is to be a report. One that is there already, from
// before a retry, has to be brought up to date.
func (w *Worker) reportNeeded(ctx context.Context, m *transfer.Snapshot) (bool, error) {
	if w.cfg.Report == ReportAlways || m.Report != "" || m.FilesFailed+m.FilesSkipped+m.FoldersFailed+m.FoldersSkipped > 0 {
		return true, nil
	}
	errFound := errors.New("found")
	err := w.cfg.Ledger.Lines(ctx, m.ID, transfer.LinesProblems, func(transfer.Line) error { return errFound })
	if errors.Is(err, errFound) {
		return true, nil
	}
	return false, err
}

// deposit stores the report in the target folder, which is made where it is missing.
func (w *Worker) deposit(ctx context.Context, m *transfer.Snapshot, d transfer.Deposit) error {
	instance, err := w.cfg.Sides.Instance(m.Instance)
	if err != nil {
		return err
	}
	if d.Target, d.File.ParentID, err = instance.Target(ctx, m.TargetDir); err != nil {
		return err
	}
	_, err = d.Store(ctx)
	return err
}

// stream gives to a reader what write writes. Close returns when that has ended.
func stream(write func(io.Writer) error) io.ReadCloser {
	r, w := io.Pipe()
	s := &written{PipeReader: r, ended: make(chan struct{})}
	go func() {
		defer close(s.ended)
		w.CloseWithError(write(w))
	}()
	return s
}

type written struct {
	*io.PipeReader

	ended chan struct{}
}

func (s *written) Close() error {
	err := s.PipeReader.Close()
	<-s.ended
	return err
}

// counter counts bytes.
type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}
