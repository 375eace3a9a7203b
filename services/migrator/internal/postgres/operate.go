package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"example.org/ncm/services/migrator/internal/operate"
)

var _ operate.Ledger = (*Ledger)(nil)

const selectMigration = `
	SELECT id, instance, source_path, target_dir, state,
		coalesce(failure_reason, pause_reason, '') AS reason,
		CASE WHEN lease_until > now() THEN coalesce(lease_owner, '') ELSE '' END AS owner,
		lease_term AS attempts, pauses, once, purged_at IS NOT NULL AS purged,
		requested_at, started_at, finished_at, cancel_requested_at, due_at, lease_until, mirrored_at,
		mirrored < changed AS behind, now() AS now,
		files_total, files_done, files_failed, files_skipped,
		folders_total, folders_listed, folders_failed, folders_skipped,
		bytes_expected, bytes_total, bytes_done,
		CASE WHEN lease_until > now() AND (parallel->>'term')::bigint = lease_term THEN parallel END AS parallel
	FROM migration`

// Migrations implements operate.Ledger.
func (l *Ledger) Migrations(ctx context.Context, f operate.Filter) ([]operate.Migration, error) {
	return many[operate.Migration](ctx, l, selectMigration+`
		WHERE (cardinality(@states::text[]) = 0 OR state = ANY (@states))
			AND (@instance = '' OR instance = @instance)
		ORDER BY finished_at IS NOT NULL, requested_at DESC, id
		LIMIT @limit`,
		pgx.NamedArgs{"states": append([]string{}, f.States...), "instance": f.Instance, "limit": f.Limit})
}

// Migration implements operate.Ledger.
func (l *Ledger) Migration(ctx context.Context, id string) (operate.Migration, bool, error) {
	return one[operate.Migration](ctx, l, selectMigration+` WHERE id = @id`, pgx.NamedArgs{"id": id})
}

// Entries implements operate.Ledger. Those that failed or were skipped are read
// from the notices, which an index leads to.
func (l *Ledger) Entries(ctx context.Context, id string, f operate.EntryFilter) ([]operate.Entry, error) {
	sql := `
		SELECT id, path, reason, size, at, '' AS name, '' AS note
		FROM notice
		WHERE migration_id = @id AND kind = @result AND id > @after
		ORDER BY id
		LIMIT @limit`
	if f.Result == "done" || f.Result == "pending" {
		sql = `
			SELECT f.id, concat_ws('/', nullif(d.path, ''), f.name) AS path, coalesce(f.reason, '') AS reason,
				f.size, f.finished_at AS at, coalesce(f.target_name, '') AS name, coalesce(f.note, '') AS note
			FROM file f
			JOIN folder d ON d.migration_id = f.migration_id AND d.id = f.folder_id
			WHERE f.migration_id = @id AND f.state = @result AND f.id > @after
			ORDER BY f.id
			LIMIT @limit`
	}
	return many[operate.Entry](ctx, l, sql,
		pgx.NamedArgs{"id": id, "result": f.Result, "after": f.After, "limit": f.Limit})
}

// Events implements operate.Ledger.
func (l *Ledger) Events(ctx context.Context, id string) ([]operate.Event, error) {
	return many[operate.Event](ctx, l, `
		SELECT at, kind, coalesce(worker, '') AS worker, coalesce(reason, '') AS reason
		FROM event
		WHERE migration_id = @id
		ORDER BY id`, pgx.NamedArgs{"id": id})
}

// Reasons implements operate.Ledger.
func (l *Ledger) Reasons(ctx context.Context, id string) ([]operate.ReasonCount, error) {
	return many[operate.ReasonCount](ctx, l, `
		SELECT kind AS result, reason, count(*) AS count
		FROM notice
		WHERE migration_id = @id
		GROUP BY kind, reason
		ORDER BY count DESC, kind, reason
		LIMIT 50`, pgx.NamedArgs{"id": id})
}

// Reopen implements operate.Ledger.
func (l *Ledger) Reopen(ctx context.Context, id string, failed bool, allowed func(operate.Migration) error) (int64, error) {
	args := pgx.NamedArgs{"id": id, "work": channelWork}
	var entries int64
	err := pgx.BeginFunc(ctx, l.pool, func(tx pgx.Tx) error {
		entries = 0
		rows, err := tx.Query(ctx, selectMigration+` WHERE id = @id FOR UPDATE`, args)
		if err != nil {
			return err
		}
		m, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[operate.Migration])
		if errors.Is(err, pgx.ErrNoRows) {
			return operate.ErrUnknown
		}
		if err != nil {
			return err
		}
		if err := allowed(m); err != nil {
			return err
		}
		if failed {
			if err := tx.QueryRow(ctx, putBack, args).Scan(&entries); err != nil {
				return err
			}
		}
		for _, sql := range []string{reopen, `SELECT pg_notify(@work, '')`} {
			if _, err := tx.Exec(ctx, sql, args); err != nil {
				return err
			}
		}
		return nil
	})
	if isActive(err) {
		return 0, operate.ErrActive
	}
	return entries, classify(err)
}

// putBack makes failed entries pending, with all their attempts before them. A
// holder that is past their ids leaves them to the next slice: Finish counts.
const putBack = `
	WITH files AS (
		UPDATE file SET state = 'pending', attempts = 0, reason = NULL, finished_at = NULL
		WHERE migration_id = @id AND state = 'failed'
		RETURNING id
	), folders AS (
		UPDATE folder SET state = 'pending', attempts = 0, reason = NULL
		WHERE migration_id = @id AND state = 'failed'
		RETURNING id
	), noticed AS (
		DELETE FROM notice WHERE migration_id = @id AND kind = 'failed'
	), counted AS (
		UPDATE migration SET
			files_failed = files_failed - (SELECT count(*) FROM files),
			folders_failed = folders_failed - (SELECT count(*) FROM folders),
			changed = changed + 1
		WHERE id = @id
	)
	SELECT (SELECT count(*) FROM files) + (SELECT count(*) FROM folders)`

// reopen keeps what a final state was until the document says otherwise, and
// fences out a mirror that still has that state in hand.
const reopen = `
	UPDATE migration SET
		state = CASE WHEN finished_at IS NULL THEN state WHEN started_at IS NULL THEN 'pending' ELSE 'running' END,
		reopened_from = CASE WHEN finished_at IS NULL THEN reopened_from ELSE state END,
		lease_term = CASE WHEN finished_at IS NULL THEN lease_term ELSE lease_term + 1 END,
		mirror_due_at = CASE WHEN finished_at IS NULL THEN mirror_due_at ELSE now() END,
		mirror_tries = 0,
		finished_at = NULL,
		failure_reason = NULL,
		bytes_missing = 0,
		report_missing = NULL,
		pause_reason = NULL,
		pauses = 0,
		due_at = now(),
		changed = changed + 1
	WHERE id = @id`
