package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pressly/goose/v3"
)

// SchemaFile is one file of the ledger's schema.
type SchemaFile struct {
	Version   int64      `json:"version"`
	Name      string     `json:"name"`
	AppliedAt *time.Time `json:"applied_at"` // nil: it is still to be applied
}

// Schema gives the files that this program knows and the newest version that is
// in the database, which is higher than theirs after a newer program's. It changes
// nothing.
func Schema(ctx context.Context, url string) (files []SchemaFile, newest int64, err error) {
	err = withProvider(url, func(p *goose.Provider) error {
		for _, s := range p.ListSources() {
			files = append(files, SchemaFile{Version: s.Version, Name: s.Path})
		}
		return nil
	})
	if err != nil {
		return nil, 0, err
	}
	l, err := Open(ctx, url, 1)
	if err != nil {
		return nil, 0, err
	}
	defer l.Close()
	applied, err := l.applied(ctx)
	if err != nil {
		return nil, 0, fmt.Errorf("read the schema's version: %w", err)
	}
	for i := range files {
		if at, ok := applied[files[i].Version]; ok {
			files[i].AppliedAt = &at
		}
	}
	for version := range applied {
		newest = max(newest, version)
	}
	return files, newest, nil
}

// applied are the versions in the database with their times. Goose would make its
// table on being asked.
func (l *Ledger) applied(ctx context.Context) (map[int64]time.Time, error) {
	known, _, err := one[struct{ Known bool }](ctx, l, `SELECT to_regclass('goose_db_version') IS NOT NULL AS known`, pgx.NamedArgs{})
	if err != nil || !known.Known {
		return nil, err
	}
	rows, err := many[struct {
		Version int64
		At      time.Time
	}](ctx, l, `
		SELECT version_id AS version, max(tstamp) AT TIME ZONE current_setting('TimeZone') AS at
		FROM goose_db_version
		WHERE is_applied AND version_id > 0
		GROUP BY version_id`, pgx.NamedArgs{})
	versions := make(map[int64]time.Time, len(rows))
	for _, r := range rows {
		versions[r.Version] = r.At
	}
	return versions, err
}

// Health is what the ledger tells about itself and its work.
type Health struct {
	Version  string    // of the server
	Now      time.Time // by the database's clock
	ReadOnly bool
	Writable bool // the role may write the ledger's tables

	Waiting   int64         // migrations that are due and that nobody holds
	Longest   time.Duration // how long the first of them has waited
	Held      int64         // migrations that a worker holds
	Behind    int64         // final ones whose tracking document does not say so
	BehindFor time.Duration // how long the first of those
}

// Health asks for all of it at once. The schema has to be up to date.
func (l *Ledger) Health(ctx context.Context) (Health, error) {
	h, _, err := one[Health](ctx, l, `
		SELECT current_setting('server_version') AS version,
			clock_timestamp() AS now,
			current_setting('transaction_read_only')::boolean AS read_only,
			(SELECT bool_and(has_table_privilege(t, p))
				FROM unnest('{migration,folder,file,notice,cancellation,event}'::text[]) AS t,
					unnest('{SELECT,INSERT,UPDATE,DELETE}'::text[]) AS p) AS writable,
			count(*) FILTER (WHERE waiting) AS waiting,
			coalesce(max(now() - greatest(due_at, lease_until)) FILTER (WHERE waiting), interval '0') AS longest,
			count(*) FILTER (WHERE lease_until > now()) AS held,
			count(*) FILTER (WHERE behind) AS behind,
			coalesce(max(now() - finished_at) FILTER (WHERE behind), interval '0') AS behind_for
		FROM migration, LATERAL (
			SELECT state IN ('pending', 'running') AND due_at <= now() AND NOT once
					AND (lease_until IS NULL OR lease_until <= now()) AS waiting,
				finished_at IS NOT NULL AND mirror_due_at IS NOT NULL AS behind
		) AS seen`, pgx.NamedArgs{})
	return h, err
}
