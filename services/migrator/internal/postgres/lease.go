package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"example.org/ncm/services/migrator/internal/transfer"
)

// claimed is the row that Claim returns.
type claimed struct {
	ID, Instance, AccountID, SourcePath, TargetDir, TraceParent string

	Term     int64
	Started  bool
	Canceled bool
	Pauses   int
	Before   *string // who let the lease run out

	ReopenedFrom string
	Orphaned     bool // what an earlier holder sent may be uncounted
}

// Claim takes the lease of the migration that is due and was served longest ago.
// ok is false when there is none. takenOver tells that its last holder vanished.
func (l *Ledger) Claim(ctx context.Context, owner string, ttl time.Duration) (lease transfer.Lease, takenOver, ok bool, err error) {
	row, ok, err := one[claimed](ctx, l, `
		WITH next AS (
			SELECT id, lease_owner, started_at
			FROM migration
			WHERE state IN ('pending', 'running')
				AND due_at <= now()
				AND (lease_until IS NULL OR lease_until <= now())
				AND CASE WHEN @only = '' THEN NOT once ELSE id = @only END
			ORDER BY served_at NULLS FIRST, admitted_at
			LIMIT 1
			FOR UPDATE SKIP LOCKED
		)
		UPDATE migration m SET
			lease_owner = @owner,
			lease_term = m.lease_term + 1,
			lease_until = now() + @ttl,
			takeovers = m.takeovers + CASE WHEN next.lease_owner IS NULL THEN 0 ELSE 1 END,
			served_at = now()
		FROM next
		WHERE m.id = next.id
		RETURNING m.id, instance, account_id, source_path, target_dir, trace_parent, m.lease_term AS term,
			m.started_at IS NOT NULL AS started,
			cancel_requested_at IS NOT NULL AS canceled,
			m.started_at IS NOT NULL AND m.takeovers > 0 AS orphaned,
			pauses, next.lease_owner AS before, coalesce(reopened_from, '') AS reopened_from`,
		pgx.NamedArgs{"owner": owner, "ttl": ttl, "only": l.only})
	if !ok || err != nil {
		return transfer.Lease{}, false, false, err
	}
	return transfer.Lease{
		Migration: transfer.Migration{
			ID: row.ID, Instance: row.Instance, AccountID: row.AccountID,
			SourcePath: row.SourcePath, TargetDir: row.TargetDir,
			Started: row.Started, Canceled: row.Canceled, Pauses: row.Pauses, TraceParent: row.TraceParent,
			ReopenedFrom: transfer.State(row.ReopenedFrom),
		},
		Owner:    owner,
		Term:     row.Term,
		Orphaned: row.Orphaned,
	}, row.Before != nil, true, nil
}

// shown is what others may see of a slice, with its term: what an earlier holder left
// says nothing.
type shown struct {
	Term int64 `json:"term"`
	transfer.Parallel
}

// Renew prolongs a lease; ErrLeaseLost when another holds it.
func (l *Ledger) Renew(ctx context.Context, lease transfer.Lease, ttl time.Duration) (transfer.Renewal, error) {
	var parallel *shown
	if lease.Parallel != nil {
		parallel = &shown{lease.Term, *lease.Parallel}
	}
	r, ok, err := one[transfer.Renewal](ctx, l, `
		UPDATE migration SET lease_until = now() + @ttl, parallel = @parallel
		WHERE id = @id AND lease_term = @term AND lease_owner = @owner
		RETURNING cancel_requested_at IS NOT NULL AS canceled,
			EXISTS (
				SELECT FROM migration w
				WHERE w.state IN ('pending', 'running') AND w.due_at <= now() AND NOT w.once
					AND (w.lease_until IS NULL OR w.lease_until <= now())
			) AS waiting`,
		fence(lease, pgx.NamedArgs{"ttl": ttl, "parallel": parallel}))
	if err == nil && !ok {
		err = transfer.ErrLeaseLost
	}
	return r, err
}

// Begin records that the first slice starts: the migration runs, into targetDir.
func (l *Ledger) Begin(ctx context.Context, lease transfer.Lease, targetDir string) error {
	return l.fenced(ctx, `
		UPDATE migration SET
			state = 'running',
			started_at = coalesce(started_at, now()),
			target_dir = @target_dir,
			changed = changed + 1
		WHERE id = @id AND lease_term = @term AND lease_owner = @owner`,
		fence(lease, pgx.NamedArgs{"target_dir": targetDir}))
}

