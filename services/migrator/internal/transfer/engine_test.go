package transfer_test

import (
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"example.org/ncm/services/migrator/internal/transfer"
	"example.org/ncm/services/migrator/internal/transfertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is one migration in memory.
type bench struct {
	source *transfertest.Source
	// archiver takes the place of source where it is set.
	archiver transfer.Source
	target   *transfertest.Target
	ledger   *transfertest.Ledger
	drain    chan struct{}

	onChanged transfer.OnChanged
	transfers int
}

func newBench(files map[string]string, folders ...string) *bench {
	return &bench{
		source: &transfertest.Source{Files: files, Folders: folders},
		target: &transfertest.Target{},
		ledger: transfertest.NewLedger(),
		drain:  make(chan struct{}),
	}
}

func (b *bench) run(ctx context.Context) (transfer.End, error) {
	cfg := transfer.Config{
		Source: b.source, Target: b.target, Ledger: b.ledger, Drain: b.drain, Attempts: 3, Archives: true, OnChanged: b.onChanged,
		Transfers: b.transfers,
	}
	if b.archiver != nil {
		cfg.Source = b.archiver
	}
	return transfer.Run(ctx, cfg)
}

func (b *bench) mustEnd(t *testing.T, want transfer.EndKind) transfer.End {
	t.Helper()
	end, err := b.run(t.Context())
	if err != nil {
		t.Fatalf("slice ended with %v", err)
	}
	if end.Kind != want {
		t.Fatalf("slice ended as %d, want %d", end.Kind, want)
	}
	return end
}

func (b *bench) mustHave(t *testing.T, want map[string]string) {
	t.Helper()
	if diff := cmp.Diff(want, b.target.Tree()); diff != "" {
		t.Errorf("target (-want +got):\n%s", diff)
	}
}

// tree is a source of some depth with n files.
func tree(n int) map[string]string {
	files := map[string]string{}
	for i := range n {
		files[fmt.Sprintf("d%d/e%d/f%d.txt", i%7, i%3, i)] = fmt.Sprint("content ", i)
	}
	return files
}

// withFolders adds the folders on the way to each file.
func withFolders(files map[string]string) map[string]string {
	all := maps.Clone(files)
	for p := range files {
		for i, c := range p {
			if c == '/' {
				all[p[:i]] = "/"
			}
		}
	}
	return all
}

func TestRunCopiesEveryEntryOnce(t *testing.T) {
	t.Parallel()
	files := tree(500)
	files["empty"] = ""
	b := newBench(files, "hollow/inner")
	b.mustEnd(t, transfer.Complete)
	want := withFolders(files)
	want["hollow"], want["hollow/inner"] = "/", "/"
	b.mustHave(t, want)
	for p := range files {
		if n := b.source.Calls("open", p); n != 1 {
			t.Errorf("%s opened %d times", p, n)
		}
		if r := b.ledger.Results()[p]; r.Outcome != transfer.Done || r.Size != int64(len(files[p])) {
			t.Errorf("%s has the result %+v", p, r)
		}
	}
}

// No file waits for its folder: while the first ones are still on their way, all
// folders are there.
func TestFoldersAreMadeAheadOfTheFiles(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(tree(300), "hollow/inner")
		var folders, ahead atomic.Int64
		b.target.Fault = func(call, _ string) error {
			switch call {
			case "folder":
				folders.Add(1)
				time.Sleep(20 * time.Millisecond) //nolint:forbidigo // the bubble's clock
			case "create":
				time.Sleep(time.Hour) //nolint:forbidigo // the bubble's clock
				ahead.CompareAndSwap(0, folders.Load())
			}
			return nil
		}
		b.mustEnd(t, transfer.Complete)
		if want := int64(7 + 7*3 + 2); ahead.Load() != want || folders.Load() != want {
			t.Errorf("%d folders were made before the first file was, %d in all, want %d", ahead.Load(), folders.Load(), want)
		}
	})
}

func TestRunGoesOnWhereTheLedgerStands(t *testing.T) {
	t.Parallel()
	files := tree(100)
	b := newBench(files)
	b.mustEnd(t, transfer.Complete)
	b.mustEnd(t, transfer.Complete)
	if n := b.target.Creates(); n != len(files) {
		t.Errorf("%d files created, want %d", n, len(files))
	}
	if n := b.source.Calls("list", ""); n != 1 {
		t.Errorf("the root was listed %d times", n)
	}
}

