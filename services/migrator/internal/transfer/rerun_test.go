package transfer_test

import (
	"errors"
	"fmt"
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.org/ncm/services/migrator/internal/transfer"
	"example.org/ncm/services/migrator/internal/transfertest"
)

// again is a bench whose files were copied by an earlier migration, with the
// ETag "1" each.
func again(t *testing.T, files map[string]string) *bench {
	t.Helper()
	b := newBench(files)
	b.source.Listed = map[string]string{}
	for p := range files {
		b.source.Listed[p] = "1"
	}
	b.mustEnd(t, transfer.Complete)
	next := newBench(maps.Clone(files))
	next.source.Listed = maps.Clone(b.source.Listed)
	next.target, next.ledger.Before = b.target, b.ledger
	return next
}

// change gives a source file another content.
func (b *bench) change(file, content string) {
	b.source.Files[file], b.source.Listed[file] = content, b.source.Listed[file]+"+"
}

func (b *bench) opened() (n int) {
	for p := range b.source.Files {
		n += b.source.Calls("open", p)
	}
	return n
}

// A file got a number, and then a file of that very name and content comes into the
// source, as a Nextcloud makes one of an upload whose name is taken.
func TestAFileWhoseNameIsTheNumberOfAnotherIsNotTakenForIt(t *testing.T) {
	t.Parallel()
	first := newBench(map[string]string{"a.txt": "same"})
	first.source.Listed = map[string]string{"a.txt": "1"}
	first.target.Put(transfertest.RootID, "a.txt", "mine")
	first.mustEnd(t, transfer.Complete)
	want := map[string]string{"a.txt": "mine", "a (2).txt": "same"}
	first.mustHave(t, want)

	b := newBench(map[string]string{"a.txt": "same", "a (2).txt": "same"})
	b.source.Listed = map[string]string{"a.txt": "1", "a (2).txt": "1"}
	b.target, b.ledger.Before = first.target, first.ledger
	b.mustEnd(t, transfer.Complete)
	want["a (2) (2).txt"] = "same"
	b.mustHave(t, want)
}

func TestARerunReadsOnlyWhatIsNewOrChanged(t *testing.T) {
	t.Parallel()
	files := tree(700)
	b := again(t, files)
	b.source.Files["d1/new.txt"] = "new"
	before := b.target.Creates()

	b.mustEnd(t, transfer.Complete)

	if n := b.opened(); n != 1 {
		t.Errorf("%d files were read, want the new one", n)
	}
	if n := b.target.Creates() - before; n != 1 {
		t.Errorf("%d files were made, want the new one", n)
	}
	for p, res := range b.ledger.Results() {
		if res.Outcome != transfer.Done || res.Size != int64(len(b.source.Files[p])) || len(res.MD5) == 0 || res.TargetID == "" {
			t.Fatalf("%s: %+v", p, res)
		}
	}
	b.mustHave(t, withFolders(b.source.Files))
}

