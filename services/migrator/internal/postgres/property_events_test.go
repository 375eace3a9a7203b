package postgres_test

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"example.org/ncm/services/migrator/internal/transfer"
)

// What may happen, and what each event must lead to.

func (e *events) drawID() (id, instance string) {
	n := rapid.IntRange(0, 4).Draw(e.T, "migration")
	return fmt.Sprint("m", n), fmt.Sprint("instance", n%2)
}

func (e *events) admit() {
	id, instance := e.drawID()
	known, canceled := e.row(id), e.count(`SELECT count(*) FROM cancellation WHERE migration_id = $1`, id) > 0
	others := e.count(`SELECT count(*) FROM migration WHERE instance = $1 AND finished_at IS NULL`, instance) > 0
	want, state := transfer.Admitted, "pending"
	switch {
	case known != nil:
		want, state = transfer.AlreadyKnown, known.State
	case canceled:
		want, state = transfer.AlreadyOver, "canceled"
	case others:
		want, state = transfer.AlreadyActive, "failed"
	}
	before := e.dump()
	got, err := e.ledger.Admit(e.ctx, migration(id, instance), time.Unix(1, 0))
	if err != nil || got != want {
		e.Fatalf("admission of %s is %s, %v; want %s", id, got, err, want)
	}
	if known != nil && e.dump() != before {
		e.Fatalf("a message of %s that came twice changed something", id)
	}
	if r := e.row(id); r.State != state {
		e.Fatalf("%s is %s after its admission as %s", id, r.State, got)
	}
}

// cancel also comes from an instance that the migration does not belong to.
func (e *events) cancel() {
	id, instance := e.drawID()
	known, before := e.row(id), e.dump()
	foreign := known != nil && rapid.Bool().Draw(e.T, "foreign")
	if foreign {
		instance = "mallory"
	}
	ours, err := e.ledger.Cancel(e.ctx, id, instance)
	if err != nil || ours == foreign {
		e.Fatalf("cancel %s as %s: ours %v, %v", id, instance, ours, err)
	}
	after := e.row(id)
	switch {
	case foreign || known != nil && known.final():
		if e.dump() != before {
			e.Fatalf("canceling %s, which is %s, as %s changed something", id, known.State, instance)
		}
	case known == nil:
		if after != nil {
			e.Fatalf("a cancellation made a migration: %+v", after)
		}
	case known.Live || known.Orphaned:
		if after.State != known.State || after.Term != known.Term || !after.CancelAsked {
			e.Fatalf("canceling what a worker holds (-before +after):\n%s", cmp.Diff(known, after))
		}
	case after.State != "canceled":
		e.Fatalf("%s, which nobody holds, is %s after its cancellation", id, after.State)
	}
}

func (e *events) claim() {
	owner := rapid.SampledFrom([]string{"worker0", "worker1"}).Draw(e.T, "worker")
	before := query[row](e, selectRow)
	lease, takenOver, ok, err := e.ledger.Claim(e.ctx, owner, ttl)
	if err != nil {
		e.Fatalf("claim: %v", err)
	}
	free := func(r row) bool { return !r.final() && r.Due && !r.Live }
	if !ok {
		if slices.ContainsFunc(before, free) {
			e.Fatalf("nothing to claim among %+v", before)
		}
		return
	}
	n := slices.IndexFunc(before, func(r row) bool { return r.ID == lease.ID })
	if n < 0 || !free(before[n]) {
		e.Fatalf("claimed %s, which is not to be had: %+v", lease.ID, before)
	}
	was := before[n]
	if lease.Term != was.Term+1 || lease.Canceled != was.CancelAsked || takenOver != (was.Owner != nil) {
		e.Fatalf("lease %+v, taken over %v, of %+v", lease, takenOver, was)
	}
	e.leases = append(e.leases, lease)
}

// lapse lets the time of a lease pass.
func (e *events) lapse() {
	id, _ := e.drawID()
	e.exec(`UPDATE migration SET lease_until = now() - interval '1 second' WHERE id = $1 AND lease_until IS NOT NULL`, id)
}

