package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/exaring/otelpgx"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.opentelemetry.io/otel/trace"

	"example.org/ncm/services/migrator/internal/transfer"
)

// Ceilings of a connection. A statement has none of its own: its context ends at
// the latest with the lease.
const (
	connectTimeout = 5 * time.Second
	keepAlive      = 5 * time.Second
)

// Ledger is the ledger of all migrations. Safe for concurrent use.
type Ledger struct {
	pool *pgxpool.Pool
	only string // the one migration that is handed out; empty: all but those of migrate-once
}

// Only is the same ledger for a worker that serves one migration and no other.
func (l *Ledger) Only(id string) *Ledger { return &Ledger{pool: l.pool, only: id} }

// Open connects lazily: an unreachable database shows at the first statement,
// so that a worker may start before its database. maxConns is the pool's size.
// The error never quotes the URL, which holds a password.
func Open(ctx context.Context, url string, maxConns int32, options ...Option) (*Ledger, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, errors.New("DATABASE_URL is not understood; it is postgres://user:password@host:port/database")
	}
	cfg.MaxConns = maxConns
	cfg.ConnConfig.ConnectTimeout = connectTimeout
	cfg.ConnConfig.DialFunc = (&net.Dialer{KeepAlive: keepAlive}).DialContext
	cfg.ConnConfig.RuntimeParams["application_name"] = "migrator"
	// Pages are read in the order of a key. While a table that grows fast has no
	// statistics yet, the planner would rather collect and sort all that is left.
	cfg.ConnConfig.RuntimeParams["enable_bitmapscan"] = "off"
	for _, o := range options {
		o(cfg)
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open the ledger: %w", classify(err))
	}
	return &Ledger{pool: pool}, nil
}

// Option changes how the database is used.
type Option func(*pgxpool.Config)

// Traced makes a span of each statement that runs within a span. Its name is the
// statement's first word; its arguments are not in it.
func Traced(provider trace.TracerProvider) Option {
	return func(cfg *pgxpool.Config) {
		cfg.ConnConfig.Tracer = otelpgx.NewTracer(
			otelpgx.WithTracerProvider(provider), otelpgx.WithDisableAcquireTracer(), otelpgx.WithQuerySpanNamePrefix(),
			otelpgx.WithDisableSQLStatementInAttributes(), otelpgx.WithDisableConnectionDetailsInAttributes())
	}
}

// Close waits for statements in flight and closes the connections.
func (l *Ledger) Close() { l.pool.Close() }

// Ping asks the database for an answer.
func (l *Ledger) Ping(ctx context.Context) error { return classify(l.pool.Ping(ctx)) }

// exec runs one statement and gives the number of rows it changed.
func (l *Ledger) exec(ctx context.Context, sql string, args pgx.NamedArgs) (int64, error) {
	tag, err := l.pool.Exec(ctx, sql, args)
	return tag.RowsAffected(), classify(err)
}

// one reads one row into a struct by column names; ok is false when there is none.
func one[T any](ctx context.Context, l *Ledger, sql string, args pgx.NamedArgs) (row T, ok bool, err error) {
	rows, err := l.pool.Query(ctx, sql, args)
	if err != nil {
		return row, false, classify(err)
	}
	row, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[T])
	if errors.Is(err, pgx.ErrNoRows) {
		return row, false, nil
	}
	return row, err == nil, classify(err)
}

// many reads rows into structs by column names.
func many[T any](ctx context.Context, l *Ledger, sql string, args pgx.NamedArgs) ([]T, error) {
	rows, err := l.pool.Query(ctx, sql, args)
	if err != nil {
		return nil, classify(err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByName[T])
	return all, classify(err)
}

// classify marks errors that pass when the database is back; others are faults of
// ours. Errors of a context stay what they are.
func classify(err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if !passes(err) {
		return err
	}
	return &transfer.Error{Side: transfer.SideLedger, Class: transfer.Again, Reason: transfer.ReasonUnreachable, Err: err}
}

// passes says whether a statement may succeed when it is repeated. One whose
// commit was cut off is among them: all writes of the ledger may be repeated.
func passes(err error) bool {
	var server *pgconn.PgError
	if !errors.As(err, &server) {
		return cutOff(err)
	}
	for _, class := range []string{
		"08",    // connection
		"53",    // disk full, out of memory, too many connections
		"57P",   // shutdown, crash, cannot connect now
		"40",    // serialization, deadlock
		"55P03", // lock not available
		"57014", // statement timeout
		"25006", // read-only: a standby, or a fail-over under way
		"58",    // I/O
	} {
		if strings.HasPrefix(server.Code, class) {
			return true
		}
	}
	return false
}

// cutOff says whether the connection is to blame rather than the statement.
func cutOff(err error) bool {
	var connect *pgconn.ConnectError
	var network net.Error
	return pgconn.SafeToRetry(err) ||
		errors.As(err, &connect) ||
		errors.As(err, &network) ||
		errors.Is(err, io.EOF) ||
		errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, net.ErrClosed)
}