// What a rerun makes of one file whose state it was in before, by policy.
func TestARerunFollowsThePolicyForWhatChanged(t *testing.T) {
	t.Parallel()
	const policies = 3
	all := [policies]transfer.OnChanged{transfer.KeepBoth, transfer.Overwrite, transfer.Skip}
	for _, c := range []struct {
		name  string
		since func(b *bench, id string)
		want  [policies]map[string]string // by policy
		skip  transfer.Reason             // with Skip
	}{
		{
			name:  "nothing changed",
			since: func(*bench, string) {},
			want:  [policies]map[string]string{{"a.txt": "one"}, {"a.txt": "one"}, {"a.txt": "one"}},
		},
		{
			name:  "changed in the source",
			since: func(b *bench, _ string) { b.change("a.txt", "two") },
			want:  [policies]map[string]string{{"a.txt": "one", "a (2).txt": "two"}, {"a.txt": "two"}, {"a.txt": "one"}},
			skip:  transfer.ReasonNewer,
		},
		{
			name:  "touched in the source, same content",
			since: func(b *bench, _ string) { b.change("a.txt", "one") },
			want:  [policies]map[string]string{{"a.txt": "one"}, {"a.txt": "one"}, {"a.txt": "one"}},
			skip:  transfer.ReasonNewer,
		},
		{
			name:  "changed by its owner in the target",
			since: func(b *bench, id string) { b.target.Edit(id, "mine") },
			want:  [policies]map[string]string{{"a.txt": "mine", "a (2).txt": "one"}, {"a.txt": "mine", "a (2).txt": "one"}, {"a.txt": "mine"}},
			skip:  transfer.ReasonEdited,
		},
		{
			name:  "changed on both sides",
			since: func(b *bench, id string) { b.target.Edit(id, "mine"); b.change("a.txt", "two") },
			want:  [policies]map[string]string{{"a.txt": "mine", "a (2).txt": "two"}, {"a.txt": "mine", "a (2).txt": "two"}, {"a.txt": "mine"}},
			skip:  transfer.ReasonEdited,
		},
		{
			name:  "changed on both sides to the same",
			since: func(b *bench, id string) { b.target.Edit(id, "two"); b.change("a.txt", "two") },
			want:  [policies]map[string]string{{"a.txt": "two"}, {"a.txt": "two"}, {"a.txt": "two"}},
			skip:  transfer.ReasonEdited,
		},
		{
			name:  "removed from the target",
			since: func(b *bench, id string) { b.target.Trash(id) },
			want:  [policies]map[string]string{{"a.txt": "one"}, {"a.txt": "one"}, {"a.txt": "one"}},
		},
		{
			name:  "removed from the target and changed in the source",
			since: func(b *bench, id string) { b.target.Trash(id); b.change("a.txt", "two") },
			want:  [policies]map[string]string{{"a.txt": "two"}, {"a.txt": "two"}, {"a.txt": "two"}},
		},
	} {
		for i, policy := range all {
			t.Run(fmt.Sprint(c.name, ", ", policy), func(t *testing.T) {
				t.Parallel()
				b := again(t, map[string]string{"a.txt": "one"})
				b.onChanged = policy
				c.since(b, b.target.ID(transfertest.RootID, "a.txt"))

				b.mustEnd(t, transfer.Complete)

				b.mustHave(t, c.want[i])
				res := b.ledger.Results()["a.txt"]
				want := transfer.Done
				if policy == transfer.Skip && c.skip != "" {
					want = transfer.Skipped
				}
				if res.Outcome != want || want == transfer.Skipped && res.Reason != c.skip {
					t.Errorf("result %+v, want %s %s", res, want, c.skip)
				}
				if want == transfer.Skipped && b.opened() > 0 {
					t.Error("a file that is skipped was read")
				}
			})
		}
	}
}

func TestAFileThatItsOwnerMovedWithinTheTargetIsCopiedAgain(t *testing.T) {
	t.Parallel()
	b := again(t, map[string]string{"d/a.txt": "one"})
	folder := b.target.ID(transfertest.RootID, "d")
	b.target.Move(b.target.ID(folder, "a.txt"), transfertest.RootID)
	b.mustEnd(t, transfer.Complete)
	b.mustHave(t, map[string]string{"d": "/", "d/a.txt": "one", "a.txt": "one"})
}

func TestAReplacementWhoseAnswerWasLostIsFoundAndNotMadeTwice(t *testing.T) {
	t.Parallel()
	b := again(t, map[string]string{"a.txt": "one"})
	b.onChanged = transfer.Overwrite
	b.change("a.txt", "two")
	lost := false
	b.target.After = func(string) error {
		if lost {
			return nil
		}
		lost = true
		return transfertest.Again(transfer.SideTarget, transfer.ReasonUnreachable)
	}
	b.mustEnd(t, transfer.Complete)
	b.mustHave(t, map[string]string{"a.txt": "two"})
	if n := b.target.Replaces(); n != 1 {
		t.Errorf("replaced %d times", n)
	}
}

func TestAReplacementThatWasNotRecordedIsFoundByTheNextHolder(t *testing.T) {
	t.Parallel()
	b := again(t, map[string]string{"a.txt": "one"})
	b.onChanged = transfer.Overwrite
	b.change("a.txt", "two")
	b.ledger.Fault = func(call string) error {
		if call == "record" {
			return errors.New("crash")
		}
		return nil
	}
	if _, err := b.run(t.Context()); err == nil {
		t.Fatal("the slice did not crash")
	}
	b.ledger.Fault = nil
	b.mustEnd(t, transfer.Complete)
	b.mustHave(t, map[string]string{"a.txt": "two"})
	if n := b.target.Replaces(); n != 1 {
		t.Errorf("replaced %d times", n)
	}
}

