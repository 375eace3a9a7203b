package transfer_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"example.org/ncm/services/migrator/internal/transfer"
	"example.org/ncm/services/migrator/internal/transfertest"
)

// archives is a bench whose source sends archives and whose folders keep their
// ETag.
func archives(files map[string]string) (*bench, *transfertest.Archives) {
	b := newBench(files)
	b.source.ETag = func(string) string { return "as listed" }
	a := &transfertest.Archives{Source: b.source}
	b.archiver = a
	return b, a
}

// small is a folder with n small files and one with a few large ones.
func small(n int) map[string]string {
	files := map[string]string{"large/1": strings.Repeat("x", 600<<10), "large/2": strings.Repeat("y", 700<<10)}
	for i := range n {
		files[fmt.Sprintf("small/%03d", i)] = fmt.Sprint("content ", i)
	}
	return files
}

func (b *bench) opens(files map[string]string) (n int) {
	for p := range files {
		n += b.source.Calls("open", p)
	}
	return n
}

func TestSmallFilesComeInArchives(t *testing.T) {
	t.Parallel()
	files := small(300)
	b, _ := archives(files)
	b.mustEnd(t, transfer.Complete)
	b.mustHave(t, withFolders(files))
	if n := b.opens(files); n != 2 {
		t.Errorf("%d files were asked for alone, want the 2 large ones", n)
	}
	if n := b.source.Calls("archive", "small"); n < 5 || n > 10 {
		t.Errorf("%d archives for 300 files", n)
	}
	if n := b.target.Creates(); n != len(files) {
		t.Errorf("%d files created, want %d", n, len(files))
	}
}

// What waits for the target is in memory, and must not grow with the transfers.
func TestOnlyAsMuchAsAFewArchivesIsHeld(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(string, string) (string, bool){
		"all of it comes": nil,
		"half of it comes": func(file, content string) (string, bool) {
			return content, file[len(file)-1]%2 == 0
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const member, budget = 400 << 10, 12 << 20
			files := map[string]string{}
			for i := range 120 {
				files[fmt.Sprintf("small/%03d", i)] = strings.Repeat(string(rune('a'+i%26)), member)
			}
			synctest.Test(t, func(t *testing.T) {
				b, a := archives(files)
				b.transfers = 64
				var came atomic.Int64
				a.Spoil = func(file, content string) (string, bool) {
					there := true
					if spoil != nil {
						content, there = spoil(file, content)
					}
					if there {
						came.Add(int64(len(content)))
					}
					return content, there
				}
				full := make(chan struct{})
				b.target.After = func(string) error { <-full; return nil }
				ended := make(chan transfer.EndKind)
				go func() { ended <- b.mustEnd(t, transfer.Complete).Kind }()
				synctest.Wait()
				if held := came.Load(); held > budget || held < budget/2 {
					t.Errorf("%d bytes came while none could leave, want about %d", held, budget)
				}
				close(full)
				<-ended
				b.mustHave(t, withFolders(files))
			})
		})
	}
}

func TestAFolderOfManyPagesIsListedOnceForItsArchives(t *testing.T) {
	t.Parallel()
	files := small(2500)
	b, _ := archives(files)
	b.mustEnd(t, transfer.Complete)
	b.mustHave(t, withFolders(files))
	if n := b.source.Calls("list", "small"); n != 1 {
		t.Errorf("listed %d times", n)
	}
	if n := b.opens(files); n != 2 {
		t.Errorf("%d files were asked for alone, want the 2 large ones", n)
	}
}

// scattered are folders with a few small files each, in folders of ten.
func scattered(folders, each int) map[string]string {
	files := map[string]string{}
	for d := range folders {
		for i := range each {
			files[fmt.Sprintf("top/%d/%02d/%d", d/10, d, i)] = fmt.Sprint("content ", d, i)
		}
	}
	return files
}

