package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"example.org/ncm/services/migrator/internal/transfer"
)

// group is what the migrations of one state, paused for one reason or not, have
// in common.
type group struct {
	State, PauseReason               string
	Migrations, Waiting              int64
	LongestWait, Stalled, LongestLag time.Duration
}

// Overview reads each migration's row once; it is not for every scrape.
func (l *Ledger) Overview(ctx context.Context) (transfer.Overview, error) {
	groups, err := many[group](ctx, l, `
		WITH row AS (
			SELECT *,
				finished_at IS NULL AND lease_until > now() AS held,
				finished_at IS NULL AND due_at <= now() AND (lease_until IS NULL OR lease_until <= now()) AS waiting
			FROM migration
			WHERE NOT once
		)
		SELECT state,
			CASE WHEN finished_at IS NULL THEN coalesce(pause_reason, '') ELSE '' END AS pause_reason,
			count(*) AS migrations,
			count(*) FILTER (WHERE waiting) AS waiting,
			coalesce(max(now() - due_at) FILTER (WHERE waiting), '0') AS longest_wait,
			coalesce(max(now() - coalesce(progressed_at, started_at, admitted_at))
				FILTER (WHERE held AND pause_reason IS NULL), '0') AS stalled,
			coalesce(max(now() - coalesce(mirrored_at, admitted_at))
				FILTER (WHERE mirrored < changed AND mirror_due_at IS NOT NULL), '0') AS longest_lag
		FROM row
		GROUP BY 1, 2`, pgx.NamedArgs{})
	if err != nil {
		return transfer.Overview{}, err
	}
	size, _, err := one[struct{ Bytes int64 }](ctx, l, `
		SELECT sum(pg_total_relation_size(t))::bigint AS bytes
		FROM unnest(ARRAY['migration', 'folder', 'file', 'notice', 'cancellation', 'event']::regclass[]) AS t`, pgx.NamedArgs{})
	if err != nil {
		return transfer.Overview{}, err
	}
	return overview(groups, size.Bytes), nil
}

func overview(groups []group, bytes int64) transfer.Overview {
	o := transfer.Overview{States: map[transfer.State]int64{}, Paused: map[transfer.Reason]int64{}, Bytes: bytes}
	for _, g := range groups {
		o.States[transfer.State(g.State)] += g.Migrations
		if g.PauseReason != "" {
			o.Paused[transfer.Reason(g.PauseReason)] += g.Migrations
		}
		o.Waiting += g.Waiting
		o.Wait = max(o.Wait, g.LongestWait)
		o.Stalled = max(o.Stalled, g.Stalled)
		o.MirrorLag = max(o.MirrorLag, g.LongestLag)
	}
	return o
}
