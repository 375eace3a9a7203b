package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// expired are migrations whose end, a retention ago, the tracking document tells, and
// whose app password nobody has to give back any more.
const expired = `finished_at < now() - @age::interval AND mirror_due_at IS NULL AND (once OR password_due_at IS NULL)`

// Expired implements operate.Retention.
func (l *Ledger) Expired(ctx context.Context, age time.Duration) (migrations, files int64, err error) {
	row, _, err := one[struct{ Migrations, Files int64 }](ctx, l, `
		SELECT count(*) AS migrations, coalesce(sum(files_total), 0)::bigint AS files
		FROM migration
		WHERE `+expired, pgx.NamedArgs{"age": age})
	return row.Migrations, row.Files, err
}

// Expire implements operate.Retention.
func (l *Ledger) Expire(ctx context.Context, age time.Duration, limit int) ([]string, error) {
	rows, err := many[struct{ ID string }](ctx, l, `
		UPDATE migration SET purged_at = coalesce(purged_at, now())
		WHERE id IN (
			SELECT id FROM migration
			WHERE `+expired+`
			ORDER BY finished_at
			LIMIT @limit
			FOR UPDATE SKIP LOCKED
		)
		RETURNING id`, pgx.NamedArgs{"age": age, "limit": limit})
	ids := make([]string, 0, len(rows))
	for _, r := range rows {
		ids = append(ids, r.ID)
	}
	return ids, err
}

// RemoveEntries implements operate.Retention.
func (l *Ledger) RemoveEntries(ctx context.Context, id string, limit int) (int64, error) {
	for _, table := range []string{"file", "folder", "notice", "event"} {
		n, err := l.exec(ctx, `
			DELETE FROM `+table+` WHERE ctid = ANY (ARRAY(
				SELECT e.ctid FROM `+table+` e
				JOIN migration m ON m.id = e.migration_id
				WHERE m.id = @id AND m.purged_at IS NOT NULL
				LIMIT @limit))`, pgx.NamedArgs{"id": id, "limit": limit})
		if n > 0 || err != nil {
			return n, err
		}
	}
	return 0, nil
}

// Remove implements operate.Retention.
func (l *Ledger) Remove(ctx context.Context, id string) error {
	_, err := l.exec(ctx, `DELETE FROM migration WHERE id = @id AND purged_at IS NOT NULL`, pgx.NamedArgs{"id": id})
	return err
}

// RemoveCancellations implements operate.Retention.
func (l *Ledger) RemoveCancellations(ctx context.Context, age time.Duration) (int64, error) {
	return l.exec(ctx, `DELETE FROM cancellation WHERE at < now() - @age::interval`, pgx.NamedArgs{"age": age})
}