// write does something under a lease that was granted some time, by a worker who
// believes in it. Without a lease in the ledger it must fail and change nothing.
func (e *events) write(do func(transfer.Lease) error) {
	if len(e.leases) == 0 {
		e.Skip("nothing was claimed")
	}
	// The younger a lease, the likelier it holds.
	age := min(rapid.IntRange(0, 9).Draw(e.T, "age of the lease"), len(e.leases)-1)
	lease := e.leases[len(e.leases)-1-age]
	r := e.row(lease.ID)
	holds := r.Term == lease.Term && r.Owner != nil && *r.Owner == lease.Owner
	before := ""
	if !holds {
		before = e.dump()
	}
	err := do(lease)
	switch {
	case holds && err != nil:
		e.Fatalf("a holder's write: %v", err)
	case !holds && !errors.Is(err, transfer.ErrLeaseLost):
		e.Fatalf("a write under a term that is over: %v", err)
	case !holds && e.dump() != before:
		e.Fatalf("something was written under a term that is over (-before +after):\n%s", cmp.Diff(before, e.dump()))
	}
}

func (e *events) renew(lease transfer.Lease) error {
	asked := e.row(lease.ID).CancelAsked
	r, err := e.ledger.Renew(e.ctx, lease, ttl)
	if err == nil && r.Canceled != asked {
		e.Fatalf("the holder of %s learns of a cancellation: %v, want %v", lease.ID, r.Canceled, asked)
	}
	return err
}

func (e *events) begin(lease transfer.Lease) error { return e.ledger.Begin(e.ctx, lease, "/Nextcloud") }

func (e *events) root(lease transfer.Lease) error {
	return e.ledger.Root(e.ctx, lease, "root", "account", transfer.Entry{Folder: true, Size: 1000})
}

func (e *events) page(lease transfer.Lease) error {
	folder := e.drawFolder(lease)
	folder.TargetID = "target"
	entries := rapid.SliceOfN(rapid.Custom(drawEntry), 0, 6).Draw(e.T, "entries")
	return e.ledger.Slice(lease).AddPage(e.ctx, transfer.Page{
		Folder: folder, Entries: distinct(entries), Complete: rapid.Bool().Draw(e.T, "complete"),
	})
}

func drawEntry(t *rapid.T) transfer.Entry {
	return transfer.Entry{
		Name:       rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}).Draw(t, "name"),
		Folder:     rapid.Bool().Draw(t, "folder"),
		Size:       rapid.Int64Range(-1, 50).Draw(t, "size"),
		SkipReason: rapid.SampledFrom([]string{"", "", "", "end-to-end encrypted"}).Draw(t, "skip"),
	}
}

// distinct leaves one entry of each name, as a folder has them.
func distinct(entries []transfer.Entry) []transfer.Entry {
	seen := map[string]bool{}
	return slices.DeleteFunc(entries, func(e transfer.Entry) bool {
		was := seen[e.Name]
		seen[e.Name] = true
		return was
	})
}

func (e *events) recordFolder(lease transfer.Lease) error {
	outcome := rapid.SampledFrom([]transfer.Outcome{transfer.Postponed, transfer.Failed}).Draw(e.T, "outcome")
	return e.ledger.Slice(lease).RecordFolder(e.ctx, transfer.FolderResult{
		Folder: e.drawFolder(lease), Outcome: outcome, Reason: transfer.ReasonBusy,
	})
}

func (e *events) setTarget(lease transfer.Lease) error {
	folder := e.drawFolder(lease)
	folder.TargetID, folder.TargetName = "anew", "another name"
	return e.ledger.Slice(lease).SetTarget(e.ctx, folder)
}

// drawFolder chooses among those that a worker may believe to have in hand.
func (e *events) drawFolder(lease transfer.Lease) transfer.Folder {
	known := query[transfer.Folder](e, `
		SELECT id, coalesce(parent_id, 0) AS parent_id, name, path, '' AS parent_target, '' AS target_id, '' AS target_name,
			now() AS mod_time, now() AS created_at, favorite, '{}'::text[] AS tags, attempts
		FROM folder WHERE migration_id = $1 AND state IN ('pending', 'listed') ORDER BY id`, lease.ID)
	if len(known) == 0 {
		return transfer.Folder{}
	}
	return rapid.SampledFrom(known).Draw(e.T, "folder")
}

