package postgres_test

import (
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"

	"example.org/ncm/services/migrator/internal/postgres"
	"example.org/ncm/services/migrator/internal/postgrestest"
)

func TestWorkersWaitForTheirSchemaAndAcceptANewerOne(t *testing.T) {
	t.Parallel()
	url := postgrestest.EmptyURL(t)
	ledger, err := postgres.Open(t.Context(), url, 2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ledger.Close)

	if err := ledger.CheckSchema(t.Context()); !errors.Is(err, postgres.ErrSchemaBehind) {
		t.Errorf("an empty database: %v, want ErrSchemaBehind", err)
	}
	if _, err := postgres.ApplySchema(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	if err := ledger.CheckSchema(t.Context()); err != nil {
		t.Errorf("the schema of this binary: %v, want none", err)
	}
	exec(t, url, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (999999, true)`)
	if err := ledger.CheckSchema(t.Context()); err != nil {
		t.Errorf("a newer schema: %v, want none", err)
	}
	exec(t, url, `DELETE FROM goose_db_version WHERE version_id > 0`)
	if err := ledger.CheckSchema(t.Context()); !errors.Is(err, postgres.ErrSchemaBehind) {
		t.Errorf("a schema file missing: %v, want ErrSchemaBehind", err)
	}
}

func exec(t *testing.T, url, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}