func TestAFileWhoseRowWasLostIsRecognisedAndCountedOnce(t *testing.T) {
	t.Parallel()
	files := map[string]string{"a.txt": "aa", "b.txt": "bb"}
	b := newBench(files)
	b.target.Put(transfertest.RootID, "a.txt", "aa")
	b.mustEnd(t, transfer.Complete)
	b.mustHave(t, files)
	if r := b.ledger.Results()["a.txt"]; r.Outcome != transfer.Done || r.Size != 2 || r.TargetName != "" {
		t.Errorf("result %+v", r)
	}
}

func TestALostAnswerMakesNoSecondCopy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(map[string]string{"a.txt": "aa"})
		var lost atomic.Bool
		b.target.After = func(string) error {
			if lost.CompareAndSwap(false, true) {
				return transfertest.Again(transfer.SideTarget, transfer.ReasonUnreachable)
			}
			return nil
		}
		b.mustEnd(t, transfer.Complete)
		b.mustHave(t, map[string]string{"a.txt": "aa"})
	})
}

func TestOtherContentUnderTheNameIsKept(t *testing.T) {
	t.Parallel()
	b := newBench(map[string]string{"a.txt": "new", "b": "new", ".c": "new"})
	b.target.Put(transfertest.RootID, "a.txt", "old")
	b.target.Put(transfertest.RootID, "a (2).txt", "older")
	b.target.Put(transfertest.RootID, "b", "longer old")
	b.target.Put(transfertest.RootID, ".c", "old")
	b.mustEnd(t, transfer.Complete)
	b.mustHave(t, map[string]string{
		"a.txt": "old", "a (2).txt": "older", "a (3).txt": "new",
		"b": "longer old", "b (2)": "new", ".c": "old", ".c (2)": "new",
	})
	if r := b.ledger.Results()["a.txt"]; r.TargetName != "a (3).txt" || !strings.Contains(r.Note, "taken") {
		t.Errorf("target name %q, note %q", r.TargetName, r.Note)
	}
}

func TestANumberIsNoNameThatTheSourceHasItself(t *testing.T) {
	t.Parallel()
	files := map[string]string{"a.txt": "same", "a (2).txt": "same", "a (3).txt": "same", "b": "same", "b (2)/b": "same"}
	b := newBench(files, "b (2)")
	b.target.Put(transfertest.RootID, "a.txt", "mine")
	b.target.Put(transfertest.RootID, "b", "mine")
	b.mustEnd(t, transfer.Complete)
	b.mustHave(t, map[string]string{
		"a.txt": "mine", "a (2).txt": "same", "a (3).txt": "same", "a (4).txt": "same",
		"b": "mine", "b (2)": "/", "b (2)/b": "same", "b (3)": "same",
	})
	if r := b.ledger.Results()["a.txt"]; r.TargetName != "a (4).txt" || !strings.Contains(r.Note, "taken") {
		t.Errorf("target name %q, note %q", r.TargetName, r.Note)
	}
}

func TestAFolderWhoseNameAFileHasGetsANumber(t *testing.T) {
	t.Parallel()
	b := newBench(map[string]string{"dir/a": "a"})
	b.target.Put(transfertest.RootID, "dir", "a file")
	b.mustEnd(t, transfer.Complete)
	b.mustHave(t, map[string]string{"dir": "a file", "dir (2)": "/", "dir (2)/a": "a"})
}

func TestACutListingLosesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		files := map[string]string{"a": "1", "b": "2", "c": "3"}
		b := newBench(files)
		b.source.CutList = func(string) (int, bool) { return 1, b.source.Calls("list", "") < 3 }
		b.mustEnd(t, transfer.Complete)
		b.mustHave(t, files)
	})
}

func TestAnEntryGetsItsPassesAndThenFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(map[string]string{"good": "1", "bad": "2"})
		b.source.Fault = func(call, path string) error {
			if call == "open" && path == "bad" {
				return transfertest.Again(transfer.SideSource, transfer.ReasonBusy)
			}
			return nil
		}
		b.mustEnd(t, transfer.Incomplete)
		b.mustEnd(t, transfer.Incomplete)
		b.mustEnd(t, transfer.Complete)
		if r := b.ledger.Results()["bad"]; r.Outcome != transfer.Failed || r.Reason != transfer.ReasonBusy {
			t.Errorf("result %+v", r)
		}
		b.mustHave(t, map[string]string{"good": "1"})
	})
}

func TestAVanishedFileFailsAloneAndAtOnce(t *testing.T) {
	t.Parallel()
	b := newBench(map[string]string{"good": "1", "gone": "2"})
	b.source.Fault = func(call, path string) error {
		if call == "open" && path == "gone" {
			return &transfer.Error{Side: transfer.SideSource, Class: transfer.EntryFails, Reason: transfer.ReasonNotFound, Err: errors.New("404")}
		}
		return nil
	}
	b.mustEnd(t, transfer.Complete)
	if n := b.source.Calls("open", "gone"); n != 1 {
		t.Errorf("opened %d times", n)
	}
	if r := b.ledger.Results()["gone"]; r.Outcome != transfer.Failed || r.Reason != transfer.ReasonNotFound {
		t.Errorf("result %+v", r)
	}
}

func TestASideThatIsDownEndsTheSliceAndBurnsNoAttempts(t *testing.T) {
	t.Parallel()
	for _, side := range []transfer.Side{transfer.SideSource, transfer.SideTarget} {
		t.Run(string(side), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBench(tree(50))
				down := func(call, _ string) error {
					if call == "open" || call == "create" || call == "check" {
						return transfertest.Again(side, transfer.ReasonUnreachable)
					}
					return nil
				}
				if side == transfer.SideSource {
					b.source.Fault = down
				} else {
					b.target.Fault = down
				}
				end := b.mustEnd(t, transfer.SideDown)
				if end.Side != side || end.Reason != transfer.ReasonUnreachable {
					t.Errorf("end %+v", end)
				}
				for p, r := range b.ledger.Results() {
					if r.Outcome != "" {
						t.Errorf("%s has the result %+v", p, r)
					}
				}
			})
		})
	}
}

func TestManyBadEntriesDoNotMakeASideDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(tree(60))
		b.source.Fault = func(call, _ string) error {
			if call == "open" {
				return transfertest.Again(transfer.SideSource, transfer.ReasonBusy)
			}
			return nil
		}
		b.mustEnd(t, transfer.Incomplete)
		for p, r := range b.ledger.Results() {
			if r.Outcome != transfer.Postponed {
				t.Errorf("%s has the result %+v", p, r)
			}
		}
	})
}

func TestAnErrorThatStopsTheMigrationStopsAllTransfers(t *testing.T) {
	t.Parallel()
	b := newBench(tree(200))
	b.source.Fault = func(call, _ string) error {
		if call == "open" {
			return transfertest.Stops(transfer.SideSource, transfer.ReasonLoginRefused)
		}
		return nil
	}
	_, err := b.run(t.Context())
	var e *transfer.Error
	if !errors.As(err, &e) || e.Reason != transfer.ReasonLoginRefused {
		t.Fatalf("error %v", err)
	}
	opened := 0
	for p := range b.source.Files {
		opened += b.source.Calls("open", p)
	}
	if opened > 16 {
		t.Errorf("%d files opened with a refused login, want at most one per transfer", opened)
	}
}

func TestABadCopyIsRemovedAndMadeAgain(t *testing.T) {
	t.Parallel()
	for _, content := range []string{"good", good} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(map[string]string{"a": content})
			var spoiled atomic.Bool
			b.target.Spoil = func(_ string, content []byte) []byte {
				if spoiled.CompareAndSwap(false, true) {
					return []byte("evil")
				}
				return content
			}
			b.mustEnd(t, transfer.Complete)
			b.mustHave(t, map[string]string{"a": content})
			if n := b.target.Removes(); n != 1 {
				t.Errorf("%d bytes: %d copies removed", len(content), n)
			}
		})
	}
}

