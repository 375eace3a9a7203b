package request_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/services/trigger/internal/request"
)

// eraseWorld has one completed migration, m1, of the given path.
func eraseWorld(t *testing.T, path string, entries ...string) *world {
	t.Helper()
	w := newWorld(t)
	w.sources.entries = entries
	d := tracked("m1", contract.StatusCompleted)
	d.SourcePath = path
	w.docs.add(d)
	return w
}

func (w *world) erase(ctx context.Context) error {
	return w.desk.DeleteSource(ctx, instance, "m1", false)
}

func (w *world) change(change func(d *request.Document)) {
	d, _ := w.docs.get("m1")
	change(&d)
	w.docs.put(d)
}

func (w *world) stamped() bool {
	d, _ := w.docs.get("m1")
	return d.SourceDeletedAt != nil
}

var (
	errLocked = fmt.Errorf("%w: %w", request.ErrEntry, &request.Error{Code: request.CodeUnreachable, Message: "locked"})
	errDown   = &request.Error{Code: request.CodeUnreachable, Message: "down"}
)

func TestDeleteSourceDeletesThenEmptiesTheTrashThenStamps(t *testing.T) {
	t.Parallel()
	for path, want := range map[string][]string{
		"/":               {"list", "delete a", "delete b", "trash"},
		"/Photos/2024 é/": {"list", "delete Photos/2024 é", "trash"},
		"Photos":          {"list", "delete Photos", "trash"},
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			w := eraseWorld(t, path, "a", "b")
			w.sources.onTrash = func() error {
				if w.stamped() {
					t.Error("the document was stamped before the trashbin was empty")
				}
				return nil
			}
			if err := w.erase(t.Context()); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, w.sources.calls); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
			if !w.stamped() {
				t.Error("the document is not stamped")
			}
		})
	}
}

func TestDeleteSourceRefusesByTheState(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change  func(d *request.Document)
		message string
	}{
		"pending":  {func(d *request.Document) { d.Status = contract.StatusPending }, "nextcloud migration source can only be deleted after a completed migration"},
		"canceled": {func(d *request.Document) { d.Status = contract.StatusCanceled }, "nextcloud migration source can only be deleted after a completed migration"},
		"deleted":  {func(d *request.Document) { d.SourceDeletedAt = ago(time.Hour) }, "nextcloud migration source already deleted"},
		"up":       {func(d *request.Document) { d.SourcePath = "/a/../../bob" }, "the source_path of the migration is not a clean path"},
		"dot":      {func(d *request.Document) { d.SourcePath = "/./" }, "the source_path of the migration is not a clean path"},
		"doubled":  {func(d *request.Document) { d.SourcePath = "/a//b" }, "the source_path of the migration is not a clean path"},
		"no path":  {func(d *request.Document) { d.SourcePath = "" }, "the source_path of the migration is not a clean path"},
		"other account": {
			func(d *request.Document) { d.Source = request.Source{URL: "https://old.example/", UserID: "joe_uid"} },
			"the nextcloud account of the migration was replaced by another one",
		},
		"other user": {
			func(d *request.Document) { d.Source = request.Source{URL: "https://cloud.example/", UserID: "ann"} },
			"the nextcloud account of the migration was replaced by another one",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := eraseWorld(t, "/", "a")
			w.change(c.change)
			err := w.desk.DeleteSource(t.Context(), instance, "m1", true)
			wantCode(t, err, request.CodeConflict)
			if got := request.MessageOf(err); got != c.message {
				t.Errorf("message %q, want %q", got, c.message)
			}
			if len(w.sources.calls) != 0 {
				t.Errorf("the source was asked: %v", w.sources.calls)
			}
		})
	}
	wantCode(t, eraseWorld(t, "/").desk.DeleteSource(t.Context(), instance, "other", false), request.CodeNotFound)
}

