package postgres_test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"example.org/ncm/services/migrator/internal/postgres"
	"example.org/ncm/services/migrator/internal/postgrestest"
	"example.org/ncm/services/migrator/internal/transfer"
)

func names(files []transfer.File) (all []string) {
	for _, f := range files {
		all = append(all, f.Name)
	}
	return all
}

func TestLargeFilesAreFoundAmongAllOthers(t *testing.T) {
	t.Parallel()
	_, slice, root := begun(t)
	page := transfer.Page{Folder: root, Complete: true}
	for n := range 60 {
		size := int64(transfer.LargeFile - 1)
		if n%20 == 19 {
			size++
		}
		page.Entries = append(page.Entries, transfer.Entry{Name: fmt.Sprintf("%02d", n), Size: size})
	}
	addPage(t, slice, page)
	large := func(after int64, limit int) []transfer.File {
		t.Helper()
		found, err := slice.LargeFiles(t.Context(), after, limit)
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	all := large(0, 10)
	if !slices.Equal(names(all), []string{"19", "39", "59"}) || all[0].FolderTarget != "root-id" {
		t.Errorf("large files %+v", all)
	}
	if got := names(large(all[0].ID, 1)); !slices.Equal(got, []string{"39"}) {
		t.Errorf("after the first, one: %v", got)
	}
	underway, err := slice.Underway(t.Context(), 2)
	slices.SortFunc(underway, func(a, b transfer.File) int { return int(a.ID - b.ID) })
	if got := names(underway); err != nil || !slices.Equal(got, []string{"00", "01", "19", "39"}) {
		t.Errorf("possibly under way %v, error %v", got, err)
	}
	done := transfer.Result{File: all[1], Outcome: transfer.Done, Size: all[1].Size, MD5: []byte("md5"), TargetID: "t"}
	if err := slice.Record(t.Context(), []transfer.Result{done}); err != nil {
		t.Fatal(err)
	}
	if got := names(large(0, 10)); !slices.Equal(got, []string{"19", "59"}) {
		t.Errorf("left: %v", got)
	}
}

// plan is what EXPLAIN says of one step.
type plan struct {
	Node    string  `json:"Node Type"`
	Index   string  `json:"Index Name"`
	Table   string  `json:"Relation Name"`
	Hit     float64 `json:"Shared Hit Blocks"`
	Read    float64 `json:"Shared Read Blocks"`
	Plans   []plan  `json:"Plans"`
	Subplan string  `json:"Subplan Name"`
}

// find gives the first step below p that a condition holds for.
func (p *plan) find(is func(*plan) bool) *plan {
	if is(p) {
		return p
	}
	for i := range p.Plans {
		if found := p.Plans[i].find(is); found != nil {
			return found
		}
	}
	return nil
}

// The few large files are found by their own index, from wherever the reading stands,
// at a cost that does not follow from the others. FAULTS_FULL: of a million files.
func TestLargeFilesAreFoundByAnIndexAmongManyOthers(t *testing.T) {
	t.Parallel()
	if !strings.Contains(postgres.Large, fmt.Sprint(transfer.LargeFile)) {
		t.Fatalf("%s is not about %d bytes", postgres.Large, transfer.LargeFile)
	}
	l := postgrestest.Ledger(t)
	_, slice, root := open(t, l, "m1", "alice", "account", "root")
	addPage(t, slice, transfer.Page{Folder: root, Complete: true})
	many := 100_000
	if os.Getenv("FAULTS_FULL") != "" {
		many = 1_000_000
	}
	pool := l.Pool()
	if _, err := pool.Exec(t.Context(), `ALTER TABLE file SET UNLOGGED`); err != nil {
		t.Fatal(err)
	}
	if _, err := pool.Exec(t.Context(), `
		INSERT INTO file (migration_id, folder_id, name, size, state)
		SELECT 'm1', $1, n::text, CASE WHEN n % ($2::int / 100) = 0 THEN 300000000 ELSE 10000 END, 'pending'
		FROM generate_series(1, $2::int) AS n`, root.ID, many); err != nil {
		t.Fatal(err)
	}
	for _, statistics := range []string{"without statistics", "with statistics"} {
		if statistics == "with statistics" {
			if _, err := pool.Exec(t.Context(), `ANALYZE file`); err != nil {
				t.Fatal(err)
			}
		}
		for _, after := range []int{0, many / 2, many} {
			var text []byte
			if err := pool.QueryRow(t.Context(), `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) `+postgres.SelectLargeFiles,
				pgx.NamedArgs{"id": "m1", "after": after, "limit": 100, "earlier": 20}).Scan(&text); err != nil {
				t.Fatal(err)
			}
			var plans []struct{ Plan plan }
			if err := json.Unmarshal(text, &plans); err != nil {
				t.Fatal(err)
			}
			top := &plans[0].Plan
			batch := top.find(func(p *plan) bool { return p.Subplan == "CTE batch" })
			if batch == nil || batch.find(func(p *plan) bool { return p.Index == "file_large" }) == nil ||
				top.find(func(p *plan) bool { return p.Node == "Seq Scan" && p.Table == "file" }) != nil {
				t.Errorf("%s, after %d: %s", statistics, after, text)
			}
			if blocks := top.Hit + top.Read; blocks > 2000 {
				t.Errorf("%s, after %d: %v blocks were read for 100 files", statistics, after, blocks)
			}
		}
	}
}