func TestABadReplacementIsReplacedAgain(t *testing.T) {
	t.Parallel()
	b := again(t, map[string]string{"a.txt": "one"})
	b.onChanged = transfer.Overwrite
	b.change("a.txt", "two")
	spoiled := false
	b.target.Spoil = func(_ string, content []byte) []byte {
		if spoiled {
			return content
		}
		spoiled = true
		return []byte("bad")
	}
	b.mustEnd(t, transfer.Complete)
	b.mustHave(t, map[string]string{"a.txt": "two"})
	if n := b.target.Removes(); n != 0 {
		t.Errorf("%d files were removed", n)
	}
}

func TestATargetThatCannotLookEarlierCopiesUpStillGetsEveryFileOnce(t *testing.T) {
	t.Parallel()
	files := map[string]string{"a.txt": "one", "b.txt": "two"}
	b := again(t, files)
	b.target.Fault = func(call, _ string) error {
		if call == "find all" {
			return &transfer.Error{Side: transfer.SideTarget, Class: transfer.EntryFails, Reason: transfer.ReasonForbidden, Err: errors.New("no such route")}
		}
		return nil
	}
	b.mustEnd(t, transfer.Complete)
	if diff := cmp.Diff(files, b.target.Tree()); diff != "" {
		t.Errorf("target (-want +got):\n%s", diff)
	}
}

func TestARerunAddsTheMarksThatAreNewAndNoOthers(t *testing.T) {
	t.Parallel()
	files := map[string]string{"new": "1", "unmarked": "2", "plain": "3", "changed": "4"}
	first := newBench(files)
	first.source.Listed = map[string]string{"new": "1", "unmarked": "1", "plain": "1", "changed": "1"}
	first.source.Favorites = []string{"unmarked"}
	first.mustEnd(t, transfer.Complete)
	first.target.Unmark(first.target.ID(transfertest.RootID, "unmarked"))

	b := newBench(maps.Clone(files))
	b.source.Listed = maps.Clone(first.source.Listed)
	b.target, b.ledger.Before, b.onChanged = first.target, first.ledger, transfer.Overwrite
	b.source.Favorites = []string{"new", "unmarked", "changed"}
	b.change("changed", "other content")
	away := true
	b.target.Fault = func(call, _ string) error {
		if call == "add marks" && away {
			return transfertest.Stops(transfer.SideTarget, transfer.ReasonAccessRefused)
		}
		return nil
	}
	if _, err := b.run(t.Context()); err == nil {
		t.Fatal("the target refused all marks, and the run ended well")
	}
	if got := b.ledger.Results()["new"].Outcome; got == transfer.Done {
		t.Error("a file has its result before its marks")
	}
	away = false
	b.mustEnd(t, transfer.Complete)
	if diff := cmp.Diff([]string{"changed", "new"}, b.target.Favorites()); diff != "" {
		t.Errorf("favourites (-want +got):\n%s", diff)
	}
	if n := b.source.Calls("open", "new"); n > 0 || b.target.Creates() != len(files) {
		t.Errorf("a file that was there is read %d times, %d files made", n, b.target.Creates())
	}
}

func TestMarksThatARerunCanNotAddAreNoted(t *testing.T) {
	t.Parallel()
	b := again(t, map[string]string{"a": "1"})
	b.source.Favorites = []string{"a"}
	b.target.Fault = func(call, _ string) error {
		if call == "add marks" {
			return &transfer.Error{Side: transfer.SideTarget, Class: transfer.EntryFails, Reason: transfer.ReasonParentGone, Err: errors.New("no")}
		}
		return nil
	}
	b.mustEnd(t, transfer.Complete)
	if got := b.ledger.Results()["a"]; got.Outcome != transfer.Done || got.Note == "" {
		t.Errorf("result %+v, want one that is done and has a note", got)
	}
}
