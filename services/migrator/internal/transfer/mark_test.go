package transfer_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.org/ncm/services/migrator/internal/transfer"
	"example.org/ncm/services/migrator/internal/transfertest"
)

// starred is a migration of two favourites and of others.
func starred() *bench {
	b := newBench(map[string]string{"dir/star.txt": "1", "dir/plain.txt": "2"}, "empty")
	b.source.Favorites = []string{"dir", "dir/star.txt"}
	return b
}

func TestFavoritesAreMarked(t *testing.T) {
	t.Parallel()
	b := starred()
	b.mustEnd(t, transfer.Complete)
	if diff := cmp.Diff([]string{"dir", "star.txt"}, b.target.Favorites()); diff != "" {
		t.Errorf("favourites (-want +got):\n%s", diff)
	}
}

func TestAFileThatCouldNotBeMarkedIsMarkedInALaterPass(t *testing.T) {
	t.Parallel()
	b := starred()
	b.source.Favorites = []string{"dir/star.txt"}
	away := true
	b.target.Fault = func(call, _ string) error {
		if call == "mark" && away {
			return transfertest.Again(transfer.SideTarget, transfer.ReasonBusy)
		}
		return nil
	}
	b.mustEnd(t, transfer.Incomplete)
	if got := b.ledger.Results()["dir/star.txt"].Outcome; got != transfer.Postponed {
		t.Fatalf("outcome %q before it is marked", got)
	}
	away = false
	b.mustEnd(t, transfer.Complete)
	b.mustHave(t, map[string]string{"dir": "/", "dir/star.txt": "1", "dir/plain.txt": "2", "empty": "/"})
	if got := b.target.Favorites(); len(got) != 1 || b.target.Creates() != 2 {
		t.Errorf("%q are favourites after %d files were made", got, b.target.Creates())
	}
}

func TestMarksThatAreRefusedLoseNothing(t *testing.T) {
	t.Parallel()
	b := starred()
	b.target.Fault = func(call, _ string) error {
		if call == "mark" {
			return &transfer.Error{
				Side: transfer.SideTarget, Class: transfer.EntryFails, Reason: transfer.ReasonNameRefused, Err: errors.New("no"),
			}
		}
		return nil
	}
	b.mustEnd(t, transfer.Complete)
	if got := b.ledger.Results()["dir/star.txt"]; got.Outcome != transfer.Done || got.Note == "" {
		t.Errorf("result %+v, want one that is done and has a note", got)
	}
}

func TestAFolderThatIsMadeAnewIsMarkedAgain(t *testing.T) {
	t.Parallel()
	b := starred()
	b.source.Favorites = []string{"dir"}
	trashed := false
	b.target.Fault = func(call, name string) error {
		if call == "create" && name == "star.txt" && !trashed {
			trashed = true
			b.target.Trash(b.target.ID(transfertest.RootID, "dir"))
		}
		return nil
	}
	end, err := transfer.Run(t.Context(), transfer.Config{
		Source: b.source, Target: b.target, Ledger: b.ledger, Transfers: 1,
		Root: func(_ context.Context) (string, error) { return transfertest.RootID, nil },
	})
	if err != nil || end.Kind != transfer.Complete || !trashed {
		t.Fatalf("ended as %+v, %v", end, err)
	}
	if got := b.target.Favorites(); len(got) != 1 {
		t.Errorf("%q are favourites", got)
	}
}