func TestFilesOfManyFoldersComeInArchives(t *testing.T) {
	t.Parallel()
	files := scattered(100, 2)
	b, _ := archives(files)
	b.mustEnd(t, transfer.Complete)
	b.mustHave(t, withFolders(files))
	if n := b.opens(files); n > 20 {
		t.Errorf("%d of %d files were asked for alone", n, len(files))
	}
	if n := b.source.Calls("archive", "top"); n == 0 {
		t.Error("no archive over several folders was asked for")
	}
}

// A folder that changes says nothing about the files below it. Each folder of them
// still can.
func TestAFolderAboveThatChangesIsNotAskedForLong(t *testing.T) {
	t.Parallel()
	files := scattered(40, 6)
	b, _ := archives(files)
	var asked atomic.Int64
	b.source.ETag = func(p string) string {
		if strings.Count(p, "/") < 2 { // the folders above
			return fmt.Sprint(asked.Add(1))
		}
		return "as listed"
	}
	b.mustEnd(t, transfer.Complete)
	b.mustHave(t, withFolders(files))
	if n := b.opens(files); n > 40 {
		t.Errorf("%d of %d files were asked for alone", n, len(files))
	}
	above := b.source.Calls("archive", "") + b.source.Calls("archive", "top")
	for d := range 10 {
		above += b.source.Calls("archive", fmt.Sprint("top/", d))
	}
	if above > 3+1 { // two are read at once
		t.Errorf("%d archives over several folders, none of which can be believed", above)
	}
}

func TestAFolderAboveThatChangedSinceSpeaksForNothing(t *testing.T) {
	t.Parallel()
	files := scattered(10, 3)
	b, _ := archives(files)
	b.source.ETag = func(p string) string {
		if strings.Count(p, "/") < 2 && b.source.Calls("archive", "top/0") > 0 {
			return "after"
		}
		return "before"
	}
	b.mustEnd(t, transfer.Complete)
	b.mustHave(t, withFolders(files))
	if n := b.opens(files); n != len(files) {
		t.Errorf("%d files were asked for alone, want all %d", n, len(files))
	}
}

func TestWhatAnArchiveDoesNotBringComesAlone(t *testing.T) {
	t.Parallel()
	files := small(100)
	b, a := archives(files)
	a.Spoil = func(file, content string) (string, bool) { return content, !strings.HasSuffix(file, "7") }
	a.After = func(string) error { return transfertest.Again(transfer.SideSource, transfer.ReasonIncomplete) }
	b.mustEnd(t, transfer.Complete)
	b.mustHave(t, withFolders(files))
	if n := b.opens(files); n != 2+10 {
		t.Errorf("%d files were asked for alone, want 12", n)
	}
}

func TestTheRestOfAnArchiveThatBreaksOffComesTogether(t *testing.T) {
	t.Parallel()
	files := small(60)
	b, a := archives(files)
	var broken atomic.Bool
	a.Spoil = func(file, content string) (string, bool) {
		if file == "small/020" {
			broken.Store(true)
		}
		return content, b.source.Calls("archive", "small") > 1 || !broken.Load()
	}
	a.After = func(string) error {
		if b.source.Calls("archive", "small") > 1 {
			return nil
		}
		return transfertest.Again(transfer.SideSource, transfer.ReasonIncomplete)
	}
	b.mustEnd(t, transfer.Complete)
	b.mustHave(t, withFolders(files))
	if n := b.source.Calls("open", "small/020"); n != 1 || b.opens(files) != 3 {
		t.Errorf("%d files were asked for alone, want the large ones and the one at the break (%d times)", b.opens(files), n)
	}
	if n := b.source.Calls("archive", "small"); n != 2 {
		t.Errorf("%d archives, want the one that broke off and one for the rest", n)
	}
}

func TestAFolderThatChangesIsNotBelievedToBeOfOneMoment(t *testing.T) {
	t.Parallel()
	files := small(100)
	b, _ := archives(files)
	var asked atomic.Int64
	b.source.ETag = func(p string) string {
		if p == "small" {
			return fmt.Sprint(asked.Add(1))
		}
		return "file"
	}
	b.mustEnd(t, transfer.Complete)
	b.mustHave(t, withFolders(files))
	if n := b.opens(files); n != len(files) {
		t.Errorf("%d files were asked for alone, want all %d", n, len(files))
	}
}

