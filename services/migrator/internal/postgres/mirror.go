package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"example.org/ncm/services/migrator/internal/transfer"
)

// snapshot is the row that Snapshot reads.
type snapshot struct {
	ID, Instance, AccountID, SourcePath, TargetDir, State string

	FailureReason, PauseReason *string
	ReportName, ReportMissing  *string
	ReportMD5                  []byte `db:"report_md5"`
	ReopenedFrom               string
	CancelRequestedAt          *time.Time
	StartedAt, FinishedAt      *time.Time
	DueAt                      time.Time
	Pauses                     int
	LeaseTerm, BytesMissing    int64

	FilesTotal, FilesDone, FilesFailed, FilesSkipped int64
	FoldersFailed, FoldersSkipped                    int64
	FoldersTotal, FoldersListed                      int64
	BytesExpected, BytesTotal, BytesDone             int64
	Changed, Mirrored                                int64
	SourceIsFile                                     bool
}

// Snapshot reads a migration's row. ok is false when there is none.
func (l *Ledger) Snapshot(ctx context.Context, id string) (s transfer.Snapshot, ok bool, err error) {
	row, ok, err := one[snapshot](ctx, l, `
		SELECT id, instance, account_id, source_path, target_dir, state, failure_reason, pause_reason, bytes_missing,
			report_name, report_md5, report_missing, coalesce(reopened_from, '') AS reopened_from,
			cancel_requested_at, started_at, finished_at, due_at, pauses, lease_term,
			files_total, files_done, files_failed, files_skipped,
			folders_failed, folders_skipped, folders_total, folders_listed,
			bytes_expected, bytes_total, bytes_done, changed, mirrored, source_is_file
		FROM migration WHERE id = @id`, pgx.NamedArgs{"id": id})
	if err != nil || !ok {
		return transfer.Snapshot{}, false, err
	}
	return row.snapshot(), true, nil
}

func (r snapshot) snapshot() transfer.Snapshot {
	reason := func(s *string) transfer.Reason {
		if s == nil {
			return ""
		}
		return transfer.Reason(*s)
	}
	return transfer.Snapshot{
		Migration: transfer.Migration{
			ID: r.ID, Instance: r.Instance, AccountID: r.AccountID, SourcePath: r.SourcePath, TargetDir: r.TargetDir,
			Started: r.StartedAt != nil, Canceled: r.CancelRequestedAt != nil, Pauses: r.Pauses,
			ReopenedFrom: transfer.State(r.ReopenedFrom),
		},
		Term:          r.LeaseTerm,
		State:         transfer.State(r.State),
		FailureReason: reason(r.FailureReason), PauseReason: reason(r.PauseReason),
		BytesMissing: r.BytesMissing,
		Report:       orEmpty(r.ReportName), ReportMD5: r.ReportMD5, Unreported: reason(r.ReportMissing),
		DueAt: r.DueAt, StartedAt: orZero(r.StartedAt), FinishedAt: orZero(r.FinishedAt),
		FilesTotal: r.FilesTotal, FilesDone: r.FilesDone, FilesFailed: r.FilesFailed, FilesSkipped: r.FilesSkipped,
		FoldersFailed: r.FoldersFailed, FoldersSkipped: r.FoldersSkipped,
		FoldersTotal: r.FoldersTotal, FoldersListed: r.FoldersListed,
		BytesExpected: r.BytesExpected, BytesTotal: r.BytesTotal, BytesDone: r.BytesDone,
		Changed: r.Changed, Mirrored: r.Mirrored,
		SourceIsFile: r.SourceIsFile,
	}
}

// noticeBytes bounds what paths and reasons of one kind take in a tracking document.
// CouchDB refuses a document of 8 MB, and JSON may write a byte as six.
const noticeBytes = 512 << 10

// Notices gives the first entries that failed, or were skipped, oldest first: up to
// limit, and no more than a tracking document can hold.
func (l *Ledger) Notices(ctx context.Context, id string, kind transfer.Outcome, limit int) ([]transfer.Notice, error) {
	return many[transfer.Notice](ctx, l, `
		SELECT path, reason, size, at
		FROM (
			SELECT n.*, sum(octet_length(path) + octet_length(reason) + prefix) OVER (ORDER BY id) AS bytes
			FROM (
				SELECT n.id, n.path, n.reason, n.size, n.at, octet_length(m.source_path) AS prefix
				FROM notice n
				JOIN migration m ON m.id = n.migration_id
				WHERE n.migration_id = @id AND n.kind = @kind
				ORDER BY n.id
				LIMIT @limit
			) AS n
		) AS n
		WHERE bytes <= @bytes
		ORDER BY id`, pgx.NamedArgs{"id": id, "kind": string(kind), "limit": limit, "bytes": noticeBytes})
}

// Mirrored records that the tracking document holds the row as of changed. A
// holder whose term is over records nothing.
func (l *Ledger) Mirrored(ctx context.Context, id string, term, changed int64) error {
	_, err := l.exec(ctx, `
		UPDATE migration SET
			mirrored = greatest(mirrored, @changed),
			mirrored_at = now(),
			mirror_tries = 0,
			reopened_from = NULL,
			mirror_due_at = CASE
				WHEN finished_at IS NOT NULL AND changed <= @changed THEN NULL
				ELSE coalesce(mirror_due_at, now())
			END
		WHERE id = @id AND lease_term = @term`,
		pgx.NamedArgs{"id": id, "term": term, "changed": changed})
	return err
}

// Behind takes up to limit migrations that nobody works on and whose tracking
// document is behind, or without a sign of life for longer than heartbeat. Each is
// due again after a growing delay unless Mirrored is called for it.
func (l *Ledger) Behind(ctx context.Context, heartbeat time.Duration, limit int) ([]string, error) {
	rows, err := many[struct{ ID string }](ctx, l, `
		UPDATE migration SET
			mirror_tries = mirror_tries + 1,
			mirror_due_at = now() + least(interval '2 seconds' * power(2, least(mirror_tries, 12)), interval '10 minutes')
		WHERE id IN (
			SELECT id FROM migration
			WHERE mirror_due_at <= now()
				AND (lease_until IS NULL OR lease_until <= now())
				AND CASE WHEN @only = '' THEN NOT once ELSE id = @only END
				AND (mirrored < changed OR (finished_at IS NULL AND mirrored_at < now() - @heartbeat::interval))
			ORDER BY mirror_due_at
			LIMIT @limit
			FOR UPDATE SKIP LOCKED
		)
		RETURNING id`, pgx.NamedArgs{"heartbeat": heartbeat, "limit": limit, "only": l.only})
	ids := make([]string, 0, len(rows))
	for _, r := range rows {
		ids = append(ids, r.ID)
	}
	return ids, err
}
