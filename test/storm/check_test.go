package storm_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	amqp "github.com/rabbitmq/amqp091-go"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/pkg/queue"
	"example.org/ncm/test/rig"
	"example.org/ncm/test/tree"
)

// sums is a migration's row of the ledger.
type sums struct {
	State                                            string
	Leased, Mirrored                                 bool
	FilesTotal, FilesDone, FilesFailed, FilesSkipped int64
	FoldersTotal, FoldersListed                      int64
	BytesTotal, BytesDone                            int64
}

// check waits for all migrations to complete and returns everything that is not
// as it has to be.
func (r *round) check() (faults []string) {
	r.t.Helper()
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	if !r.becomes(r.size.calm, func(ctx context.Context) bool { return r.ended() && r.mirrored(ctx) }) {
		fault("migrations are not final %v after all was healed", r.size.calm)
	}
	r.timeline.note("the migrations ended")
	conn := r.ledger()
	defer conn.Close(context.WithoutCancel(r.t.Context()))
	for _, m := range r.moves {
		for _, text := range r.checkMove(conn, m) {
			fault("%s: %s", m.cozy.Host, text)
		}
	}
	faults = append(faults, r.checkQueues()...)
	for _, m := range r.started {
		if err := m.end(); err != nil {
			fault("%v", err)
		}
	}
	if left := int64(0); !r.becomes(rig.Patience, func(context.Context) bool {
		left = value[int64](r, conn, `SELECT count(*) FROM pg_stat_activity WHERE application_name = 'migrator' AND datname = current_database()`)
		return left == 0
	}) {
		fault("%d connections to the ledger are left", left)
	}
	return faults
}

// becomes waits for a condition and says whether it came to hold.
func (r *round) becomes(within time.Duration, holds func(context.Context) bool) bool {
	ctx, cancel := context.WithTimeout(r.t.Context(), within)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !holds(ctx) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// mirrored says whether no tracking document is behind; a server that is still
// starting has no answer.
func (r *round) mirrored(ctx context.Context) bool {
	conn, err := pgx.Connect(ctx, r.rig.Ledger.URL)
	if err != nil {
		return false
	}
	defer conn.Close(context.WithoutCancel(ctx))
	behind := -1
	err = conn.QueryRow(ctx, `SELECT count(*) FROM migration WHERE mirrored < changed OR finished_at IS NULL`).Scan(&behind)
	return err == nil && behind == 0
}

func (r *round) checkMove(conn *pgx.Conn, m *move) (faults []string) {
	r.t.Helper()
	report, err := tree.Compare(r.rig.Files(m.user), m.cozy.Files(rig.TargetDir))
	if err != nil {
		return []string{fmt.Sprintf("compare: %v", err)}
	}
	if report.Differences() > 0 || report.FilesCompared != r.size.files {
		var table strings.Builder
		_ = report.WriteTable(&table) // to memory
		faults = append(faults, fmt.Sprintf("%d files were compared, of %d; source and target differ:\n%s", report.FilesCompared, r.size.files, table.String()))
	}
	files, bytes := int64(report.Target.Files), report.Target.Bytes
	folders := int64(report.Target.Folders + 1) // and the root
	want := sums{
		State: "completed", Mirrored: true, FilesTotal: files, FilesDone: files,
		FoldersTotal: folders, FoldersListed: folders, BytesTotal: bytes, BytesDone: bytes,
	}
	if diff := cmp.Diff(want, r.sums(conn, m.id)); diff != "" {
		faults = append(faults, "ledger and target (-want +got):\n"+diff)
	}
	if diff := cmp.Diff(want, r.recount(conn, m.id)); diff != "" {
		faults = append(faults, "the ledger's rows and the target (-want +got):\n"+diff)
	}
	if diff := cmp.Diff(want.tracking(), tracked(m.tracking(r.t))); diff != "" {
		faults = append(faults, "tracking document and target (-want +got):\n"+diff)
	}
	return faults
}

// sums reads what the ledger counts.
func (r *round) sums(conn *pgx.Conn, id string) sums {
	r.t.Helper()
	return row[sums](r, conn, `
		SELECT state, lease_owner IS NOT NULL AS leased, mirrored = changed AS mirrored,
			files_total, files_done, files_failed, files_skipped, folders_total, folders_listed, bytes_total, bytes_done
		FROM migration WHERE id = $1`, id)
}

// recount adds the ledger's rows up anew.
func (r *round) recount(conn *pgx.Conn, id string) sums {
	r.t.Helper()
	return row[sums](r, conn, `
		SELECT m.state, m.lease_owner IS NOT NULL AS leased, m.mirrored = m.changed AS mirrored,
			count(*) AS files_total,
			count(*) FILTER (WHERE f.state = 'done') AS files_done,
			count(*) FILTER (WHERE f.state = 'failed') AS files_failed,
			count(*) FILTER (WHERE f.state = 'skipped') AS files_skipped,
			(SELECT count(*) FROM folder d WHERE d.migration_id = m.id) AS folders_total,
			(SELECT count(*) FROM folder d WHERE d.migration_id = m.id AND d.state = 'listed') AS folders_listed,
			sum(f.size)::bigint AS bytes_total,
			(sum(f.size) FILTER (WHERE f.state = 'done'))::bigint AS bytes_done
		FROM migration m JOIN file f ON f.migration_id = m.id
		WHERE m.id = $1
		GROUP BY m.id`, id)
}

// tracking is the part of a document that the sums decide.
func (s sums) tracking() contract.Tracking {
	return contract.Tracking{Status: contract.Status(s.State), Progress: contract.Progress{
		FilesImported: s.FilesDone, FilesTotal: s.FilesTotal, BytesImported: s.BytesDone, BytesTotal: s.BytesTotal,
	}}
}

// tracked leaves out what the sums do not decide: paths and times.
func tracked(doc contract.Tracking) contract.Tracking {
	got := contract.Tracking{
		Status: doc.Status, Progress: doc.Progress, FailureReason: doc.FailureReason, PauseReason: doc.PauseReason,
		ErrorsTruncatedCount: doc.ErrorsTruncatedCount, SkippedTruncatedCount: doc.SkippedTruncatedCount,
	}
	if len(doc.Errors)+len(doc.Skipped) > 0 {
		got.Errors, got.Skipped = doc.Errors, doc.Skipped
	}
	return got
}

// checkQueues wants nothing left in the broker, dead letters included.
func (r *round) checkQueues() (faults []string) {
	r.t.Helper()
	for _, name := range []string{queue.QueueRequested, queue.QueueCanceled, queue.DeadQueue} {
		var state amqp.Queue
		ok := false
		if !r.becomes(rig.Patience, func(context.Context) bool {
			state, ok = r.rig.Queue(name)
			return ok && state.Messages == 0
		}) {
			faults = append(faults, fmt.Sprintf("queue %s: there %v, with %d messages", name, ok, state.Messages))
		}
	}
	return faults
}

func row[T any](r *round, conn *pgx.Conn, sql string, args ...any) T {
	r.t.Helper()
	rows, err := conn.Query(r.t.Context(), sql, args...)
	if err != nil {
		r.t.Fatalf("query the ledger: %v", err)
	}
	v, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[T])
	if err != nil {
		r.t.Fatalf("query the ledger: %v", err)
	}
	return v
}

func value[T any](r *round, conn *pgx.Conn, sql string) (v T) {
	r.t.Helper()
	if err := conn.QueryRow(r.t.Context(), sql).Scan(&v); err != nil {
		r.t.Fatalf("query the ledger: %v", err)
	}
	return v
}