// Root records the root folder, which stands for a single file where the root is
// one, the bytes the source expects it to hold, the target folder it goes to, and
// which account it is read from. What is recorded already stays; with another
// account reruns can't build on it any more.
func (l *Ledger) Root(ctx context.Context, lease transfer.Lease, targetID, sourceKey string, root transfer.Entry) error {
	return l.fenced(ctx, `
		WITH fence AS (
			SELECT id FROM migration
			WHERE id = @id AND lease_term = @term AND lease_owner = @owner
			FOR UPDATE
		), added AS (
			INSERT INTO folder (migration_id, name, path, mod_time, source_id, target_id)
			SELECT id, '', '', @mod_time, @source_id, @target_id FROM fence
			ON CONFLICT DO NOTHING
			RETURNING migration_id
		)
		UPDATE migration SET
			folders_total = folders_total + (SELECT count(*) FROM added),
			bytes_expected = greatest(bytes_expected, @size),
			source_is_file = @is_file,
			source_key = CASE WHEN coalesce(source_key, @source_key) = @source_key THEN @source_key ELSE '' END,
			changed = changed + 1
		FROM fence WHERE migration.id = fence.id`,
		fence(lease, pgx.NamedArgs{
			"mod_time": timeOrNull(root.ModTime), "source_id": root.SourceID, "target_id": targetID, "size": root.Size, "is_file": !root.Folder,
			"source_key": sourceKey,
		}))
}

// Release gives the lease back with the work unfinished: due after wait. A reason
// says that a side is down; without one the migration goes on as it was.
func (l *Ledger) Release(ctx context.Context, lease transfer.Lease, wait time.Duration, pauses int, reason transfer.Reason) error {
	return l.fenced(ctx, `
		WITH woken AS (SELECT pg_notify(@work, '') WHERE @wait = interval '0')
		UPDATE migration SET
			lease_owner = NULL,
			lease_until = NULL,
			due_at = now() + @wait,
			pauses = @pauses,
			changed = changed + CASE WHEN pause_reason IS DISTINCT FROM nullif(@reason, '') THEN 1 ELSE 0 END,
			mirror_due_at = now() + interval '1 second', -- after the holder's last write
			pause_reason = nullif(@reason, '')
		FROM (SELECT count(*) FROM woken) AS w
		WHERE id = @id AND lease_term = @term AND lease_owner = @owner`,
		fence(lease, pgx.NamedArgs{"wait": wait, "pauses": pauses, "reason": string(reason), "work": channelWork}))
}

// CopiedBefore gives the bytes that other migrations brought into an instance.
func (l *Ledger) CopiedBefore(ctx context.Context, m transfer.Migration) (int64, error) {
	row, _, err := one[struct{ Bytes int64 }](ctx, l, `
		SELECT coalesce(sum(bytes_done), 0)::bigint AS bytes
		FROM migration
		WHERE instance = @instance AND id <> @id`,
		pgx.NamedArgs{"instance": m.Instance, "id": m.ID})
	return row.Bytes, err
}

// Finish ends a migration. It gives false, and changes nothing, when one that is
// to be completed has entries left.
func (l *Ledger) Finish(ctx context.Context, lease transfer.Lease, final transfer.Final) (bool, error) {
	done, ok, err := one[struct{ Done bool }](ctx, l, `
		WITH m AS (
			SELECT id, @state <> 'completed' OR (
				files_done + files_failed + files_skipped = files_total
				AND folders_listed + folders_failed + folders_skipped = folders_total
			) AS done
			FROM migration
			WHERE id = @id AND lease_term = @term AND lease_owner = @owner
			FOR UPDATE
		), finished AS (
			UPDATE migration SET
				state = @state,
				failure_reason = nullif(@reason, ''),
				bytes_missing = @missing,
				report_missing = nullif(@unreported, ''),
				pause_reason = NULL,
				finished_at = now(),
				lease_owner = NULL,
				lease_until = NULL,
				-- the holder writes the document itself; the sweep if that fails
				mirror_due_at = now() + interval '5 seconds',
				changed = changed + 1
			FROM m WHERE migration.id = m.id AND m.done
		)
		SELECT done FROM m`,
		fence(lease, pgx.NamedArgs{
			"state": string(final.State), "reason": string(final.Reason), "missing": final.Missing, "unreported": string(final.Unreported),
		}))
	if err == nil && !ok {
		err = transfer.ErrLeaseLost
	}
	return done.Done, err
}

// fenced runs a statement that changes the migration's row if the lease holds.
func (l *Ledger) fenced(ctx context.Context, sql string, args pgx.NamedArgs) error {
	n, err := l.exec(ctx, sql, args)
	if err == nil && n == 0 {
		err = transfer.ErrLeaseLost
	}
	return err
}

// fence adds the lease to a statement's arguments.
func fence(lease transfer.Lease, args pgx.NamedArgs) pgx.NamedArgs {
	args["id"], args["term"], args["owner"] = lease.ID, lease.Term, lease.Owner
	return args
}

func timeOrNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
