package postgres_test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.org/ncm/services/migrator/internal/postgres"
	"example.org/ncm/services/migrator/internal/postgrestest"
	"example.org/ncm/services/migrator/internal/transfer"
)

// node is a part of a plan that was executed, as auto_explain tells it.
type node struct {
	Type    string  `json:"Node Type"`
	Table   string  `json:"Relation Name"`
	Index   string  `json:"Index Name"`
	Rows    float64 `json:"Actual Rows"` // of one loop
	Removed float64 `json:"Rows Removed by Filter"`
	Loops   float64 `json:"Actual Loops"`
	Plans   []node
}

// executed is a statement with the plan that it was executed by.
type executed struct {
	Query string `json:"Query Text"`
	Plan  node
}

// flaws are the parts of a plan that cost more the more entries a ledger has.
func (n node) flaws(most float64) (found []string) {
	if n.Type == "Seq Scan" && (n.Table == "file" || n.Table == "folder" || n.Table == "notice") {
		found = append(found, "reads all of "+n.Table)
	}
	if touched := (n.Rows + n.Removed) * max(n.Loops, 1); touched > most {
		found = append(found, fmt.Sprintf("%s %s %s touches %.0f rows", n.Type, n.Table, n.Index, touched))
	}
	for _, p := range n.Plans {
		found = append(found, p.flaws(most)...)
	}
	return found
}

// plans collects those of all statements of a ledger. Safe for concurrent use.
type plans struct {
	mu   sync.Mutex
	seen []executed
	err  error
}

// collect has the server send each plan with the answer.
func (p *plans) collect(cfg *pgxpool.Config) {
	for name, value := range map[string]string{
		"session_preload_libraries": "auto_explain", "client_min_messages": "log",
		"auto_explain.log_min_duration": "0", "auto_explain.log_format": "json",
		"auto_explain.log_analyze": "on", "auto_explain.log_timing": "off",
	} {
		cfg.ConnConfig.RuntimeParams[name] = value
	}
	cfg.ConnConfig.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		_, plan, ok := strings.Cut(n.Message, "plan:\n")
		if !ok {
			return
		}
		var e executed
		p.mu.Lock()
		defer p.mu.Unlock()
		if err := json.Unmarshal([]byte(plan), &e); err != nil {
			p.err = fmt.Errorf("plan %s: %w", plan, err)
			return
		}
		p.seen = append(p.seen, e)
	}
}

// take gives what was collected since the last call.
func (p *plans) take(t *testing.T) []executed {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		t.Fatal(p.err)
	}
	seen := p.seen
	p.seen = nil
	return seen
}

const (
	ledgerFolder = 200 // files in each folder of a large ledger
	earlierTrees = 25  // more than a rerun looks at
)

// fill gives the migrations of a LIKE pattern their folders and files; the state of
// these is an SQL expression.
func fill(id, state string, folders int) []string {
	return []string{
		fmt.Sprintf(`INSERT INTO folder (migration_id, name, path, target_id, state)
			SELECT id, '', '', 'root', 'listed' FROM migration WHERE id LIKE '%s' ON CONFLICT DO NOTHING`, id),
		fmt.Sprintf(`INSERT INTO folder (migration_id, parent_id, name, path, target_id, etag, state)
			SELECT migration_id, id, 'd' || n, 'd' || n, 't' || n, 'e' || n, 'listed'
			FROM folder, generate_series(1, %d) AS n WHERE migration_id LIKE '%s' AND path = ''`, folders, id),
		fmt.Sprintf(`INSERT INTO file (migration_id, folder_id, name, size, etag, source_id, state, target_id, md5)
			SELECT migration_id, id, 'file ' || n, 10000, 'e' || n, path || n, %s,
				'target', '\x0123'
			FROM folder, generate_series(1, %d) AS n WHERE migration_id LIKE '%s' AND path <> ''
			ORDER BY id, n`, state, ledgerFolder, id),
	}
}