func TestDeleteSourceRefusesWhileFilesWouldBeLost(t *testing.T) {
	t.Parallel()
	failure := contract.Failure{Path: "/x"}
	for name, c := range map[string]struct {
		change func(t *contract.Tracking)
		lost   string
	}{
		"error":          {func(d *contract.Tracking) { d.Errors = []contract.Failure{failure, failure} }, "2 files"},
		"skipped":        {func(d *contract.Tracking) { d.Skipped = []contract.Skip{{Path: "/y"}} }, "1 files"},
		"truncated":      {func(d *contract.Tracking) { d.ErrorsTruncatedCount, d.SkippedTruncatedCount = 500, 7 }, "507 files"},
		"not imported":   {func(d *contract.Tracking) { d.Progress = contract.Progress{FilesTotal: 10, FilesImported: 4} }, "6 files"},
		"counted in two": {func(d *contract.Tracking) { d.Progress.FilesTotal, d.Errors = 3, []contract.Failure{failure} }, "3 files"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := eraseWorld(t, "/", "a")
			w.change(func(d *request.Document) { c.change(&d.Tracking) })
			err := w.erase(t.Context())
			wantCode(t, err, request.CodeConflict)
			if !strings.HasPrefix(request.MessageOf(err), c.lost+" of the nextcloud migration were not imported") {
				t.Errorf("message %q", request.MessageOf(err))
			}
			if len(w.sources.calls) != 0 {
				t.Errorf("the source was asked: %v", w.sources.calls)
			}
			if err := w.desk.DeleteSource(t.Context(), instance, "m1", true); err != nil || !w.stamped() {
				t.Errorf("by force: %v", err)
			}
		})
	}
}

func TestDeleteSourceLetsAnotherMigrationFinish(t *testing.T) {
	t.Parallel()
	w := eraseWorld(t, "/", "a")
	w.docs.add(tracked("m2", contract.StatusRunning))
	wantCode(t, w.desk.DeleteSource(t.Context(), instance, "m1", true), request.CodeConflict)
	if len(w.sources.calls) != 0 {
		t.Errorf("the source was asked: %v", w.sources.calls)
	}
}

func TestUncheckedDeletionIsTheStacks(t *testing.T) {
	t.Parallel()
	w := eraseWorld(t, "/", "a")
	w.docs.add(tracked("m2", contract.StatusRunning))
	w.change(func(d *request.Document) { d.Progress.FilesTotal = 5 })
	w.deps.DeleteUnchecked = true
	w.desk = request.New(w.deps)
	if err := w.erase(t.Context()); err != nil || !w.stamped() {
		t.Errorf("delete: %v", err)
	}
}

func TestDeleteSourceGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fail func(w *world, err error)
		err  error
		code request.Code
	}{
		"at the list":       {func(w *world, err error) { w.sources.onList = func() error { return err } }, errDown, request.CodeUnreachable},
		"at an entry":       {func(w *world, err error) { w.sources.onDelete = only("b", err) }, errDown, request.CodeUnreachable},
		"at a locked entry": {func(w *world, err error) { w.sources.onDelete = only("a", err) }, errLocked, request.CodeUnreachable},
		"at the login": {
			func(w *world, err error) { w.sources.onDelete = only("b", err) },
			&request.Error{Code: request.CodeBadCredentials}, request.CodeBadCredentials,
		},
		"at the trashbin": {func(w *world, err error) { w.sources.onTrash = func() error { return err } }, errDown, request.CodeUnreachable},
		"at the stamp":    {func(w *world, err error) { w.docs.onWrite = func(string) error { return err } }, errors.New("stack is away"), request.CodeInternal},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := eraseWorld(t, "/", "a", "b", "c")
			c.fail(w, c.err)
			wantCode(t, w.erase(t.Context()), c.code)
			if w.stamped() {
				t.Fatal("the document is stamped all the same")
			}
			c.fail(w, nil)
			if err := w.erase(t.Context()); err != nil {
				t.Fatalf("again: %v", err)
			}
			if len(w.sources.entries) != 0 || len(w.sources.trash) != 0 || !w.stamped() {
				t.Errorf("left: %v, in the trash: %v", w.sources.entries, w.sources.trash)
			}
		})
	}
}

