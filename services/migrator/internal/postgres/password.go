package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"example.org/ncm/services/migrator/internal/transfer"
)

// PasswordsDue takes up to limit migrations whose app password is to be given back:
// when they have been over for a time, or at once where they can't be gone on with.
// Each is due again after a growing delay, a dozen times, unless PasswordReturned is
// called for it.
func (l *Ledger) PasswordsDue(ctx context.Context, after time.Duration, limit int) ([]transfer.Migration, error) {
	rows, err := many[struct {
		ID, Instance, AccountID string
		Due                     bool
	}](ctx, l, `
		WITH looked AS (
			SELECT id, finished_at + CASE
				WHEN state = 'canceled' OR failure_reason IN ('login_refused', 'withdrawn') THEN interval '0'
				ELSE @after::interval
			END AS at
			FROM migration
			WHERE finished_at IS NOT NULL AND password_due_at <= now() AND NOT once
			ORDER BY password_due_at
			LIMIT @limit
			FOR UPDATE SKIP LOCKED
		)
		UPDATE migration m SET
			password_tries = password_tries + (at <= now())::integer,
			password_due_at = CASE
				WHEN at > now() THEN at
				WHEN password_tries < 11 THEN now() + least(interval '1 minute' * power(4, password_tries), interval '1 day')
			END
		FROM looked
		WHERE m.id = looked.id
		RETURNING m.id, m.instance, m.account_id, at <= now() AS due`, pgx.NamedArgs{"after": after, "limit": limit})
	var due []transfer.Migration
	for _, r := range rows {
		if r.Due {
			due = append(due, transfer.Migration{ID: r.ID, Instance: r.Instance, AccountID: r.AccountID})
		}
	}
	return due, err
}

// PasswordReturned records that there is nothing left to give back.
func (l *Ledger) PasswordReturned(ctx context.Context, id string) error {
	_, err := l.exec(ctx, `UPDATE migration SET password_due_at = NULL WHERE id = @id`, pgx.NamedArgs{"id": id})
	return err
}
