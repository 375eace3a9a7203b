package workers_test

import (
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"example.org/ncm/test/rig"
)

const (
	// batch is how many results the engine writes together.
	batch = 100
	// inArchive is how many files an archive brings at most, and tooFewForArchive how many
	// are asked for alone; archivesAtOnce of them wait in memory.
	inArchive        = 64
	tooFewForArchive = 3
	archivesAtOnce   = 2
)

// pods are two workers with one slot each, and one migration between them.
type pods struct {
	*move
	settings        rig.Env
	working, idling *rig.Service
}

// startPods starts the migration, and returns when one of them works on it.
func startPods(t *testing.T, settings rig.Env, folders, filesInEach int) *pods {
	t.Helper()
	p := &pods{move: newMove(t, backends.New(t), "alice"), settings: settings}
	p.fill(folders, filesInEach)
	p.slow(150 * time.Millisecond)
	first, second := p.StartMigrator(settings), p.StartMigrator(settings)
	p.request()
	p.awaitMid(t)
	working, others := holder(t, first, second)
	p.working, p.idling = working, others[0]
	return p
}

// replace puts a new worker in the place of the one that works.
func (p *pods) replace() { p.working, p.idling = p.idling, p.StartMigrator(p.settings) }

// awaitTakeover waits until the other worker has copied something, and says how
// long after a moment it claimed the migration and how long the work stood still.
func (p *pods) awaitTakeover(t *testing.T, since time.Time, term int64) (claimed, copied time.Duration) {
	t.Helper()
	rig.Await(t, rig.Patience, "taken over", func() bool { return p.term(t) > term })
	claimed = p.since(t, since, "served_at")
	done := p.done(t)
	rig.Await(t, rig.Patience, "going on", func() bool { return p.done(t) > done })
	return claimed, p.clock(t).Sub(since)
}

func TestAKilledWorkerIsReplacedWithin20Seconds(t *testing.T) {
	rig.InModes(t, aKilledWorkerIsReplaced)
}

func aKilledWorkerIsReplaced(t *testing.T, mode rig.Mode) {
	kills, random := inFull(3, 20), seeded(t)
	p := startPods(t, with(rig.Env{"SLOTS": "1", "TRANSFERS": "4"}, mode.Settings), 8*kills, 50)
	var claims, standstills []time.Duration
	var twice []int64
	for range kills {
		between(random, 0, 2*time.Second)
		before, term := posted(p.Rig)[409], p.term(t)
		p.working.Kill()
		claimed, copied := p.awaitTakeover(t, p.clock(t), term)
		claims, standstills = append(claims, claimed), append(standstills, copied)
		// What was sent and not recorded comes first, in the order of the ids.
		p.awaitMore(t, p.done(t), 2*transfers, rig.Patience)
		twice = append(twice, posted(p.Rig)[409]-before-1) // the target folder is met once more too
		p.replace()
	}
	p.HealCozy()
	p.awaitCompleted(t, rig.Patience)
	measured(t, "takeover after SIGKILL: %s; until files arrive: %s", spread(claims), spread(standstills))
	measured(t, "files sent twice per kill: %s", listed(twice))
	if sums, read := p.sums(t), p.NextcloudAnswers().Requests["GET"]; mode.Plain() { // else a request is for many
		measured(t, "bytes read again: at most %d of %d", (read-sums.FilesDone)*(sums.BytesDone/sums.FilesDone), sums.BytesDone)
	}
	for _, n := range twice {
		if n > transfers+2*batch { // one is being written, another one waits
			t.Errorf("%d files were sent twice after one kill", n)
		}
	}
	if took := median(claims); took > 20*time.Second {
		t.Errorf("the migration was claimed %v after the kill", took)
	}
	aftermath(t, p.move)
}

func TestAStoppedWorkerIsReplacedWithin2SecondsAndNothingIsRepeated(t *testing.T) {
	rig.InModes(t, aStoppedWorkerIsReplaced)
}

func aStoppedWorkerIsReplaced(t *testing.T, mode rig.Mode) {
	const filesInEach = 150
	stops := inFull(3, 10)
	p := startPods(t, with(rig.Env{"SLOTS": "1", "TRANSFERS": "4", "LEASE_TTL": "30s"}, mode.Settings), 4*stops, filesInEach)
	var claims, standstills []time.Duration
	var again []int64
	for range stops {
		before, term, stopped := posted(p.Rig)[409], p.term(t), p.clock(t)
		p.working.Signal(t, syscall.SIGTERM)
		claimed, copied := p.awaitTakeover(t, stopped, term)
		claims, standstills = append(claims, claimed), append(standstills, copied)
		rig.Await(t, rig.Patience, "ended", func() bool { return !p.working.Running() })
		p.working.Stop(t) // a second signal would have killed it; this asks how it ended
		p.awaitMore(t, p.done(t), 2*transfers, rig.Patience)
		again = append(again, posted(p.Rig)[409]-before-1) // the target folder is met once more
		p.replace()
	}
	p.HealCozy()
	p.awaitCompleted(t, rig.Patience)
	measured(t, "takeover after SIGTERM: %s; until files arrive: %s; files sent twice: %s", spread(claims), spread(standstills), listed(again))
	if took := median(claims); took > 2*time.Second {
		t.Errorf("the work stood still for %v", took)
	}
	// A body whose answer does not come within its grace is sent again.
	if median(again) != 0 || slices.Max(again) > transfers {
		t.Errorf("files or folders that were there were sent again, per stop: %v", again)
	}
	// What was cut at the end of the grace is no finished body. Archives that were in
	// memory are asked for again, and the folder of the stop is divided anew.
	sums, read := p.sums(t), p.NextcloudAnswers().Requests["GET"]
	bodies := rig.Pick(mode, (sums.FilesDone+inArchive-1)/filesInEach*((filesInEach+inArchive-1)/inArchive), sums.FilesDone)
	if most := bodies + int64(stops)*rig.Pick(mode, archivesAtOnce+1+transfers, int64(transfers)); read > most {
		t.Errorf("%d bodies were read for %d files, want at most %d", read, sums.FilesDone, most)
	}
	measured(t, "bodies read in %d stops: %d, %d without", stops, read, bodies)
	aftermath(t, p.move)
}

