package postgres_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"example.org/ncm/services/migrator/internal/postgrestest"
)

// Whoever is called at night copies them.
func TestTheQueriesOfTheRunbooksRun(t *testing.T) {
	t.Parallel()
	docs, err := os.ReadFile("../../../../docs/OPERATIONS.md")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), postgrestest.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	queries := regexp.MustCompile("`(SELECT [^`]+)`").FindAllStringSubmatch(string(docs), -1)
	if len(queries) < 6 {
		t.Errorf("only %d queries were found", len(queries))
	}
	for _, query := range queries {
		if _, err := conn.Exec(t.Context(), strings.ReplaceAll(query[1], "\n", " ")); err != nil {
			t.Errorf("%s: %v", query[1], err)
		}
	}
}