// others fills a ledger with earlier migrations of the same account, each with a few of
// its files, and many others that are over, one of them large.
func others(folders int) []string {
	over := `INSERT INTO migration (id, instance, account_id, source_path, requested_at, state, started_at, finished_at, source_key,
			files_total, files_done, mirror_due_at, password_due_at)
		SELECT '%s' || n, %s, 'account', '/', now(), 'completed', now(), now(), 'account', 1, 1, NULL, NULL FROM generate_series(1, %d) AS n`
	return slices.Concat(
		[]string{fmt.Sprintf(over, "over", `'instance' || n`, 1000), fmt.Sprintf(over, "earlier", `'alice'`, earlierTrees)},
		fill("earlier%", `'done'`, max(1, folders/50)),
		fill("over1", `'done'`, folders),
		notices("over1", folders),
		notices("over2", folders),
	)
}

// large fills a ledger with a migration that is half done.
func large(folders int) []string {
	return slices.Concat(
		fill("large", fmt.Sprintf(`CASE WHEN substr(path, 2)::int <= %d THEN 'done' ELSE 'pending' END`, folders/2), folders),
		[]string{
			fmt.Sprintf(`INSERT INTO folder (migration_id, parent_id, name, path, target_id, state)
				SELECT migration_id, id, 'x' || n, 'x' || n, 'x' || n, CASE WHEN n %% 2 = 0 THEN 'pending' ELSE 'listed' END
				FROM folder, generate_series(1, %d) AS n WHERE migration_id = 'large' AND path = ''`, folders*50),
			fmt.Sprintf(`UPDATE migration SET files_total = %d, files_done = %d WHERE id = 'large'`,
				folders*ledgerFolder, folders/2*ledgerFolder),
		},
		notices("large", folders),
	)
}

func notices(id string, folders int) []string {
	return []string{fmt.Sprintf(`INSERT INTO notice (migration_id, kind, path, reason)
		SELECT '%s', CASE WHEN n %% 2 = 0 THEN 'failed' ELSE 'skipped' END, 'x', 'x' FROM generate_series(1, %d) AS n`, id, folders*50)}
}

