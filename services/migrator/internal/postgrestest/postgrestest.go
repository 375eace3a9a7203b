// Package postgrestest gives each test a ledger database of its own on a real
// server, which TEST_DATABASE_URL names.
package postgrestest

import (
	"context"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"example.org/ncm/services/migrator/internal/postgres"
)

// URL gives the URL of a fresh database with the newest schema.
func URL(tb testing.TB) string {
	tb.Helper()
	url := EmptyURL(tb)
	if _, err := postgres.ApplySchema(tb.Context(), url); err != nil {
		tb.Fatal(err)
	}
	return url
}

// EmptyURL gives the URL of a fresh database without a schema. It is dropped when
// the test ends. Without a server the test is skipped, under CI it fails.
func EmptyURL(tb testing.TB) string {
	tb.Helper()
	server := os.Getenv("TEST_DATABASE_URL")
	if server == "" {
		if os.Getenv("CI") != "" {
			tb.Fatal("TEST_DATABASE_URL is not set: CI has to run the tests of the ledger")
		}
		tb.Skip("TEST_DATABASE_URL is not set: this test needs a PostgreSQL server; make test starts one")
	}
	name := "test_" + uuid.NewString()
	onServer(tb, server, `CREATE DATABASE `+pgx.Identifier{name}.Sanitize())
	tb.Cleanup(func() {
		onServer(tb, server, `DROP DATABASE `+pgx.Identifier{name}.Sanitize()+` WITH (FORCE)`)
	})
	u, err := url.Parse(server)
	if err != nil {
		tb.Fatalf("read TEST_DATABASE_URL: %v", err)
	}
	u.Path = "/" + name
	return u.String()
}

// Ledger gives a ledger on a fresh database.
func Ledger(tb testing.TB) *postgres.Ledger {
	tb.Helper()
	return Open(tb, URL(tb))
}

// Open gives a ledger on a database of URL, until the test ends.
func Open(tb testing.TB, url string) *postgres.Ledger {
	tb.Helper()
	l, err := postgres.Open(tb.Context(), url, 8)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(l.Close)
	return l
}

func onServer(tb testing.TB, server, statement string) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), 30*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		tb.Fatalf("connect to the test server: %v", err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, statement); err != nil {
		tb.Fatalf("%s: %v", statement, err)
	}
}
