package postgres_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5"

	"example.org/ncm/services/migrator/internal/postgres"
	"example.org/ncm/services/migrator/internal/transfer"
)

// lockRow locks the migration's row, so that a page has to wait for it.
func lockRow(t *testing.T, l *postgres.Ledger) pgx.Tx {
	t.Helper()
	tx, err := l.Pool().Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `SELECT FROM migration WHERE id = 'm1' FOR UPDATE`); err != nil {
		t.Fatal(err)
	}
	return tx
}

func ofOneFile(folder transfer.Folder, name string) transfer.Page {
	return transfer.Page{Folder: folder, Entries: []transfer.Entry{{Name: name, Size: 1}}}
}

// together adds pages of one file each while the migration's row is locked: the first
// alone, the others while it waits for that. It gives their errors.
func together(t *testing.T, l *postgres.Ledger, s *postgres.Slice, root transfer.Folder, meanwhile string, names ...string) []error {
	t.Helper()
	tx := lockRow(t, l)
	errs := make([]error, len(names))
	var adding sync.WaitGroup
	for i, name := range names {
		adding.Go(func() { errs[i] = s.AddPage(t.Context(), ofOneFile(root, name)) })
		waitFor(t, func() bool { return s.WaitingPages() == i && blocked(t, l) == 1 })
	}
	if _, err := tx.Exec(t.Context(), meanwhile); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	adding.Wait()
	return errs
}

// blocked is how many statements wait for a lock.
func blocked(t *testing.T, l *postgres.Ledger) (n int) {
	t.Helper()
	if err := l.Pool().QueryRow(t.Context(), `
		SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func waitFor(t *testing.T, done func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	enough := time.After(20 * time.Second)
	for !done() {
		select {
		case <-tick.C:
		case <-enough:
			t.Fatal("the pages do not wait for each other")
		}
	}
}

func TestPagesThatWaitAreWrittenTogether(t *testing.T) {
	t.Parallel()
	l, slice, root := begun(t)
	for i, err := range together(t, l, slice, root, `SELECT`, "a", "b", "c", "d", "e") {
		if err != nil {
			t.Errorf("page %d: %v", i, err)
		}
	}
	if got := names(files(t, slice, 0)); !slices.Equal(got, []string{"a", "b", "c", "d", "e"}) {
		t.Errorf("files in the ledger: %v", got)
	}
	var transactions, total int
	if err := l.Pool().QueryRow(t.Context(), `
		SELECT count(DISTINCT f.xmin::text), min(files_total) FROM file f JOIN migration m ON m.id = f.migration_id`).Scan(&transactions, &total); err != nil {
		t.Fatal(err)
	}
	if transactions != 2 || total != 5 {
		t.Errorf("%d files are counted, in %d transactions, want 5 in 2", total, transactions)
	}
}

// A page that no ledger takes costs those that were written with it nothing.
func TestAPageThatIsRefusedFailsAlone(t *testing.T) {
	t.Parallel()
	l, slice, root := begun(t)
	errs := together(t, l, slice, root, `SELECT`, "a", "b", "c\x00", "d")
	for i, err := range errs {
		if (err != nil) != (i == 2) {
			t.Errorf("page %d: %v", i, err)
		}
	}
	if got := names(files(t, slice, 0)); !slices.Equal(got, []string{"a", "b", "d"}) {
		t.Errorf("files in the ledger: %v", got)
	}
}

func TestPagesThatWaitAreRefusedWithTheirLease(t *testing.T) {
	t.Parallel()
	l, slice, root := begun(t)
	for i, err := range together(t, l, slice, root, `UPDATE migration SET lease_term = lease_term + 1`, "a", "b", "c") {
		if !errors.Is(err, transfer.ErrLeaseLost) {
			t.Errorf("page %d: %v", i, err)
		}
	}
	if got := files(t, slice, 0); len(got) > 0 {
		t.Errorf("files in the ledger: %v", names(got))
	}
}

// Whoever writes for others may have to stop before them.
func TestWhoWritesForOthersMayStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		write := postgres.NewGroupCommit()
		begin := func(ctx context.Context, name string, do func(names []any) error) <-chan error {
			over := make(chan error, 1)
			go func() {
				over <- write(ctx, pgx.NamedArgs{"name": name}, func(all []pgx.NamedArgs) error {
					var names []any
					for _, args := range all {
						names = append(names, args["name"])
					}
					return do(names)
				})
			}()
			synctest.Wait()
			return over
		}
		release := make(chan struct{})
		first := begin(t.Context(), "first", func([]any) error { <-release; return nil })
		stopped, stop := context.WithCancel(t.Context())
		stops := begin(stopped, "stops", func(names []any) error {
			if !slices.Equal(names, []any{"stops", "goes on"}) {
				t.Errorf("written together: %v", names)
			}
			stop()
			return stopped.Err()
		})
		goesOn := begin(t.Context(), "goes on", func(names []any) error {
			if !slices.Equal(names, []any{"goes on"}) {
				t.Errorf("written after it: %v", names)
			}
			return nil
		})
		close(release)
		if err := errors.Join(<-first, <-goesOn); err != nil {
			t.Errorf("others fail: %v", err)
		}
		if err := <-stops; !errors.Is(err, context.Canceled) {
			t.Errorf("its own error: %v", err)
		}
	})
}

func TestPagesGoOnWithoutOneThatNobodyWaitsFor(t *testing.T) {
	t.Parallel()
	l, slice, root := begun(t)
	tx := lockRow(t, l)
	add := func(ctx context.Context, name string) <-chan error {
		over := make(chan error, 1)
		go func() { over <- slice.AddPage(ctx, ofOneFile(root, name)) }()
		return over
	}
	first := add(t.Context(), "first")
	waitFor(t, func() bool { return blocked(t, l) == 1 })
	stopped, stop := context.WithCancel(t.Context())
	leaves := add(stopped, "leaves")
	waitFor(t, func() bool { return slice.WaitingPages() == 1 })
	stays := add(t.Context(), "stays")
	waitFor(t, func() bool { return slice.WaitingPages() == 2 })
	stop()
	if err := <-leaves; !errors.Is(err, context.Canceled) {
		t.Errorf("a page whose context ended: %v", err)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(<-first, <-stays); err != nil {
		t.Errorf("pages that wait still: %v", err)
	}
	got := names(files(t, slice, 0))
	if !slices.Contains(got, "first") || !slices.Contains(got, "stays") {
		t.Errorf("files in the ledger: %v", got)
	}
}
