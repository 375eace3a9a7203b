package worker_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/services/migrator/internal/transfer"
	"example.org/ncm/services/migrator/internal/transfertest"
	"example.org/ncm/services/migrator/internal/worker"
)

// hung makes every body wait until its slice is cut.
func hung(s *sides) {
	s.source.Body = func(ctx context.Context, _, _ string) io.Reader { return transfertest.UntilDone(ctx) }
}

func TestRenewalsShowWhatBothServersAreAskedForAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, s := newLedger(), newSides(map[string]string{"a": "1"})
		s.pace = fixedPace{limit: 8, used: 3, most: 64}
		hung(s)
		enough := make(chan struct{})
		l.renew = func() (transfer.Renewal, error) {
			if len(l.renewed) == 2 {
				close(enough)
			}
			return transfer.Renewal{}, nil
		}
		b := start(t, l, s)
		<-enough
		b.end()
		want := &transfer.Parallel{Source: transfer.Places{Limit: 8, Used: 3, Most: 64}}
		if diff := cmp.Diff([]*transfer.Parallel{want, want}, l.renewed); diff != "" {
			t.Errorf("shown (-want +got):\n%s", diff)
		}
	})
}

func TestASliceEndsAsItsWorkDid(t *testing.T) {
	t.Parallel()
	files := map[string]string{"a": "1", "b/c": "2"}
	failing := func(call string, err error) func(*ledger, *sides) {
		return func(_ *ledger, s *sides) {
			s.source.Fault = func(c, _ string) error {
				if strings.Contains(call, c) {
					return err
				}
				return nil
			}
		}
	}
	for name, tc := range map[string]struct {
		prepare func(*ledger, *sides)
		want    settled
	}{
		"all copied": {func(*ledger, *sides) {}, settled{State: transfer.StateCompleted}},
		"login refused": {
			failing("check", transfertest.Stops(transfer.SideSource, transfer.ReasonLoginRefused)),
			settled{State: transfer.StateFailed, Reason: transfer.ReasonLoginRefused},
		},
		"source down at the start": {
			failing("check", transfertest.Again(transfer.SideSource, transfer.ReasonUnreachable)),
			settled{Reason: transfer.ReasonUnreachable, Wait: 5 * time.Second, Pauses: 1},
		},
		"source down for long": {
			func(l *ledger, s *sides) {
				failing("check", transfertest.Again(transfer.SideSource, transfer.ReasonBusy))(l, s)
				l.lease.Pauses = 30
			},
			settled{Reason: transfer.ReasonBusy, Wait: 24 * time.Hour, Pauses: 31},
		},
		"the source says when": {
			failing("check", &transfer.Error{
				Side: transfer.SideSource, Class: transfer.Again, Reason: transfer.ReasonBusy,
				RetryAfter: 30 * time.Minute, Err: errors.New("429"),
			}),
			settled{Reason: transfer.ReasonBusy, Wait: 30 * time.Minute, Pauses: 1},
		},
		"ledger away at the start, a source that was down before": {
			func(l *ledger, _ *sides) {
				l.lease.Pauses = 30
				l.refusal = transfertest.Again(transfer.SideLedger, transfer.ReasonUnreachable)
			},
			settled{Wait: 2 * time.Second, Pauses: 30},
		},
		"one entry to be tried again": {
			failing("open", transfertest.Again(transfer.SideSource, transfer.ReasonBusy)),
			settled{Wait: 5 * time.Second, Pauses: 1},
		},
		"canceled before it was claimed": {
			func(l *ledger, _ *sides) { l.lease.Canceled = true },
			settled{State: transfer.StateCanceled},
		},
		"document deleted": {
			func(_ *ledger, s *sides) { s.gone = true },
			settled{State: transfer.StateFailed, Reason: transfer.ReasonWithdrawn},
		},
		"document of another source path": {
			func(_ *ledger, s *sides) { s.doc.SourcePath = "/src/private" },
			settled{State: transfer.StateFailed, Reason: transfer.ReasonWithdrawn},
		},
		"given up by the trigger": {
			func(_ *ledger, s *sides) { s.doc.Status = contract.StatusFailed },
			settled{State: transfer.StateFailed, Reason: transfer.ReasonWithdrawn},
		},
		"opened again by an operator": {
			func(l *ledger, s *sides) {
				l.lease.ReopenedFrom, s.doc.Status = transfer.StateFailed, contract.StatusFailed
			},
			settled{State: transfer.StateCompleted},
		},
		"opened again, and ended otherwise meanwhile": {
			func(l *ledger, s *sides) {
				l.lease.ReopenedFrom, s.doc.Status = transfer.StateFailed, contract.StatusCanceled
			},
			settled{State: transfer.StateFailed, Reason: transfer.ReasonWithdrawn},
		},
		"opened again, and its source deleted since": {
			func(l *ledger, s *sides) {
				l.lease.ReopenedFrom, s.doc.Status = transfer.StateCompleted, contract.StatusCompleted
				s.doc.SourceDeletedAt = new(time.Time)
			},
			settled{State: transfer.StateFailed, Reason: transfer.ReasonWithdrawn},
		},
		"opened again while its source is being deleted": {
			func(l *ledger, s *sides) {
				l.lease.ReopenedFrom, l.snapshot.ReopenedFrom = transfer.StateCompleted, transfer.StateCompleted
				l.snapshot.State, s.doc.Status = transfer.StateRunning, contract.StatusCompleted
				now := time.Now()
				s.doc.SourceDeletingAt = &now
			},
			settled{Wait: 5 * time.Second, Pauses: 1, Reason: transfer.ReasonDeleting},
		},
		"canceled while it runs": {
			func(l *ledger, s *sides) {
				hung(s)
				l.renew = func() (transfer.Renewal, error) { return transfer.Renewal{Canceled: true}, nil }
			},
			settled{State: transfer.StateCanceled},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l, s := newLedger(), newSides(files)
				tc.prepare(l, s)
				b := start(t, l, s)
				if diff := cmp.Diff(tc.want, <-b.settled); diff != "" {
					t.Errorf("settlement (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestAHolderThatCannotRenewStopsBeforeItsLeaseEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, s := newLedger(), newSides(map[string]string{"a": "1"})
		began := time.Now()
		ended := make(chan time.Duration, 1)
		s.source.Body = func(ctx context.Context, _, _ string) io.Reader {
			context.AfterFunc(ctx, func() { ended <- time.Since(began) })
			return transfertest.UntilDone(ctx)
		}
		l.renew = func() (transfer.Renewal, error) { return transfer.Renewal{}, errors.New("the database is away") }
		b := start(t, l, s)
		if after := <-ended; after >= 15*time.Second {
			t.Errorf("stopped after %v, the lease is 15 s", after)
		}
		b.end()
		select {
		case got := <-b.settled:
			t.Errorf("a lost lease was settled: %+v", got)
		default:
		}
	})
}

func TestALeaseThatAnotherHoldsEndsTheSliceAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, s := newLedger(), newSides(map[string]string{"a": "1"})
		began := time.Now()
		ended := make(chan time.Duration, 1)
		s.source.Body = func(ctx context.Context, _, _ string) io.Reader {
			context.AfterFunc(ctx, func() { ended <- time.Since(began) })
			return transfertest.UntilDone(ctx)
		}
		l.renew = func() (transfer.Renewal, error) { return transfer.Renewal{}, transfer.ErrLeaseLost }
		start(t, l, s)
		if after := <-ended; after != 5*time.Second {
			t.Errorf("stopped after %v, the first renewal is after 5 s", after)
		}
	})
}

func TestCancelCutsBodiesAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, s := newLedger(), newSides(map[string]string{"a": "1"})
		hung(s)
		b := start(t, l, s)
		synctest.Wait()
		asked := time.Now()
		b.worker.Cancel("m1")
		got := <-b.settled
		if got.State != transfer.StateCanceled || time.Since(asked) > time.Second {
			t.Errorf("%+v after %v", got, time.Since(asked))
		}
		synctest.Wait()
		if doc := s.tracking(); doc.Status != contract.StatusCanceled || doc.CanceledAt == nil {
			t.Errorf("tracking document %+v", doc)
		}
	})
}

func TestAStopGivesTheLeaseBackWithinItsGrace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, s := newLedger(), newSides(map[string]string{"a": "1"})
		hung(s)
		b := start(t, l, s)
		synctest.Wait()
		asked := time.Now()
		b.end()
		if got := <-b.settled; got != (settled{}) || time.Since(asked) > 2*time.Second {
			t.Errorf("%+v after %v", got, time.Since(asked))
		}
	})
}

func TestALongSliceYieldsWhenOthersWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		files := map[string]string{}
		for i := range 1000 {
			files[fmt.Sprint("f", i)] = "x"
		}
		l, s := newLedger(), newSides(files)
		s.source.Fault = func(call, _ string) error {
			if call == "open" {
				time.Sleep(time.Second) //nolint:forbidigo // the source's pace, in the bubble's time
			}
			return nil
		}
		l.renew = func() (transfer.Renewal, error) { return transfer.Renewal{Waiting: true}, nil }
		began := time.Now()
		b := start(t, l, s)
		if got := <-b.settled; got != (settled{}) {
			t.Errorf("%+v", got)
		}
		if took := time.Since(began); took < time.Minute || took > 70*time.Second {
			t.Errorf("yielded after %v", took)
		}
	})
}