func only(path string, err error) func(string) error {
	return func(got string) error {
		if got == path {
			return err
		}
		return nil
	}
}

func TestOneEntryDoesNotKeepTheOthers(t *testing.T) {
	t.Parallel()
	w := eraseWorld(t, "/", "a", "b", "c", "d")
	w.sources.onDelete = only("b", errLocked)
	err := w.erase(t.Context())
	if got := request.MessageOf(err); got != "1 of 4 entries could not be deleted on the nextcloud, please retry later" {
		t.Errorf("message %q", got)
	}
	if diff := cmp.Diff([]string{"b"}, w.sources.entries); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
}

func TestASourceThatRefusesEverythingIsLeftAlone(t *testing.T) {
	t.Parallel()
	w := eraseWorld(t, "/", "a", "b", "c", "d", "e", "f", "g", "h")
	w.sources.onDelete = func(string) error { return errLocked }
	wantCode(t, w.erase(t.Context()), request.CodeUnreachable)
	if asked := len(w.sources.calls); asked != 6 {
		t.Errorf("%d calls, want a list and 5 deletions", asked)
	}
}

func TestOnlyOneDeletionRunsAtATimeAndACallerMayLeave(t *testing.T) {
	t.Parallel()
	w := eraseWorld(t, "/", "a", "b")
	inside, goOn := make(chan struct{}), make(chan struct{})
	w.sources.onDelete = func(path string) error {
		if path == "a" {
			close(inside)
			<-goOn
		}
		return nil
	}
	ctx, leave := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.erase(ctx) }()
	<-inside
	err := w.erase(t.Context())
	wantCode(t, err, request.CodeConflict)
	if got := request.MessageOf(err); got != "nextcloud migration source is being deleted" {
		t.Errorf("message %q", got)
	}
	leave()
	close(goOn)
	if err := <-done; err != nil || !w.stamped() {
		t.Errorf("after the caller left: %v", err)
	}
}

func TestAStopEndsDeletionsAndTheyMayBeRetried(t *testing.T) {
	t.Parallel()
	w := eraseWorld(t, "/", "a", "b")
	w.sources.onDelete = func(string) error { w.desk.StopErasing(); return errUntilTheEnd }
	wantCode(t, w.erase(t.Context()), request.CodeUnavailable)
	if w.stamped() {
		t.Fatal("the document is stamped all the same")
	}
	w.sources.onDelete = only("", nil)
	w.desk = request.New(w.deps) // the next process
	if err := w.erase(t.Context()); err != nil || !w.stamped() {
		t.Errorf("by the next process: %v", err)
	}
}

func TestADeletionIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		names := make([]string, 2000)
		for n := range names {
			names[n] = fmt.Sprint(n)
		}
		w := eraseWorld(t, "/", names...)
		w.sources.onDelete = func(string) error { pass(time.Second); return nil }
		began := time.Now()
		wantCode(t, w.erase(t.Context()), request.CodeUnavailable)
		if took := time.Since(began); took > request.EraseTimeout {
			t.Errorf("it took %s", took)
		}
		wantCode(t, w.erase(t.Context()), request.CodeUnavailable)
		if err := w.erase(t.Context()); err != nil || !w.stamped() {
			t.Errorf("three calls were not enough: %v", err)
		}
	})
}

func TestDeleteSourceNeedsTheAccount(t *testing.T) {
	t.Parallel()
	w := eraseWorld(t, "/", "a")
	w.accounts.login = func() (contract.Account, error) { return contract.Account{}, request.ErrNotFound }
	wantCode(t, w.erase(t.Context()), request.CodeConflict)
	if len(w.sources.calls) != 0 {
		t.Errorf("the source was asked: %v", w.sources.calls)
	}
}
