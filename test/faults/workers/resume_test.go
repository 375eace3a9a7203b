package workers_test

import (
	"fmt"
	"testing"
	"time"

	"example.org/ncm/test/rig"
)

func (m *move) folders(t *testing.T, which string) int64 {
	t.Helper()
	return rig.Value[int64](t, m.Ledger, "SELECT folders_"+which+" FROM migration WHERE id = $1", m.id)
}

// listings is how many folders a worker has listed.
func listings(worker *rig.Service) int64 {
	return int64(worker.Metric("migrator_listing_duration_seconds_count"))
}

func TestListedFoldersAreNotListedAgain(t *testing.T) {
	rig.InBothModes(t, listedFoldersAreNotListedAgain)
}

func listedFoldersAreNotListedAgain(t *testing.T, mode rig.Mode) {
	const listers = 2
	m := newMove(t, backends.New(t), "alice")
	m.fill(20, 10) // each with a folder in it
	m.slow(20 * time.Millisecond)
	m.SpoilNextcloud(rig.Fault{"method": "PROPFIND", "delay": "500ms", "times": -1})
	settings := with(with(quick(), rig.Env{"LISTERS": fmt.Sprint(listers)}), mode.Settings)
	first := m.StartMigrator(settings)
	m.request()
	rig.Await(t, rig.Patience, "half listed", func() bool { return m.folders(t, "listed") >= 20 })
	first.Kill()
	m.HealNextcloud()
	m.HealCozy()
	awaitDisconnected(t, m.Rig)
	listed, total := m.folders(t, "listed"), int64(1+20+20)
	if listed == total {
		t.Fatal("all is listed already: nothing was shown")
	}
	asked := m.NextcloudAnswers().Requests["PROPFIND"]
	second := m.StartMigrator(settings)
	m.awaitCompleted(t, rig.Patience)
	if again := listings(second) - (total - listed); again > 0 {
		t.Errorf("%d folders were listed again", again)
	}
	// One more asks for the root, to see whether the source is there, and those that were
	// under way when the worker died are counted when they end. A tree may bring nothing
	// of its folder that can be believed; and one folder is looked at for each body that
	// is an archive, or took long.
	asked = m.NextcloudAnswers().Requests["PROPFIND"] - asked
	if most := rig.Pick[int64](mode, 2, 1)*(total-listed) + m.NextcloudAnswers().Requests["GET"] + 1 + listers; asked > most {
		t.Errorf("%d PROPFINDs after the takeover, %d folders were left", asked, total-listed)
	}
	measured(t, "PROPFINDs after a takeover: %d for %d folders left of %d", asked, total-listed, total)
	aftermath(t, m)
}

func TestFilesThatAreDoneAreNotSentAgain(t *testing.T) {
	rig.InBothModes(t, filesThatAreDoneAreNotSentAgain)
}

func filesThatAreDoneAreNotSentAgain(t *testing.T, mode rig.Mode) {
	const folders, filesInEach = 4, 100
	m := newMove(t, backends.New(t), "alice")
	m.fill(folders, filesInEach)
	m.slow(80 * time.Millisecond)
	settings := with(quick(), mode.Settings)
	first := m.StartMigrator(settings)
	m.request()
	m.awaitMore(t, 0, 100, rig.Patience)
	rig.Await(t, rig.Patience, "listed", func() bool { return m.folders(t, "listed") == 1+4+4 })
	first.Kill()
	m.HealCozy()
	awaitDisconnected(t, m.Rig)
	done := m.done(t)
	if done == 400 {
		t.Fatal("all is copied already: nothing was shown")
	}
	m.ForgetNextcloudAnswers()
	m.ForgetCozyAnswers()
	second := m.StartMigrator(settings)
	m.awaitCompleted(t, rig.Patience)
	source, stack := m.NextcloudAnswers().Requests, posted(m.Rig)
	if again := listings(second); again > 0 {
		t.Errorf("%d folders were listed again", again)
	}
	// The root is looked at, and the ETag of what took long or of an archive's folder.
	if most := 1 + source["GET"]; source["PROPFIND"] > most {
		t.Errorf("%d PROPFINDs after the takeover, want at most %d", source["PROPFIND"], most)
	}
	sent := stack[201] + stack[409] - 1 // the target folder
	// What the dead worker had under way may be counted late.
	if left := 400 - done; sent < left || sent > left+transfers {
		t.Errorf("%d files were sent after the takeover, %d were left", sent, left)
	}
	// A file that is in the target already is read twice: to be sent, and to be compared.
	// Of archives it is there for both; what is too little for one comes alone.
	most := rig.Pick(mode, folders*(filesInEach/inArchive+1+tooFewForArchive), 400-done+stack[409]-1)
	if source["GET"] > most {
		t.Errorf("%d bodies were read after the takeover, want at most %d", source["GET"], most)
	}
	measured(t, "after a takeover: %d files sent for %d left, %d of them were there already", sent, 400-done, stack[409]-1)
	aftermath(t, m)
}