func TestTheDocumentIsWrittenAtMostOnceASecondAndAtTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, s := newLedger(), newSides(map[string]string{"a": "1", "b": "2", "c": "3", "d": "4", "e": "5", "f": "6"})
		s.source.Fault = func(call, _ string) error {
			if call == "open" {
				time.Sleep(4 * time.Second) //nolint:forbidigo // the source's pace, in the bubble's time
				l.mu.Lock()
				l.snapshot.Changed++
				l.mu.Unlock()
			}
			return nil
		}
		b := start(t, l, s)
		<-b.settled
		b.end()
		for i := 1; i < len(s.writes); i++ {
			if gap := s.writes[i].Sub(s.writes[i-1]); gap < time.Second {
				t.Errorf("write %d came %v after the one before", i, gap)
			}
		}
		if doc := s.tracking(); doc.Status != contract.StatusCompleted || doc.FinishedAt == nil {
			t.Errorf("tracking document %+v", doc)
		}
	})
}

func TestAnEndThatIsNearIsNotKeptWaitingByAWriteBefore(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		done   int64 // of a hundred files, in the first second
		writes int
		took   time.Duration
	}{
		"near": {done: 60, writes: 1, took: 1500 * time.Millisecond},
		"far":  {done: 40, writes: 2, took: 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l, s := newLedger(), newSides(map[string]string{"a": "1"})
				l.snapshot.FoldersTotal, l.snapshot.FoldersListed, l.snapshot.FilesTotal = 1, 1, 100
				s.source.Fault = func(call, _ string) error {
					if call == "open" {
						l.mu.Lock()
						l.snapshot.Changed, l.snapshot.FilesDone = 2, c.done
						l.mu.Unlock()
						time.Sleep(1500 * time.Millisecond) //nolint:forbidigo // the bubble's time
					}
					return nil
				}
				began := time.Now()
				b := start(t, l, s)
				<-b.settled
				b.end()
				if n := len(s.writes); n != c.writes {
					t.Fatalf("%d writes", n)
				}
				if took := s.writes[c.writes-1].Sub(began); took.Round(100*time.Millisecond) != c.took {
					t.Errorf("the final state is written after %v", took)
				}
			})
		})
	}
}

func TestAFinalDocumentIsNeverOverwritten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, s := newLedger(), newSides(nil)
		s.doc.Status = contract.StatusCanceled
		b := start(t, l, s)
		<-b.settled
		b.end()
		if doc := s.tracking(); doc.Status != contract.StatusCanceled || len(s.writes) != 0 {
			t.Errorf("%d writes, status %s", len(s.writes), doc.Status)
		}
		if l.mirrored != l.snapshot.Changed {
			t.Error("the mirror would try for ever")
		}
	})
}

func TestTheDocumentListsAThousandAndCountsTheRest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, s := newLedger(), newSides(nil)
		for i := range 1500 {
			l.failed = append(l.failed, transfer.Notice{Path: fmt.Sprint("dir/f", i), Reason: string(transfer.ReasonForbidden)})
			l.skipped = append(l.skipped, transfer.Notice{Path: fmt.Sprint("s", i), Reason: "encrypted", Size: 3})
		}
		l.snapshot.FilesFailed, l.snapshot.FoldersSkipped = 1500, 1500
		s.source.Fault = func(string, string) error { return transfertest.Stops(transfer.SideTarget, transfer.ReasonQuota) }
		b := start(t, l, s)
		<-b.settled
		b.end()
		doc := s.tracking()
		if len(doc.Errors) != 1000 || doc.ErrorsTruncatedCount != 501 || len(doc.Skipped) != 1000 || doc.SkippedTruncatedCount != 500 {
			t.Errorf("%d errors (+%d), %d skipped (+%d)", len(doc.Errors), doc.ErrorsTruncatedCount, len(doc.Skipped), doc.SkippedTruncatedCount)
		}
		if last := doc.Errors[999]; last.Path != "" || last.Message != transfer.ReasonQuota.Message() || doc.FailureReason != last.Message {
			t.Errorf("what ended it is not shown: %+v, %q", last, doc.FailureReason)
		}
		if doc.Errors[0].Path != "/src/dir/f0" || doc.Errors[0].Message != transfer.ReasonForbidden.Message() {
			t.Errorf("first error %+v", doc.Errors[0])
		}
	})
}

