package postgres_test

import (
	"context"
	"flag"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"example.org/ncm/services/migrator/internal/postgres"
	"example.org/ncm/services/migrator/internal/postgrestest"
	"example.org/ncm/services/migrator/internal/transfer"
)

// Whatever happens in whatever order, to migrations of two instances and by two
// workers who do not know what they lost, the ledger stays valid.
func TestAnyOrderOfEventsLeavesTheLedgerValid(t *testing.T) {
	t.Parallel()
	database := withoutWaitingForDisk(t, postgrestest.URL(t))
	ledger, err := postgres.Open(t.Context(), database, 4)
	if err != nil {
		t.Fatal(err)
	}
	defer ledger.Close()
	conn, err := pgx.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	fewerOrders(t)
	rapid.Check(t, func(rt *rapid.T) {
		e := &events{T: rt, ctx: t.Context(), ledger: ledger, conn: conn, ends: map[string]row{}, terms: map[string]int64{}}
		e.exec(`DELETE FROM migration`)
		e.exec(`DELETE FROM cancellation`)
		rt.Repeat(map[string]func(*rapid.T){
			"":            func(*rapid.T) { e.mustBeValid() },
			"admit":       func(*rapid.T) { e.admit() },
			"cancel":      func(*rapid.T) { e.cancel() },
			"claim":       func(*rapid.T) { e.claim() },
			"claim again": func(*rapid.T) { e.claim() },
			"lapse":       func(*rapid.T) { e.lapse() },
			"due":         func(*rapid.T) { e.exec(`UPDATE migration SET due_at = now()`) },
			"renew":       func(*rapid.T) { e.write(e.renew) },
			"begin":       func(*rapid.T) { e.write(e.begin) },
			"root":        func(*rapid.T) { e.write(e.root) },
			"page":        func(*rapid.T) { e.write(e.page) },
			"more pages":  func(*rapid.T) { e.write(e.page) },
			"folder":      func(*rapid.T) { e.write(e.recordFolder) },
			"target":      func(*rapid.T) { e.write(e.setTarget) },
			"record":      func(*rapid.T) { e.write(e.record) },
			"record more": func(*rapid.T) { e.write(e.record) },
			"release":     func(*rapid.T) { e.write(e.release) },
			"finish":      func(*rapid.T) { e.write(e.finish) },
			"mirrored":    func(*rapid.T) { e.mirrored() },
			"sweep":       func(*rapid.T) { e.sweep() },
		})
	})
}

// withoutWaitingForDisk gives the URL of connections whose commits need not outlive
// the server: most of the time of many small writes goes there.
func withoutWaitingForDisk(t *testing.T, database string) string {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	settings := u.Query()
	settings.Set("synchronous_commit", "off")
	u.RawQuery = settings.Encode()
	return u.String()
}

// fewerOrders keeps the test short, unless the command line says how many it wants.
func fewerOrders(t *testing.T) {
	t.Helper()
	if f := flag.Lookup("rapid.checks"); f.Value.String() == f.DefValue {
		if err := f.Value.Set("30"); err != nil {
			t.Fatal(err)
		}
	}
}

// events is one order of events, and what has to be remembered of it.
type events struct {
	*rapid.T
	ctx    context.Context //nolint:containedctx // lives as long as one order of events
	ledger *postgres.Ledger
	conn   *pgx.Conn

	leases []transfer.Lease // all that were ever granted
	ends   map[string]row   // of migrations that are final
	terms  map[string]int64 // the highest of each migration
}

// row is a migration as the ledger has it, as far as the events decide.
type row struct {
	ID, Instance, State      string
	Owner                    *string
	Term                     int64
	Live, Due, CancelAsked   bool
	Orphaned                 bool // somebody began with it and vanished
	FinishedAt               *time.Time
	Changed, Mirrored        int64
	FilesTotal, FilesDone    int64
	FilesFailed              int64
	FilesSkipped             int64
	FoldersTotal             int64
	FoldersListed            int64
	FoldersFailed            int64
	FoldersSkipped           int64
	BytesTotal, BytesDone    int64
	FailedNoted, SkippedNote int64
}

func (r row) final() bool { return r.FinishedAt != nil }

const selectRow = `
	SELECT id, instance, state, lease_owner AS owner, lease_term AS term,
		coalesce(lease_until > now(), false) AS live, due_at <= now() AS due, cancel_requested_at IS NOT NULL AS cancel_asked,
		started_at IS NOT NULL AND (lease_owner IS NOT NULL OR takeovers > 0) AS orphaned,
		finished_at, changed, mirrored,
		files_total, files_done, files_failed, files_skipped,
		folders_total, folders_listed, folders_failed, folders_skipped, bytes_total, bytes_done,
		files_failed + folders_failed AS failed_noted, files_skipped + folders_skipped AS skipped_note
	FROM migration`

