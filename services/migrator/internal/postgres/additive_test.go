package postgres_test

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver pgx
	"github.com/pressly/goose/v3"

	"example.org/ncm/migrations"
	"example.org/ncm/services/migrator/internal/postgrestest"
)

// column is what an older binary relies on.
type column struct {
	Type     string
	Optional bool // may be left out of an INSERT
}

// columns are those of all tables, as table.column.
func columns(ctx context.Context, db *sql.DB) (map[string]column, error) {
	rows, err := db.QueryContext(ctx, `
		SELECT table_name || '.' || column_name, udt_name,
			is_nullable = 'YES' OR column_default IS NOT NULL OR is_identity = 'YES'
		FROM information_schema.columns
		WHERE table_schema = 'public'`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := map[string]column{}
	for rows.Next() {
		var name string
		var c column
		if err := rows.Scan(&name, &c.Type, &c.Optional); err != nil {
			return nil, err
		}
		all[name] = c
	}
	return all, rows.Err()
}

// breaches say what a binary that knows the schema before cannot do with the one
// after: columns that are gone or changed, and new ones that it would have to fill.
func breaches(before, after map[string]column) []string {
	var found []string
	tables := map[string]bool{}
	for name, old := range before {
		tables[table(name)] = true
		now, there := after[name]
		switch {
		case !there:
			found = append(found, name+" is gone")
		case now.Type != old.Type:
			found = append(found, fmt.Sprintf("%s was %s and is %s", name, old.Type, now.Type))
		case old.Optional && !now.Optional:
			found = append(found, name+" has to be given")
		}
	}
	for name, c := range after {
		if _, known := before[name]; !known && tables[table(name)] && !c.Optional {
			found = append(found, name+" is new and has to be given")
		}
	}
	slices.Sort(found)
	return found
}

func table(name string) string {
	before, _, _ := strings.Cut(name, ".")
	return before
}

func openEmpty(t *testing.T) (*sql.DB, *goose.Provider) {
	t.Helper()
	db, err := sql.Open("pgx", postgrestest.EmptyURL(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	p, err := goose.NewProvider(goose.DialectPostgres, db, migrations.FS)
	if err != nil {
		t.Fatal(err)
	}
	return db, p
}

func TestEachSchemaFileOnlyAdds(t *testing.T) {
	t.Parallel()
	db, files := openEmpty(t)
	before := map[string]column{}
	for range files.ListSources() {
		applied, err := files.UpByOne(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		after, err := columns(t.Context(), db)
		if err != nil {
			t.Fatal(err)
		}
		if found := breaches(before, after); len(found) > 0 {
			t.Errorf("%s would break the release before: %v", applied.Source.Path, found)
		}
		before = maps.Clone(after)
	}
	if len(before) == 0 {
		t.Error("the schema has no columns: nothing was compared")
	}
}

func TestASchemaFileThatTakesAwayIsFound(t *testing.T) {
	t.Parallel()
	db, files := openEmpty(t)
	if _, err := files.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	before, err := columns(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range []string{
		`ALTER TABLE file DROP COLUMN etag`,
		`ALTER TABLE file ALTER COLUMN attempts TYPE integer`,
		`ALTER TABLE file ALTER COLUMN mime DROP DEFAULT`,
		`ALTER TABLE file ADD COLUMN owner text NOT NULL`,
		`ALTER TABLE file ADD COLUMN colour text`,
		`CREATE TABLE colour (name text NOT NULL)`,
	} {
		if _, err := db.ExecContext(t.Context(), change); err != nil {
			t.Fatalf("%s: %v", change, err)
		}
	}
	after, err := columns(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"file.attempts was int2 and is int4", "file.etag is gone", "file.mime has to be given", "file.owner is new and has to be given",
	}
	if diff := cmp.Diff(want, breaches(before, after)); diff != "" {
		t.Errorf("breaches (-want +got):\n%s", diff)
	}
}