func TestAWrongClaimOfTheSourceIsNotedAndCopied(t *testing.T) {
	t.Parallel()
	for _, content := range []string{"good", good} {
		claim := fmt.Sprintf("MD5:%x", md5.Sum([]byte(content)))
		b := newBench(map[string]string{"a": content, "b": content})
		b.source.Checksums = func(file string) string {
			if file == "a" {
				return "SHA1:0000 " + claim
			}
			return claim
		}
		b.mustEnd(t, transfer.Complete)
		b.mustHave(t, map[string]string{"a": content, "b": content})
		if r := b.ledger.Results()["b"]; r.Note != "" {
			t.Errorf("%d bytes: a true claim was noted: %q", len(content), r.Note)
		}
		for _, wrong := range []string{"MD5:00000000000000000000000000000000", "SHA1:0000000000000000000000000000000000000000"} {
			b := newBench(map[string]string{"a": content})
			b.source.Checksums = func(string) string { return wrong }
			b.mustEnd(t, transfer.Complete)
			b.mustHave(t, map[string]string{"a": content})
			if r := b.ledger.Results()["a"]; r.Note == "" || b.target.Removes() > 0 {
				t.Errorf("%d bytes: note %q of a wrong claim, %d copies removed", len(content), r.Note, b.target.Removes())
			}
		}
	}
}

func TestAFullTargetThatHasTheFileAlreadyIsNoError(t *testing.T) {
	t.Parallel()
	b := newBench(map[string]string{"a": "aa"})
	b.target.Put(transfertest.RootID, "a", "aa")
	b.target.Fault = func(call, _ string) error {
		if call == "create" {
			return transfertest.Stops(transfer.SideTarget, transfer.ReasonQuota)
		}
		return nil
	}
	b.mustEnd(t, transfer.Complete)
}

func TestDrainEndsBodiesAndBeginsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		files := map[string]string{}
		for i := range 100 {
			files[fmt.Sprint("f", i)] = "x"
		}
		b := newBench(files)
		release := make(chan struct{})
		b.source.Body = func(_ context.Context, _, content string) io.Reader {
			<-release
			return strings.NewReader(content)
		}
		go func() {
			synctest.Wait() // all transfers hold a body
			close(b.drain)
			close(release)
		}()
		b.mustEnd(t, transfer.Drained)
		done := 0
		for _, r := range b.ledger.Results() {
			if r.Outcome == transfer.Done {
				done++
			}
		}
		if done == 0 || done != b.target.Creates() || done == len(files) {
			t.Errorf("%d files recorded, %d created, of %d", done, b.target.Creates(), len(files))
		}
	})
}

func TestACutSliceRecordsWhatWasCopied(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(map[string]string{"a": "1", "b": "2", "slow": "3"})
		b.source.Body = func(ctx context.Context, file, content string) io.Reader {
			if file == "slow" {
				return transfertest.UntilDone(ctx)
			}
			return strings.NewReader(content)
		}
		cause := errors.New("canceled by a test")
		ctx, cancel := context.WithCancelCause(t.Context())
		go func() {
			synctest.Wait()
			cancel(cause)
		}()
		if _, err := b.run(ctx); !errors.Is(err, cause) {
			t.Fatalf("error %v", err)
		}
		results := b.ledger.Results()
		if results["a"].Outcome != transfer.Done || results["b"].Outcome != transfer.Done || results["slow"].Outcome != "" {
			t.Errorf("results %+v", results)
		}
		b.mustHave(t, map[string]string{"a": "1", "b": "2"})
	})
}

func TestALostLeaseRecordsNothingMore(t *testing.T) {
	t.Parallel()
	b := newBench(tree(50))
	b.ledger.Fault = func(call string) error {
		if call == "record" {
			return transfer.ErrLeaseLost
		}
		return nil
	}
	if _, err := b.run(t.Context()); !errors.Is(err, transfer.ErrLeaseLost) {
		t.Fatalf("error %v", err)
	}
}