func execute(t *testing.T, url string, statements ...string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	for _, s := range statements {
		if _, err := conn.Exec(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// TestStatementsTouchNoMoreRowsInALargeLedger: what is done for each batch, page or
// second finds its rows by keys, however many there are beside them, and whatever the
// planner knows of them. Statistics of before are the usual ones: those of a migration
// that has just begun are never there. LEDGER_FULL=1 does it with 1,000,000 entries
// instead of 20,000.
func TestStatementsTouchNoMoreRowsInALargeLedger(t *testing.T) {
	t.Parallel()
	total := 100
	if os.Getenv("LEDGER_FULL") == "1" {
		total = 5000
	}
	const without, before, with = "without statistics", "with statistics of before", "with statistics"
	for _, when := range []string{without, before, with} {
		t.Run(when, func(t *testing.T) {
			t.Parallel()
			url := postgrestest.URL(t)
			execute(t, url, `ALTER TABLE file SET (autovacuum_enabled = off)`, `ALTER TABLE folder SET (autovacuum_enabled = off)`)
			execute(t, url, others(total)...)
			if when == before {
				execute(t, url, `ANALYZE`)
			}
			touchNoMoreRows(t, url, func() {
				execute(t, url, large(total)...)
				if when == with {
					execute(t, url, `ANALYZE`)
				}
			})
		})
	}
}

// touchNoMoreRows does all that is done for a migration, after it was filled.
func touchNoMoreRows(t *testing.T, url string, filled func()) {
	t.Helper()
	var seen plans
	l, err := postgres.Open(t.Context(), url, 4, seen.collect)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	lease, slice, root := open(t, l, "large", "alice", "account", "root")
	filled()

	const batch = 100
	work := func() {
		found, err := slice.Folders(t.Context(), 0, batch)
		if err != nil || len(found) == 0 {
			t.Fatalf("folders: %d, %v", len(found), err)
		}
		first, err := slice.Files(t.Context(), middle(t, url), batch)
		if err != nil || len(first) != batch {
			t.Fatalf("files: %d, %v", len(first), err)
		}
		results := make([]transfer.Result, 0, batch)
		for _, f := range first {
			results = append(results, transfer.Result{File: f, Outcome: transfer.Postponed, Reason: transfer.ReasonBusy})
		}
		page := transfer.Page{Folder: root}
		for n := range ledgerFolder {
			page.Entries = append(page.Entries, transfer.Entry{Name: fmt.Sprint("new ", n, time.Now().UnixNano()), Size: 1, Folder: n%100 == 0})
		}
		_, behindErr := l.Behind(t.Context(), time.Hour, 20)
		_, _, _, claimErr := l.Claim(t.Context(), owner, time.Hour)
		_, renewErr := l.Renew(t.Context(), lease, time.Hour)
		_, beforeErr := l.CopiedBefore(t.Context(), lease.Migration)
		s, _, snapshotErr := l.Snapshot(t.Context(), lease.ID)
		_, noticesErr := l.Notices(t.Context(), lease.ID, transfer.Failed, batch)
		_, lastErr := slice.LastFile(t.Context())
		_, folderErr := slice.Folder(t.Context(), found[0].ID)
		_, aboveErr := slice.ETagAbove(t.Context(), first[0].FolderID, "")
		for name, err := range map[string]error{
			"record": slice.Record(t.Context(), results), "page": slice.AddPage(t.Context(), page),
			"suspect": slice.Suspect(t.Context(), first[0].ID, "bad"), "target": slice.SetTarget(t.Context(), page.Folder),
			"failed folder": slice.RecordFolder(t.Context(), transfer.FolderResult{Folder: found[0], Outcome: transfer.Postponed, Reason: transfer.ReasonBusy}),
			"mirrored":      l.Mirrored(t.Context(), lease.ID, lease.Term, s.Changed),
			"behind":        behindErr, "claim": claimErr, "renew": renewErr, "before": beforeErr, "snapshot": snapshotErr, "notices": noticesErr, "last": lastErr, "folder": folderErr, "above": aboveErr,
		} {
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
	seen.take(t)
	for range 6 { // from the sixth time on a plan may be for any arguments
		work()
	}
	executed := seen.take(t)
	if len(executed) < 6*17 {
		t.Fatalf("only %d plans were seen", len(executed))
	}
	// A page is the most that one statement is about; a rerun looks for each file of a
	// batch in each of twenty earlier migrations.
	const most = 20*batch + ledgerFolder
	for _, e := range executed {
		for _, flaw := range e.Plan.flaws(most) {
			t.Errorf("%s:\n%s", flaw, e.Query)
		}
	}
}

// middle is an id in the midst of the large migration, behind all that is done.
func middle(t *testing.T, url string) (id int64) {
	t.Helper()
	one(t, url, `SELECT id FROM file WHERE migration_id = 'large' AND state = 'done' ORDER BY id DESC LIMIT 1`, &id)
	return id
}

func one(t *testing.T, url, query string, into ...any) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if err := conn.QueryRow(t.Context(), query).Scan(into...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

// TestResultsAreWrittenInPlace: a batch that gives all files of a page of the table
// their results finds room for them there, so that no index is touched.
func TestResultsAreWrittenInPlace(t *testing.T) {
	t.Parallel()
	url := postgrestest.URL(t)
	l := postgrestest.Open(t, url)
	_, slice, root := open(t, l, "m1", "alice", "account", "root")
	page := transfer.Page{Folder: root, Complete: true}
	const n = 2000
	for i := range n {
		page.Entries = append(page.Entries, transfer.Entry{
			Name: fmt.Sprintf("holiday in the mountains %04d.jpeg", i), Size: 10_000, SourceID: fmt.Sprintf("%08docabcdefghij", i),
			ETag: fmt.Sprintf("%032x", i), MIME: "image/jpeg", ModTime: time.Now(), Checksums: "SHA1:2fd4e1c67a2d28fced849ee1bb76e7391b93eb12",
		})
	}
	addPage(t, slice, page)
	before := int64(0)
	one(t, url, `SELECT pg_table_size('file')`, &before)
	for after := int64(0); ; {
		batch, err := slice.Files(t.Context(), after, 200)
		if err != nil {
			t.Fatal(err)
		}
		if len(batch) == 0 {
			break
		}
		var results []transfer.Result
		for _, f := range batch {
			results = append(results, transfer.Result{
				File: f, Outcome: transfer.Done, Size: f.Size, MD5: []byte("0123456789abcdef"), TargetID: strings.Repeat("0", 32),
			})
			after = f.ID
		}
		if err := slice.Record(t.Context(), results); err != nil {
			t.Fatal(err)
		}
	}
	var done, after int64
	one(t, url, `SELECT count(*), pg_table_size('file') FROM file WHERE state = 'done'`, &done, &after)
	if done != n || after > before+before/20 {
		t.Errorf("%d files of %d have a result; the table grew from %d to %d bytes", done, n, before, after)
	}
}
