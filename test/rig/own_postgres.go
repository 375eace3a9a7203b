package rig

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/testcontainers/testcontainers-go"
)

const postgresPort = "5432/tcp"

// OwnPostgres gives backends with a PostgreSQL of the test's own.
func (b *Backends) OwnPostgres(t *testing.T) (*Backends, *Own) {
	t.Helper()
	b.ready(t)
	images, err := findImages(b.root)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), startWithin)
	defer cancel()
	p, err := startPostgres(ctx, images.postgres, b.reaper.session)
	if err != nil {
		t.Fatal(err)
	}
	o := own(t, &p.server, postgresPort)
	if err := p.makeTemplate(ctx, b.bin.migrator); err != nil {
		t.Fatal(err)
	}
	return b.with(p, b.rabbitmq), o
}

// SmallDisk is where the data of a SmallPostgres is; all else has room.
const SmallDisk = "/small"

// SmallPostgres is OwnPostgres whose ledgers are on a disk of a number of
// megabytes. What is on it does not outlive a restart.
func (b *Backends) SmallPostgres(t *testing.T, megabytes int) (*Backends, *Own) {
	t.Helper()
	b.ready(t)
	images, err := findImages(b.root)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), startWithin)
	defer cancel()
	s, err := serve(ctx, testcontainers.ContainerRequest{
		Image: images.postgres,
		Env:   map[string]string{"POSTGRES_USER": serverUser, "POSTGRES_PASSWORD": ServerPassword},
		Cmd:   []string{"postgres", "-c", "fsync=off", "-c", "full_page_writes=off"},
		Tmpfs: map[string]string{SmallDisk: fmt.Sprintf("rw,size=%dm,mode=0777", megabytes)},
	}, b.reaper.session, postgresPort, func(ctx context.Context, addr string) error {
		return (&postgres{server{addr: addr}}).run(ctx, "SELECT 1")
	})
	if err != nil {
		t.Fatal(err)
	}
	o := own(t, &s, postgresPort)
	p := &postgres{s}
	o.Run(t, "install", "-d", "-o", "postgres", SmallDisk+"/data")
	if err := p.run(ctx, "CREATE TABLESPACE small LOCATION '"+SmallDisk+"/data'"); err != nil {
		t.Fatal(err)
	}
	if err := p.makeTemplate(ctx, b.bin.migrator); err != nil {
		t.Fatal(err)
	}
	if err := p.run(ctx, "ALTER DATABASE "+template+" SET TABLESPACE small"); err != nil {
		t.Fatal(err)
	}
	return b.with(p, b.rabbitmq), o
}

// Exec changes something in the ledger's database as its operator.
func (l *Ledger) Exec(t testing.TB, sql string, args ...any) {
	t.Helper()
	ctx, cancel := limited(t)
	defer cancel()
	if _, err := l.conn.Exec(ctx, sql, args...); err != nil {
		t.Fatalf("run %q: %v", sql, err)
	}
}

// Reconnect is needed after a restart of the server.
func (l *Ledger) Reconnect(t testing.TB) {
	t.Helper()
	ctx, cancel := limited(t)
	defer cancel()
	_ = l.conn.Close(ctx)
	conn, err := pgx.Connect(ctx, l.URL)
	if err != nil {
		t.Fatalf("connect to the ledger: %v", err)
	}
	l.conn = conn
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
}

// LedgerAddr is where the ledger's server listens.
func (r *Rig) LedgerAddr() string { return r.backends.postgres.addr }

// LedgerURL is the ledger's by another way. Its connections have a setting "rig.pod"
// with the name given.
func (r *Rig) LedgerURL(addr, pod string) string {
	return strings.Replace(r.Ledger.URL, r.LedgerAddr(), addr, 1) + "?options=-c%20" + url.QueryEscape("rig.pod="+pod)
}

// NewLink is a way to a server that the test may cut.
func NewLink(t testing.TB, server string) *Link {
	t.Helper()
	return newLink(t, server)
}