// A process that was paused wakes up after the end of its migration.
func TestWhatALateHolderCopiedIsCountedOnceTheMigrationIsOver(t *testing.T) {
	t.Parallel()
	for name, over := range map[string]bool{"over": true, "in other hands": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(map[string]string{"a": "aa", "b": "bb"})
			b.source.Favorites = []string{"a"}
			b.ledger.Over = over
			ctx, cancel := context.WithCancelCause(t.Context())
			b.target.After = func(string) error {
				cancel(transfer.ErrLeaseLost)
				return nil
			}
			if _, err := b.run(ctx); !errors.Is(err, transfer.ErrLeaseLost) {
				t.Fatalf("error %v", err)
			}
			there, counted := b.target.Tree(), 0
			for _, r := range b.ledger.Results() {
				if r.Outcome == transfer.Done {
					counted++
				}
			}
			want := 0
			if over {
				want = len(there)
			}
			if counted != want || len(there) == 0 {
				t.Errorf("%d files counted, want %d: the target has %v", counted, want, there)
			}
		})
	}
}

// A process that was paused wakes up with its lease lost and a bad copy of its own in
// the target. The next holder may have found this very copy.
func TestALostLeaseRemovesNothing(t *testing.T) {
	t.Parallel()
	b := newBench(map[string]string{"a": "good"})
	b.target.Spoil = func(string, []byte) []byte { return []byte("evil") }
	b.ledger.Fault = func(call string) error {
		if call == "suspect" {
			return transfer.ErrLeaseLost
		}
		return nil
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	b.target.After = func(string) error {
		cancel(errors.New("the worker stops")) // it does not know better
		return nil
	}
	if _, err := b.run(ctx); err == nil {
		t.Fatal("no error")
	}
	if n := b.target.Removes(); n > 0 {
		t.Errorf("%d copies removed", n)
	}
}

// A process that died between the ledger and the target leaves a bad copy that the
// ledger names.
func TestABadCopyThatIsKnownGivesItsNameBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(map[string]string{"a": "good"})
		b.target.Spoil = func(string, []byte) []byte { return []byte("evil") }
		died := errors.New("died")
		ctx, cancel := context.WithCancelCause(t.Context())
		b.target.Fault = func(call, _ string) error {
			if call == "remove" {
				cancel(died)
				return transfertest.Again(transfer.SideTarget, transfer.ReasonUnreachable)
			}
			return nil
		}
		if _, err := b.run(ctx); !errors.Is(err, died) {
			t.Fatalf("error %v", err)
		}
		b.target.Spoil, b.target.Fault = nil, nil
		b.mustEnd(t, transfer.Complete)
		b.mustHave(t, map[string]string{"a": "good"})
		if n := b.target.Removes(); n != 1 {
			t.Errorf("%d copies removed", n)
		}
	})
}

func TestARecountFindsWhatWasSentAndNotRecorded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		files := tree(20)
		b := newBench(files)
		died := errors.New("died")
		ctx, cancel := context.WithCancelCause(t.Context())
		b.ledger.Fault = func(call string) error {
			if call == "record" {
				cancel(died)
				return died
			}
			return nil
		}
		if _, err := b.run(ctx); !errors.Is(err, died) {
			t.Fatalf("error %v", err)
		}
		b.ledger.Fault = nil
		there := b.target.Creates()
		if there == 0 {
			t.Fatal("nothing was sent: nothing would be shown")
		}
		err := transfer.Recount(t.Context(), transfer.Config{Source: b.source, Target: b.target, Ledger: b.ledger})
		if err != nil {
			t.Fatal(err)
		}
		done := 0
		for _, r := range b.ledger.Results() {
			if r.Outcome == transfer.Done {
				done++
			}
		}
		if done != there || b.target.Creates() != there {
			t.Errorf("%d files counted, %d are there, %d more were sent", done, there, b.target.Creates()-there)
		}
	})
}

func TestALedgerThatIsAwayIsWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		files := tree(20)
		b := newBench(files)
		var calls atomic.Int64
		b.ledger.Fault = func(string) error {
			if calls.Add(1)%3 != 0 {
				return &transfer.Error{Side: transfer.SideLedger, Class: transfer.Again, Reason: transfer.ReasonUnreachable, Err: io.EOF}
			}
			return nil
		}
		b.mustEnd(t, transfer.Complete)
		b.mustHave(t, withFolders(files))
	})
}

