package rig

import (
	"context"
	"fmt"
	"net/url"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/testcontainers/testcontainers-go"
)

// template is the database that every test's database starts as a copy of.
const template = "ncm_template"

type postgres struct{ server }

func startPostgres(ctx context.Context, image, session string) (*postgres, error) {
	s, err := serve(ctx, testcontainers.ContainerRequest{
		Image: image,
		Env:   map[string]string{"POSTGRES_USER": serverUser, "POSTGRES_PASSWORD": ServerPassword},
		// Nothing has to outlive the container.
		Cmd: []string{"postgres", "-c", "fsync=off", "-c", "full_page_writes=off", "-c", "max_connections=400"},
	}, session, "5432/tcp", func(ctx context.Context, addr string) error {
		return (&postgres{server{addr: addr}}).run(ctx, "SELECT 1")
	})
	if err != nil {
		return nil, err
	}
	return &postgres{s}, nil
}

func (p *postgres) url(database string) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(serverUser, ServerPassword), Host: p.addr, Path: database}
	return u.String()
}

// run executes one statement as the server's operator.
func (p *postgres) run(ctx context.Context, sql string) error {
	conn, err := pgx.Connect(ctx, p.url(serverUser))
	if err != nil {
		return fmt.Errorf("connect to PostgreSQL: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, sql); err != nil {
		return fmt.Errorf("run %q: %w", sql, err)
	}
	return nil
}

// makeTemplate lets the migrator itself bring the schema in.
func (p *postgres) makeTemplate(ctx context.Context, migrator string) error {
	if err := p.run(ctx, "CREATE DATABASE "+template); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, migrator, "schema")
	cmd.Env = []string{"DATABASE_URL=" + p.url(template)}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("apply the schema: %w\n%s", err, out)
	}
	return nil
}

// Ledger is one test's database.
type Ledger struct {
	URL  string
	conn *pgx.Conn
}

func (p *postgres) newLedger(t *testing.T) *Ledger {
	t.Helper()
	name := "t" + strings.ReplaceAll(uuid.NewString(), "-", "")
	if err := p.run(t.Context(), "CREATE DATABASE "+name+" TEMPLATE "+template); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), p.url(name))
	if err != nil {
		t.Fatalf("connect to the ledger: %v", err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return &Ledger{URL: p.url(name), conn: conn}
}

// Value asks for one value, such as a count; a query without a row gives the zero
// value. Like all of Ledger it is for one goroutine at a time.
func Value[T any](t testing.TB, l *Ledger, sql string, args ...any) T {
	t.Helper()
	rows, err := l.conn.Query(t.Context(), sql, args...)
	if err != nil {
		t.Fatalf("query %q: %v", sql, err)
	}
	values, err := pgx.CollectRows(rows, pgx.RowTo[T])
	if err != nil {
		t.Fatalf("query %q: %v", sql, err)
	}
	if len(values) == 0 {
		return *new(T)
	}
	return values[0]
}

// Dump gives every row of every table as text, one line each.
func (l *Ledger) Dump(t testing.TB) string {
	t.Helper()
	var out strings.Builder
	for table := range strings.FieldsSeq(Value[string](t, l, `
		SELECT coalesce(string_agg(quote_ident(table_schema) || '.' || quote_ident(table_name), ' '), '')
		FROM information_schema.tables
		WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')`)) {
		rows := Value[string](t, l, "SELECT coalesce(string_agg(r::text, E'\\n'), '') FROM "+table+" r")
		fmt.Fprintf(&out, "%s:\n%s\n", table, rows)
	}
	return out.String()
}