func TestAFolderThatChangedSinceItWasListedIsAskedForOnceMore(t *testing.T) {
	t.Parallel()
	files := small(60)
	b, _ := archives(files)
	var asked atomic.Int64
	b.source.ETag = func(p string) string {
		if p == "small" && asked.Add(1) == 1 {
			return "before"
		}
		return "after"
	}
	b.mustEnd(t, transfer.Complete)
	b.mustHave(t, withFolders(files))
	if n := b.opens(files); n != 2 {
		t.Errorf("%d files were asked for alone, want 2", n)
	}
}

func TestAFileThatChangedSinceItWasListedComesAlone(t *testing.T) {
	t.Parallel()
	files := small(60)
	b, _ := archives(files)
	var changed atomic.Bool
	b.source.ETag = func(p string) string {
		if changed.Load() && (p == "small" || p == "small/007") {
			return "changed"
		}
		return "as listed"
	}
	b.source.Fault = func(call, _ string) error {
		if call == "archive" {
			changed.Store(true)
		}
		return nil
	}
	b.mustEnd(t, transfer.Complete)
	b.mustHave(t, withFolders(files))
	if n := b.source.Calls("open", "small/007"); n != 1 || b.opens(files) != 3 {
		t.Errorf("%d files were asked for alone, the changed one %d times", b.opens(files), n)
	}
}

func TestASourceWithoutArchivesIsAskedFewTimes(t *testing.T) {
	t.Parallel()
	for name, cause := range map[string]error{
		"it says so": transfer.ErrNoArchives,
		"it fails":   transfertest.Again(transfer.SideSource, transfer.ReasonBusy),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := tree(900)
			b, _ := archives(files)
			var archives atomic.Int64
			b.source.Fault = func(call, _ string) error {
				if call == "archive" {
					archives.Add(1)
					return cause
				}
				return nil
			}
			b.mustEnd(t, transfer.Complete)
			b.mustHave(t, withFolders(files))
			if n := archives.Load(); n > 8 { // some were under way
				t.Errorf("%d archives were asked for", n)
			}
		})
	}
}

func TestFilesOfAnArchiveThatAreThereAlreadyCountOnce(t *testing.T) {
	t.Parallel()
	files := small(50)
	b, _ := archives(files)
	b.ledger.Fault = func(call string) error {
		if call == "record" {
			return transfer.ErrLeaseLost // as if the process had died here
		}
		return nil
	}
	if _, err := b.run(t.Context()); err == nil {
		t.Fatal("the first slice did not end with its lease")
	}
	b.ledger.Fault = nil
	b.mustEnd(t, transfer.Complete)
	b.mustHave(t, withFolders(files))
	for p, r := range b.ledger.Results() {
		if r.Outcome != transfer.Done || r.TargetName != "" {
			t.Errorf("%s has the result %+v", p, r)
		}
	}
}

func TestAMemberThatIsNotWhatItsUploaderClaimedIsReadOnceMore(t *testing.T) {
	t.Parallel()
	for _, wrong := range []string{"MD5:" + strings.Repeat("0", 32), "SHA1:" + strings.Repeat("0", 40)} {
		files := small(60)
		b, _ := archives(files)
		b.source.Checksums = func(file string) string {
			if file == "small/007" {
				return wrong
			}
			return ""
		}
		b.mustEnd(t, transfer.Complete)
		b.mustHave(t, withFolders(files))
		if n, note := b.source.Calls("open", "small/007"), b.ledger.Results()["small/007"].Note; n != 1 || note == "" {
			t.Errorf("%s: read %d times, note %q", wrong, n, note)
		}
		if n := b.opens(files); n != 3 {
			t.Errorf("%s: %d files were asked for alone, want 3", wrong, n)
		}
	}
}