func TestAFolderThatCannotBeListedIsReportedAndTheRestComes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(map[string]string{"away/x": "1", "here/y": "2"})
		b.source.Fault = func(call, path string) error {
			if call == "list" && path == "away" {
				return transfertest.Again(transfer.SideSource, transfer.ReasonStorageAway)
			}
			return nil
		}
		b.mustEnd(t, transfer.Incomplete)
		b.mustEnd(t, transfer.Incomplete)
		b.mustEnd(t, transfer.Complete)
		if state, reason := b.ledger.FolderState("away"); state != "failed" || reason != transfer.ReasonStorageAway {
			t.Errorf("folder is %s (%s)", state, reason)
		}
		if b.target.Tree()["here/y"] != "2" {
			t.Error("the other folder did not come")
		}
	})
}

func TestARootThatCannotBeReadStopsTheMigration(t *testing.T) {
	t.Parallel()
	b := newBench(nil)
	b.source.Fault = func(call, _ string) error {
		if call == "list" {
			return &transfer.Error{Side: transfer.SideSource, Class: transfer.EntryFails, Reason: transfer.ReasonForbidden, Err: errors.New("403")}
		}
		return nil
	}
	_, err := b.run(t.Context())
	var e *transfer.Error
	if !errors.As(err, &e) || e.Class != transfer.MigrationStops {
		t.Fatalf("error %v", err)
	}
}

func TestAFolderThatVanishedIsMadeAnewWithThoseAboveIt(t *testing.T) {
	t.Parallel()
	files := map[string]string{"a/b/c/1": "1", "a/b/c/2": "2", "a/b/c/3": "3"}
	b := newBench(files)
	var opened atomic.Int64
	b.source.Fault = func(call, _ string) error {
		if call == "open" && opened.Add(1) == 1 { // all is listed by now, or will be into the new folders
			b.target.Trash(b.target.ID(transfertest.RootID, "a"))
		}
		return nil
	}
	end, err := transfer.Run(t.Context(), transfer.Config{
		Source: b.source, Target: b.target, Ledger: b.ledger, Transfers: 1, Listers: 1,
		Root: func(context.Context) (string, error) { return transfertest.RootID, nil },
	})
	if err != nil || end.Kind != transfer.Complete {
		t.Fatalf("end %+v, error %v", end, err)
	}
	b.mustHave(t, withFolders(files))
}

func TestAFileThatChangesWhileItIsReadIsReadAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(map[string]string{"a": "new"})
		var reads atomic.Int64
		b.source.Body = func(ctx context.Context, _, content string) io.Reader {
			if reads.Add(1) > 1 {
				return strings.NewReader(content)
			}
			return slowly{ctx, strings.NewReader("mix")}
		}
		// Listing and first answer carry the ETag from before the change.
		b.source.ETag = func() func(string) string {
			var asked atomic.Int64
			return func(file string) string {
				if file == "a" && asked.Add(1) <= 2 {
					return "before"
				}
				return "after"
			}
		}()
		b.mustEnd(t, transfer.Complete)
		b.mustHave(t, map[string]string{"a": "new"})
		if n := b.target.Creates(); n != 1 {
			t.Errorf("%d copies made, the mixed one among them", n)
		}
	})
}

// slowly takes longer than a change needs.
type slowly struct {
	ctx context.Context
	io.Reader
}

func (s slowly) Read(p []byte) (int, error) {
	ctx, cancel := context.WithTimeout(s.ctx, 3*time.Second)
	defer cancel()
	<-ctx.Done()
	return s.Reader.Read(p)
}

func TestACutSliceCountsWhatArrivedWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(map[string]string{"a": "content"})
		cause := errors.New("canceled by a test")
		ctx, cancel := context.WithCancelCause(t.Context())
		b.target.After = func(string) error {
			cancel(cause) // stored, and the answer is lost
			synctest.Wait()
			return transfertest.Again(transfer.SideTarget, transfer.ReasonUnreachable)
		}
		if _, err := b.run(ctx); !errors.Is(err, cause) {
			t.Fatalf("error %v", err)
		}
		if r := b.ledger.Results()["a"]; r.Outcome != transfer.Done {
			t.Errorf("the file is there and not counted: %+v", r)
		}
	})
}