func TestARequestWhoseDocumentIsOverMakesWayForTheNext(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status    contract.Status
		gone      bool
		begun     bool
		withdrawn bool
		later     bool
	}{
		"pending":                     {status: contract.StatusPending},
		"failed":                      {status: contract.StatusFailed, withdrawn: true},
		"gone":                        {gone: true, withdrawn: true},
		"failed, and just begun with": {status: contract.StatusFailed, begun: true, later: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, s := newLedger(), newSides(nil)
			l.waiting, l.begun, s.doc.Status, s.gone = "m0", c.begun, c.status, c.gone
			a := worker.Admission{
				Ledger: l, Sides: s, Logger: slog.New(slog.DiscardHandler),
				Host: func(fqdn string) (string, error) { return fqdn, nil },
			}
			err := a.Requested(t.Context(), []byte(`{"migrationId":"m1","workplaceFqdn":"alice","accountId":"a"}`))
			if (err != nil) != c.later || errors.Is(err, worker.ErrDead) {
				t.Errorf("error %v", err)
			}
			if (l.withdrawn == "m0") != c.withdrawn {
				t.Errorf("withdrawn is %q", l.withdrawn)
			}
		})
	}
}

func TestAdmissionRefusesWhatNoRedeliveryMends(t *testing.T) {
	t.Parallel()
	a := worker.Admission{
		Ledger: newLedger(),
		Host: func(fqdn string) (string, error) {
			if fqdn != "alice" && fqdn != "bob" {
				return "", errors.New("not allowed")
			}
			return fqdn, nil
		},
		Logger: slog.New(slog.DiscardHandler),
	}
	for body, dead := range map[string]bool{
		`{"migrationId":"m1","workplaceFqdn":"alice","accountId":"a","sourcePath":"/","timestamp":1,"new":true}`: false,
		`{"migrationId":"m1","workplaceFqdn":"evil","accountId":"a"}`:                                            true,
		`{"migrationId":"m1","accountId":"a"}`:                                                                   true,
		`{"migrationId":7}`:                                                                                      true,
		`nope`:                                                                                                   true,
		`{"migrationId":"m1","workplaceFqdn":"alice","accountId":"a","sourcePath":"\u0000"}`: true,
		strings.Repeat("x", contract.MaxMessageBytes+1):                                      true,
	} {
		if err := a.Requested(t.Context(), []byte(body)); errors.Is(err, worker.ErrDead) != dead || (err != nil) != dead {
			t.Errorf("%.60s: %v", body, err)
		}
	}
	if err := a.Canceled(t.Context(), []byte(`{"migrationId":"m1","workplaceFqdn":"alice"}`)); err != nil {
		t.Error(err)
	}
	if err := a.Canceled(t.Context(), []byte(`{"migrationId":"m1","workplaceFqdn":"bob"}`)); !errors.Is(err, worker.ErrDead) {
		t.Errorf("a cancellation from another instance: %v", err)
	}
}

func TestASourceThatDoesNotFitIsRefusedBeforeItStarts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, s := newLedger(), newSides(map[string]string{"a": strings.Repeat("x", 2600)})
		s.room, s.limited = 1000, true
		b := start(t, l, s)
		if got := <-b.settled; got.State != transfer.StateFailed || got.Reason != transfer.ReasonQuota {
			t.Errorf("%+v", got)
		}
		b.end()
		if reason := s.tracking().FailureReason; !strings.Contains(reason, "About 1.6 kB more are needed") {
			t.Errorf("failure reason %q", reason)
		}
		if n := s.target.Creates(); n != 0 {
			t.Errorf("%d files copied", n)
		}
	})
}

func TestWhatIsLeftOutNeedsNoRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, s := newLedger(), newSides(map[string]string{"a": "1", "archive.bin": strings.Repeat("x", 2600)})
		s.source.Skip = []string{"archive.bin"}
		s.room, s.limited = 1000, true
		b := start(t, l, s)
		if got := <-b.settled; got.State == transfer.StateFailed {
			t.Errorf("%+v", got)
		}
	})
}

func TestASnapshotNamesEntriesAsTheAccountDoes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		root   string
		single bool
		entry  string
		want   string
	}{
		{"/", false, "a/b.txt", "/a/b.txt"},
		{"/docs/", false, "a/b.txt", "/docs/a/b.txt"},
		{"docs", false, "", "/docs"},
		{"/docs/b.txt", true, "b.txt", "/docs/b.txt"},
		{"b.txt", true, "b.txt", "/b.txt"},
	} {
		s := transfer.Snapshot{Migration: transfer.Migration{SourcePath: test.root}, SourceIsFile: test.single}
		if got := s.Path(test.entry); got != test.want {
			t.Errorf("%q of %q is at %q, want %q", test.entry, test.root, got, test.want)
		}
	}
}

func TestABlipAtTheStartDoesNotPauseTheMigration(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, s := newLedger(), newSides(map[string]string{"a": "1"})
		blips := 2
		s.source.Fault = func(call, _ string) error {
			if call == "check" && blips > 0 {
				blips--
				return transfertest.Again(transfer.SideSource, transfer.ReasonUnreachable)
			}
			return nil
		}
		b := start(t, l, s)
		if got := <-b.settled; got.State != transfer.StateCompleted {
			t.Errorf("%+v", got)
		}
	})
}
