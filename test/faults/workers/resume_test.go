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

func TestListedFoldersAreNotListedAgain(t *testing.T) {
	t.Parallel()
	const listers = 2
	m := newMove(t, backends.New(t), "alice")
	m.fill(20, 10) // each with a folder in it
	m.slow(20 * time.Millisecond)
	m.SpoilNextcloud(rig.Fault{"method": "PROPFIND", "delay": "500ms", "times": -1})
	settings := with(quick(), rig.Env{"LISTERS": fmt.Sprint(listers), "ARCHIVES": "false", "WHOLE_TREES": "false"})
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
	m.StartMigrator(settings)
	m.awaitCompleted(t, rig.Patience)
	// One more asks for the root, to see whether the source is there, and those
	// that were under way when the worker died are counted when they end.
	if asked = m.NextcloudAnswers().Requests["PROPFIND"] - asked; asked > total-listed+1+listers {
		t.Errorf("%d listings after the takeover, %d folders were left", asked, total-listed)
	}
	measured(t, "listings after a takeover: %d for %d folders left of %d", asked, total-listed, total)
	aftermath(t, m)
}

func TestFilesThatAreDoneAreNotSentAgain(t *testing.T) {
	t.Parallel()
	m := newMove(t, backends.New(t), "alice")
	m.fill(4, 100)
	m.slow(80 * time.Millisecond)
	settings := with(quick(), rig.Env{"ARCHIVES": "false", "WHOLE_TREES": "false"}) // each request is one file's
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
	m.StartMigrator(settings)
	m.awaitCompleted(t, rig.Patience)
	source, stack := m.NextcloudAnswers().Requests, posted(m.Rig)
	if source["PROPFIND"] != 1 {
		t.Errorf("%d listings after the takeover, want only that of the root", source["PROPFIND"])
	}
	sent := stack[201] + stack[409] - 1 // the target folder
	// What the dead worker had under way may be counted late.
	if left := 400 - done; sent < left || sent > left+transfers {
		t.Errorf("%d files were sent after the takeover, %d were left", sent, left)
	}
	// A file that is in the target already is read twice: to be sent, and to be compared.
	if most := 400 - done + stack[409] - 1; source["GET"] > most {
		t.Errorf("%d files were read after the takeover, want at most %d", source["GET"], most)
	}
	measured(t, "after a takeover: %d files sent for %d left, %d of them were there already", sent, 400-done, stack[409]-1)
	aftermath(t, m)
}
