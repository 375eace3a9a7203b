package e2e_test

import (
	"net/http"
	"path/filepath"
	"testing"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/test/rig"
	"example.org/ncm/test/tree"
)

func TestEveryFileArrivesAsItWas(t *testing.T) {
	t.Parallel()
	r := backends.New(t)
	alice, cozy := r.AddUser("alice"), r.AddInstance(host)
	seeded, err := tree.Seed(t.Context(), alice.Home, tree.Options{From: filepath.Join(r.Root(), "pkg"), Big: 20_000_000})
	if err != nil {
		t.Fatal(err)
	}
	r.StartMigrator(nil)
	r.StartMigrator(nil)
	trigger := r.StartTrigger(nil)

	id := trigger.MustStart(t, cozy, r.Order(alice))
	doc := cozy.AwaitStatus(id, contract.StatusCompleted, rig.Patience)

	report := wantEqual(t, tree.Disk(t.Context(), alice.Home), cozy)
	if report.FilesCompared != seeded.Files || report.FoldersCompared != seeded.Folders {
		t.Errorf("%d files and %d folders were compared, %d and %d were seeded",
			report.FilesCompared, report.FoldersCompared, seeded.Files, seeded.Folders)
	}
	wantWhole(t, doc, int64(seeded.Files), seeded.Bytes)
}

func TestASecondRunCopiesOnlyWhatIsNew(t *testing.T) {
	t.Parallel()
	r := backends.New(t)
	alice, cozy := r.AddUser("alice"), r.AddInstance(host)
	r.Generate(alice, "first", 30, 1000)
	r.StartMigrator(map[string]string{"ARCHIVES": "false"}) // so that each file read is a request
	trigger := r.StartTrigger(nil)
	cozy.AwaitStatus(trigger.MustStart(t, cozy, r.Order(alice)), contract.StatusCompleted, rig.Patience)
	r.ForgetCozyAnswers()
	r.ForgetNextcloudAnswers()
	// The trigger asks who the login is, and for an app password in its place.
	const asksOfTheTrigger = 2

	r.Generate(alice, "second", 7, 1000)
	doc := cozy.AwaitStatus(trigger.MustStart(t, cozy, r.Order(alice)), contract.StatusCompleted, rig.Patience)

	if read := r.NextcloudAnswers().Requests[http.MethodGet]; read != 7+asksOfTheTrigger {
		t.Errorf("the second run read %d files, want the 7 new ones", read-asksOfTheTrigger)
	}
	report := wantEqual(t, r.Files(alice), cozy)
	wantWhole(t, doc, 37, report.Source.Bytes)
	// The new folder and its one sub-folder come with the files.
	if made := r.CozyAnswers()["POST /files/:id"][201]; made != 7+2 {
		t.Errorf("the second run made %d files and folders, want 9", made)
	}

	r.ForgetNextcloudAnswers()
	doc = cozy.AwaitStatus(trigger.MustStart(t, cozy, r.Order(alice)), contract.StatusCompleted, rig.Patience)
	wantWhole(t, doc, 37, report.Source.Bytes)
	if asked := r.NextcloudAnswers().Requests; asked[http.MethodGet] != asksOfTheTrigger || asked["PROPFIND"] == 0 {
		t.Errorf("the third run asked the source for %v, want listings and what the trigger asks", asked)
	}
}

func TestASmallMigrationDoesNotWaitForALargeOne(t *testing.T) {
	t.Parallel()
	r := backends.New(t)
	alice, large := r.AddUser("alice"), r.AddInstance(host)
	bob, small := r.AddUser("bob"), r.AddInstance("bob.cozy.test")
	r.Generate(alice, "many", 600, 500)
	r.Generate(bob, "few", 5, 500)
	slowUploads(r, large, 400)
	r.StartMigrator(map[string]string{"SLOTS": "1", "TRANSFERS": "4", "SLICE_TIME": "1s"})
	trigger := r.StartTrigger(nil)

	largeID := trigger.MustStart(t, large, r.Order(alice))
	large.AwaitStatus(largeID, contract.StatusRunning, rig.Patience)
	smallID := trigger.MustStart(t, small, r.Order(bob))
	small.AwaitStatus(smallID, contract.StatusCompleted, rig.Patience)
	if status := large.Tracking(largeID).Status; status != contract.StatusRunning {
		t.Errorf("the large migration is %s when the small one ends: nothing was shown", status)
	}

	r.HealCozy()
	large.AwaitStatus(largeID, contract.StatusCompleted, rig.Patience)
	wantEqual(t, r.Files(alice), large)
	wantEqual(t, r.Files(bob), small)
}
