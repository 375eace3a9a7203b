package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"example.org/ncm/migrations"
)

// ErrSchemaBehind says that the ledger lacks schema files that this binary needs.
var ErrSchemaBehind = errors.New("the ledger's schema is behind; run migrator schema")

// undefinedTable is PostgreSQL's code where no schema was ever applied.
const undefinedTable = "42P01"

// CheckSchema gives ErrSchemaBehind until the ledger has every schema file that
// this binary knows. A newer schema is fine: schema files only add.
func (l *Ledger) CheckSchema(ctx context.Context) error {
	newest, err := newestSchema()
	if err != nil {
		return err
	}
	var applied int64
	err = l.pool.QueryRow(ctx, `
		SELECT coalesce(max(version_id), 0)
		FROM goose_db_version
		WHERE is_applied`).Scan(&applied)
	var server *pgconn.PgError
	switch {
	case errors.As(err, &server) && server.Code == undefinedTable:
		return ErrSchemaBehind
	case err != nil:
		return classify(err)
	case applied < newest:
		return ErrSchemaBehind
	}
	return nil
}

// newestSchema is the number of the last schema file.
func newestSchema() (int64, error) {
	files, err := fs.Glob(migrations.FS, "*.sql")
	if err != nil || len(files) == 0 {
		return 0, fmt.Errorf("find the schema files: %w", errors.Join(err, fs.ErrNotExist))
	}
	number, err := goose.NumericComponent(files[len(files)-1])
	if err != nil {
		return 0, fmt.Errorf("read the schema files: %w", err)
	}
	return number, nil
}

// ApplySchema brings the database to the newest schema and gives the files that
// were applied. Several callers at once wait for one another.
func ApplySchema(ctx context.Context, url string) ([]string, error) {
	var applied []string
	err := withProvider(url, func(p *goose.Provider) error {
		results, err := p.Up(ctx)
		for _, r := range results {
			applied = append(applied, r.Source.Path)
		}
		if err != nil {
			return fmt.Errorf("apply the schema: %w", err)
		}
		return nil
	})
	return applied, err
}

func withProvider(url string, do func(*goose.Provider) error) (err error) {
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		return errors.New("DATABASE_URL is not understood; it is postgres://user:password@host:port/database")
	}
	db := stdlib.OpenDB(*cfg)
	defer func() { err = errors.Join(err, db.Close()) }()
	p, err := newProvider(db)
	if err != nil {
		return err
	}
	return do(p)
}

func newProvider(db *sql.DB) (*goose.Provider, error) {
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return nil, fmt.Errorf("prepare the schema's lock: %w", err)
	}
	p, err := goose.NewProvider(goose.DialectPostgres, db, migrations.FS, goose.WithSessionLocker(locker))
	if err != nil {
		return nil, fmt.Errorf("read the schema files: %w", err)
	}
	return p, nil
}
