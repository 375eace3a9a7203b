package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"example.org/ncm/services/migrator/internal/transfer"
)

// lockID makes admission and cancellation of one id follow one another: else a
// cancellation could look for the migration just before it is committed, and the
// admission for the cancellation just before that is.
const lockID = `SELECT pg_advisory_xact_lock(hashtextextended(@id, 0))`

// Admit records a request once, whatever is delivered how often.
func (l *Ledger) Admit(ctx context.Context, m transfer.Migration, requested time.Time) (transfer.Admission, error) {
	args := pgx.NamedArgs{
		"id": m.ID, "instance": m.Instance, "account": m.AccountID, "source_path": m.SourcePath,
		"requested": requested, "active_reason": nil, "work": channelWork, "trace_parent": m.TraceParent, "once": false,
	}
	admission, err := l.admit(ctx, args)
	if isActive(err) {
		args["active_reason"] = transfer.ReasonAlreadyActive
		admission, err = l.admit(ctx, args)
	}
	return admission, classify(err)
}

// AdmitOnce records a migration that no worker serves but one of Only. Nothing is
// recorded unless it is admitted.
func (l *Ledger) AdmitOnce(ctx context.Context, m transfer.Migration) (transfer.Admission, error) {
	admission, err := l.admit(ctx, pgx.NamedArgs{
		"id": m.ID, "instance": m.Instance, "account": m.AccountID, "source_path": m.SourcePath,
		"requested": time.Now(), "active_reason": nil, "work": channelWork, "trace_parent": m.TraceParent, "once": true,
	})
	if isActive(err) {
		return transfer.AlreadyActive, nil
	}
	return admission, classify(err)
}

// isActive says whether the instance has an active migration.
func isActive(err error) bool {
	var server *pgconn.PgError
	return errors.As(err, &server) && server.ConstraintName == "migration_active_instance"
}

// Waiting gives the migration of an instance that was admitted and that nobody has
// worked on yet, other than the one of that id; empty when there is none.
func (l *Ledger) Waiting(ctx context.Context, instance, id string) (string, error) {
	row, _, err := one[struct{ ID string }](ctx, l, `
		SELECT id FROM migration
		WHERE instance = @instance AND id <> @id AND state = 'pending' AND reopened_from IS NULL AND NOT once`,
		pgx.NamedArgs{"instance": instance, "id": id})
	return row.ID, err
}

// Withdraw ends a migration that nobody has worked on yet, because its tracking
// document is final or gone. One that somebody works on meanwhile stays as it is,
// and gives false: its holder looks at the document first of all.
func (l *Ledger) Withdraw(ctx context.Context, id string) (bool, error) {
	n, err := l.exec(ctx, `
		UPDATE migration SET
			state = 'failed',
			failure_reason = @reason,
			finished_at = now(),
			lease_owner = NULL,
			lease_until = NULL,
			lease_term = lease_term + 1,
			mirror_due_at = now(),
			changed = changed + 1
		WHERE id = @id AND state = 'pending' AND (lease_until IS NULL OR lease_until <= now())`,
		pgx.NamedArgs{"id": id, "reason": string(transfer.ReasonWithdrawn)})
	return n > 0, err
}

func (l *Ledger) admit(ctx context.Context, args pgx.NamedArgs) (transfer.Admission, error) {
	admission := transfer.AlreadyKnown
	err := pgx.BeginFunc(ctx, l.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, lockID, args); err != nil {
			return err
		}
		err := tx.QueryRow(ctx, `
			WITH canceled AS (
				DELETE FROM cancellation
				WHERE migration_id = @id AND instance = @instance
				RETURNING at
			), asked AS (
				SELECT CASE
					WHEN EXISTS (SELECT FROM canceled) THEN 'canceled'
					WHEN @active_reason::text IS NOT NULL THEN 'failed'
					ELSE 'pending'
				END AS state
			)
			INSERT INTO migration (id, instance, account_id, source_path, requested_at, trace_parent,
				state, failure_reason, finished_at, cancel_requested_at, once)
			SELECT @id, @instance, @account, @source_path, @requested, @trace_parent,
				state,
				CASE WHEN state = 'failed' THEN @active_reason END,
				CASE WHEN state <> 'pending' THEN now() END,
				(SELECT at FROM canceled),
				@once
			FROM asked
			ON CONFLICT (id) DO NOTHING
			RETURNING CASE state
				WHEN 'canceled' THEN 'already_over'
				WHEN 'failed' THEN 'already_active'
				ELSE 'admitted'
			END`, args).Scan(&admission)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `SELECT pg_notify(@work, '')`, args)
		return err
	})
	return admission, err
}

// Cancel records a cancellation: at once where nobody works on the migration,
// for its holder to see where somebody does or did until it vanished, because what
// that one sent has to be counted, and for a later request where there is none yet.
// A final migration stays as it is. It gives false, and does nothing, when the
// migration belongs to another instance.
func (l *Ledger) Cancel(ctx context.Context, id, instance string) (bool, error) {
	args := pgx.NamedArgs{"id": id, "instance": instance, "channel": channelCanceled, "work": channelWork}
	ours := false
	err := pgx.BeginFunc(ctx, l.pool, func(tx pgx.Tx) error {
		for _, sql := range []string{lockID, cancelKnown, cancelUnknown, `SELECT pg_notify(@channel, @id), pg_notify(@work, '')`} {
			if _, err := tx.Exec(ctx, sql, args); err != nil {
				return err
			}
		}
		return tx.QueryRow(ctx, `
			SELECT NOT EXISTS (SELECT FROM migration WHERE id = @id AND instance <> @instance)`, args).Scan(&ours)
	})
	return ours, classify(err)
}

const cancelKnown = `
	WITH asked AS (
		SELECT id, coalesce(lease_until > now(), false)
			OR started_at IS NOT NULL AND (lease_owner IS NOT NULL OR takeovers > 0) AS held
		FROM migration
		WHERE id = @id AND instance = @instance AND state IN ('pending', 'running')
		FOR UPDATE
	)
	UPDATE migration m SET
		cancel_requested_at = coalesce(cancel_requested_at, now()),
		state = CASE WHEN held THEN state ELSE 'canceled' END,
		finished_at = CASE WHEN held THEN NULL ELSE now() END,
		lease_owner = CASE WHEN held THEN lease_owner END,
		lease_until = CASE WHEN held THEN lease_until END,
		-- a holder that is paused must not write after this
		lease_term = CASE WHEN held THEN lease_term ELSE lease_term + 1 END,
		due_at = now(),
		mirror_due_at = now(),
		changed = changed + 1
	FROM asked
	WHERE m.id = asked.id`

const cancelUnknown = `
	INSERT INTO cancellation (migration_id, instance)
	SELECT @id, @instance
	WHERE NOT EXISTS (SELECT FROM migration WHERE id = @id)
	ON CONFLICT DO NOTHING`