// recount is selectRow with every counter added up from the rows that it counts.
const recount = `
	SELECT id, instance, state, lease_owner AS owner, lease_term AS term,
		coalesce(lease_until > now(), false) AS live, due_at <= now() AS due, cancel_requested_at IS NOT NULL AS cancel_asked,
		started_at IS NOT NULL AND (lease_owner IS NOT NULL OR takeovers > 0) AS orphaned,
		finished_at, changed, mirrored, f.*, d.*, n.*
	FROM migration,
	LATERAL (
		SELECT count(*) AS files_total,
			count(*) FILTER (WHERE state = 'done') AS files_done,
			count(*) FILTER (WHERE state = 'failed') AS files_failed,
			count(*) FILTER (WHERE state = 'skipped') AS files_skipped,
			coalesce(sum(size) FILTER (WHERE state <> 'skipped'), 0)::bigint AS bytes_total,
			coalesce(sum(size) FILTER (WHERE state = 'done'), 0)::bigint AS bytes_done
		FROM file WHERE migration_id = migration.id
	) AS f,
	LATERAL (
		SELECT count(*) AS folders_total,
			count(*) FILTER (WHERE state = 'listed') AS folders_listed,
			count(*) FILTER (WHERE state = 'failed') AS folders_failed,
			count(*) FILTER (WHERE state = 'skipped') AS folders_skipped
		FROM folder WHERE migration_id = migration.id
	) AS d,
	LATERAL (
		SELECT count(*) FILTER (WHERE kind = 'failed') AS failed_noted,
			count(*) FILTER (WHERE kind = 'skipped') AS skipped_note
		FROM notice WHERE migration_id = migration.id
	) AS n`

// mustBeValid holds between any two events.
func (e *events) mustBeValid() {
	rows := query[row](e, selectRow+` ORDER BY id`)
	if diff := cmp.Diff(query[row](e, recount+` ORDER BY id`), rows); diff != "" {
		e.Fatalf("counters (-recounted +kept):\n%s", diff)
	}
	active := map[string]string{}
	for _, r := range rows {
		if r.Term < e.terms[r.ID] || r.Mirrored > r.Changed {
			e.Fatalf("term after %d, or more mirrored than changed: %+v", e.terms[r.ID], r)
		}
		e.terms[r.ID] = r.Term
		end, ended := e.ends[r.ID]
		switch {
		case ended && (r.State != end.State || !r.FinishedAt.Equal(*end.FinishedAt) || r.Term != end.Term):
			e.Fatalf("a final migration changed:\n%s", cmp.Diff(end, r))
		case r.final():
			e.ends[r.ID] = r
		case active[r.Instance] != "":
			e.Fatalf("%s and %s of %s are active", active[r.Instance], r.ID, r.Instance)
		default:
			active[r.Instance] = r.ID
		}
	}
}

func (e *events) row(id string) *row {
	found := query[row](e, selectRow+` WHERE id = $1`, id)
	if len(found) == 0 {
		return nil
	}
	return &found[0]
}

// dump is everything in the ledger, to see whether something changed.
func (e *events) dump() string {
	return query[struct{ Text string }](e, `
		SELECT coalesce(string_agg(r, E'\n' ORDER BY r), '') AS text FROM (
			SELECT m::text FROM migration m
			UNION ALL SELECT d::text FROM folder d
			UNION ALL SELECT f::text FROM file f
			UNION ALL SELECT n::text FROM notice n
			UNION ALL SELECT c::text FROM cancellation c
		) AS all_rows (r)`)[0].Text
}

func (e *events) count(sql string, args ...any) int64 {
	return query[struct{ Count int64 }](e, `SELECT (`+sql+`)::bigint AS count`, args...)[0].Count
}

func (e *events) exec(sql string, args ...any) {
	if _, err := e.conn.Exec(e.ctx, sql, args...); err != nil {
		e.Fatalf("%s: %v", sql, err)
	}
}

func query[T any](e *events, sql string, args ...any) []T {
	rows, err := e.conn.Query(e.ctx, sql, args...)
	if err != nil {
		e.Fatalf("%s: %v", sql, err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByName[T])
	if err != nil {
		e.Fatalf("%s: %v", sql, err)
	}
	return all
}