// record also brings results of files that have one already.
func (e *events) record(lease transfer.Lease) error {
	type listed struct {
		ID, Size int64
		Name     string
	}
	files := query[listed](e, `SELECT id, size, name FROM file WHERE migration_id = $1 ORDER BY id`, lease.ID)
	results := []transfer.Result{}
	for _, f := range files {
		outcome := rapid.SampledFrom([]transfer.Outcome{"", transfer.Done, transfer.Failed, transfer.Postponed}).Draw(e.T, "outcome")
		r := transfer.Result{File: transfer.File{ID: f.ID, Name: f.Name, Size: f.Size}, Outcome: outcome, Reason: transfer.ReasonBusy}
		if outcome == transfer.Done {
			r.Reason, r.TargetID, r.MD5 = "", "target", make([]byte, 16)
			r.Size = rapid.Int64Range(0, 60).Draw(e.T, "size now")
		}
		if outcome != "" {
			results = append(results, r)
		}
	}
	return e.ledger.Slice(lease).Record(e.ctx, results)
}

func (e *events) release(lease transfer.Lease) error {
	wait := rapid.SampledFrom([]time.Duration{0, 0, time.Hour}).Draw(e.T, "wait")
	reason := rapid.SampledFrom([]transfer.Reason{"", transfer.ReasonBusy}).Draw(e.T, "reason")
	return e.ledger.Release(e.ctx, lease, wait, 1, reason)
}

func (e *events) finish(lease transfer.Lease) error {
	final := rapid.SampledFrom([]transfer.Final{
		{State: transfer.StateCompleted},
		{State: transfer.StateFailed, Reason: transfer.ReasonQuota, Missing: 5},
		{State: transfer.StateCanceled},
	}).Draw(e.T, "final")
	left := e.count(`
		SELECT (SELECT count(*) FROM file WHERE migration_id = $1 AND state = 'pending')
			+ (SELECT count(*) FROM folder WHERE migration_id = $1 AND state = 'pending')`, lease.ID)
	done, err := e.ledger.Finish(e.ctx, lease, final)
	if want := final.State != transfer.StateCompleted || left == 0; err == nil && done != want {
		e.Fatalf("finish %s as %s with %d entries left: %v", lease.ID, final.State, left, done)
	}
	if r := e.row(lease.ID); done && r.State != string(final.State) {
		e.Fatalf("%s is %s, finished as %s", lease.ID, r.State, final.State)
	}
	return err
}

// mirrored comes from a holder, however late.
func (e *events) mirrored() {
	if len(e.leases) == 0 {
		e.Skip("nothing was claimed")
	}
	lease := rapid.SampledFrom(e.leases).Draw(e.T, "lease")
	r := e.row(lease.ID)
	changed := rapid.Int64Range(0, r.Changed).Draw(e.T, "changed")
	before := e.dump()
	if err := e.ledger.Mirrored(e.ctx, lease.ID, lease.Term, changed); err != nil {
		e.Fatalf("mirrored: %v", err)
	}
	if lease.Term != r.Term && e.dump() != before {
		e.Fatalf("who lost the lease of %s noted what it mirrored", lease.ID)
	}
}

// sweep finds each document that is behind and that nobody else writes.
func (e *events) sweep() {
	e.exec(`UPDATE migration SET mirror_due_at = now() WHERE mirror_due_at IS NOT NULL`)
	behind := map[string]bool{}
	for _, r := range query[row](e, selectRow) {
		if !r.Live && r.Mirrored < r.Changed {
			behind[r.ID] = true
		}
	}
	ids, err := e.ledger.Behind(e.ctx, time.Hour, 10)
	if err != nil {
		e.Fatalf("sweep: %v", err)
	}
	for _, id := range ids {
		delete(behind, id)
	}
	if len(behind) > 0 {
		e.Fatalf("the sweep left %v out", behind)
	}
}