// writes notes in the ledger's database who changed a row.
const writes = `
	CREATE TABLE writes (pod text, at timestamptz NOT NULL DEFAULT clock_timestamp());
	CREATE FUNCTION note_write() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN INSERT INTO writes (pod) VALUES (current_setting('rig.pod', true)); RETURN NULL; END $$;
	CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON migration FOR EACH ROW EXECUTE FUNCTION note_write();
	CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON folder FOR EACH ROW EXECUTE FUNCTION note_write();
	CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON file FOR EACH ROW EXECUTE FUNCTION note_write();
	CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON notice FOR EACH ROW EXECUTE FUNCTION note_write();`

// What was whole on its way when its worker was paused arrives after the end.
func TestAPausedWorkerThatWakesUpAfterTheEndCountsWhatItSent(t *testing.T) {
	t.Parallel()
	const sent = 12
	m := newMove(t, backends.New(t), "alice")
	m.fill(2, 40)
	m.mark(t)
	stack := rig.NewProxy(t, m.CozyAddr())
	var uploads atomic.Int64
	held := make(chan struct{})
	arrive := sync.OnceFunc(func() { close(held) })
	t.Cleanup(arrive) // the proxy waits for them
	stack.Tamper(func(bytes []byte) bool {
		if n := count(bytes, "?Type=file"); n > 0 && uploads.Add(n) > sent {
			<-held
		}
		return false
	})
	old := m.StartMigrator(with(quick(), rig.StackBy(stack.Addr)))
	m.request()
	rig.Await(t, rig.Patience, "held up", func() bool { return m.done(t) == sent && uploads.Load() == sent+transfers })
	old.Signal(t, syscall.SIGSTOP)
	m.RunMigrator(nil, "cancel", m.id).AwaitEnd(t, rig.Patience) // a message might wait in the paused one
	m.StartMigrator(quick())
	rig.Await(t, rig.Patience, "canceled", func() bool { return m.state(t) == "canceled" })
	if m.done(t) != sent {
		t.Fatalf("%d files are counted: nothing would be shown", m.done(t))
	}
	arrive()
	rig.Await(t, rig.Patience, "arrived", func() bool { files, _ := m.inTarget(t); return files == sent+transfers })
	old.Signal(t, syscall.SIGCONT)
	rig.Await(t, rig.Patience, "counted", func() bool { return m.done(t) == sent+transfers })
	measured(t, "files of a worker that slept over the end, counted when it woke up: %d", m.done(t)-sent)
	aftermath(t, m)
}

func TestAPausedWorkerThatWakesUpWritesNothingMore(t *testing.T) {
	t.Parallel()
	m := newMove(t, backends.New(t), "alice")
	m.Ledger.Exec(t, writes)
	m.fill(10, 80)
	m.slow(150 * time.Millisecond)
	stack := rig.NewProxy(t, m.CozyAddr())
	var documents, uploads atomic.Int64
	stack.Tamper(func(sent []byte) bool {
		documents.Add(count(sent, "PUT /data/io.cozy.nextcloud.migrations/"))
		uploads.Add(count(sent, "POST /files/"))
		return false
	})
	old := m.StartMigrator(with(quick(), with(rig.StackBy(stack.Addr), rig.Env{"DATABASE_URL": m.LedgerURL(m.LedgerAddr(), "old")})))
	m.request()
	m.awaitMid(t)
	rig.Await(t, rig.Patience, "mirrored by the first", func() bool { return documents.Load() > 0 })

	old.Signal(t, syscall.SIGSTOP)
	term, paused := m.term(t), time.Now()
	m.StartMigrator(with(quick(), rig.Env{"DATABASE_URL": m.LedgerURL(m.LedgerAddr(), "new")}))
	rig.Await(t, rig.Patience, "taken over", func() bool { return m.term(t) > term })
	measured(t, "takeover of a paused worker with a lease of 4s: %v", time.Since(paused).Round(time.Millisecond))
	m.awaitMore(t, m.done(t), 20, rig.Patience)

	wrote := func() int64 { return rig.Value[int64](t, m.Ledger, "SELECT count(*) FROM writes WHERE pod = 'old'") }
	before, sent, asked := wrote(), uploads.Load(), documents.Load()
	if before == 0 {
		t.Fatal("the first worker's writes are not noted: nothing would be shown")
	}
	old.Signal(t, syscall.SIGCONT)
	rig.Await(t, rig.Patience, "aware of its loss", func() bool { return len(old.Log.All("slice ended")) > 0 })
	if end := old.Log.All("slice ended")[0]["end"]; end != "lost" {
		t.Errorf("the slice of the first worker ended as %v", end)
	}
	m.awaitMore(t, m.done(t), 40, rig.Patience)
	if n := wrote() - before; n > 0 {
		t.Errorf("the first worker changed %d rows after it woke up", n)
	}
	if n := documents.Load() - asked; n > 0 {
		t.Errorf("the first worker wrote the tracking document %d times after it woke up", n)
	}
	if n := uploads.Load() - sent; n > transfers {
		t.Errorf("the first worker began %d uploads after it woke up", n)
	}
	// Once nobody works on it any more, either worker may tell its document the end.
	m.HealCozy()
	m.awaitCompleted(t, rig.Patience)
	aftermath(t, m)
}
