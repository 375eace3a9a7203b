package worker_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/ncm/services/migrator/internal/transfer"
	"example.org/ncm/services/migrator/internal/transfertest"
	"example.org/ncm/services/migrator/internal/worker"
)

const reportName = "Migration report.csv"

func withProblem() *ledger {
	l := newLedger()
	l.lines = []transfer.Line{{Path: "a", TargetPath: "b", Renamed: true, Outcome: transfer.Done}}
	return l
}

// reports are the names of what is in the target besides the files of the source.
func (s *sides) reports() []string {
	tree := s.target.Tree()
	maps.DeleteFunc(tree, func(name, _ string) bool { return !strings.Contains(name, "report") })
	return slices.Sorted(maps.Keys(tree))
}

func TestAReportIsWrittenWhenItIsNeeded(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		when    worker.Report
		problem bool
		want    []string
	}{
		"nothing to say":            {"", false, nil},
		"something to say":          {"", true, []string{reportName}},
		"always":                    {worker.ReportAlways, false, []string{reportName}},
		"never":                     {worker.ReportNever, true, nil},
		"needed, and named as such": {worker.ReportNeeded, true, []string{reportName}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l, s := newLedger(), newSides(map[string]string{"a": "1"})
				if c.problem {
					l = withProblem()
				}
				b := startWith(t, l, s, func(cfg *worker.Config) { cfg.Report = c.when })
				if got := <-b.settled; got.State != transfer.StateCompleted {
					t.Errorf("%+v", got)
				}
				b.end()
				if diff := cmp.Diff(c.want, s.reports()); diff != "" {
					t.Errorf("reports (-want +got):\n%s", diff)
				}
				want := ""
				if c.want != nil {
					want = "/dst/" + reportName
				}
				if doc := s.tracking(); doc.Report != want || doc.ReportMissing != "" {
					t.Errorf("the document names %q, missing %q", doc.Report, doc.ReportMissing)
				}
			})
		})
	}
}

func TestAReportSurvivesATrouble(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		times  int // that the target fails to take it
		class  transfer.Class
		reason transfer.Reason
		want   string // part of report_missing
	}{
		"that passes":            {2, transfer.Again, transfer.ReasonBusy, ""},
		"that does not":          {100, transfer.Again, transfer.ReasonBusy, "The report could not be written: The server was busy"},
		"of a full instance":     {1, transfer.MigrationStops, transfer.ReasonQuota, "The Cozy is full"},
		"of an instance away":    {1, transfer.MigrationStops, transfer.ReasonInstanceGone, "does not exist any more"},
		"of a ledger that hangs": {0, 0, "", "did not answer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l, s := withProblem(), newSides(map[string]string{"a": "1"})
				l.stuck = c.times == 0
				s.target.Fault = func(call, name string) error {
					if call != "create" || name != reportName || c.times == 0 {
						return nil
					}
					c.times--
					return &transfer.Error{Side: transfer.SideTarget, Class: c.class, Reason: c.reason, Err: errors.New("no")}
				}
				began := time.Now()
				b := start(t, l, s)
				if got := <-b.settled; got.State != transfer.StateCompleted {
					t.Errorf("%+v", got)
				}
				if took := time.Since(began); took > 25*time.Second {
					t.Errorf("the final state came after %v", took)
				}
				b.end()
				doc := s.tracking()
				if (len(s.reports()) == 1) != (c.want == "") || !strings.Contains(doc.ReportMissing, c.want) || (doc.Report != "") != (c.want == "") {
					t.Errorf("reports %q, the document names %q, missing %q", s.reports(), doc.Report, doc.ReportMissing)
				}
				if len(doc.Errors) > 0 {
					t.Errorf("errors %v: they would keep the source from being deleted", doc.Errors)
				}
			})
		})
	}
}

func TestAReportWhoseWriterDiedIsFoundAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, s := withProblem(), newSides(map[string]string{"a": "1"})
		s.target.Put(transfertest.RootID, reportName, "of the user")
		b := start(t, l, s)
		<-b.settled
		b.end()
		want := []string{"Migration report (2).csv", reportName}
		if diff := cmp.Diff(want, s.reports()); diff != "" {
			t.Fatalf("reports (-want +got):\n%s", diff)
		}

		// The ledger has the same entries: it is there already.
		l.reopen()
		b = start(t, l, s)
		<-b.settled
		b.end()
		if diff := cmp.Diff(want, s.reports()); diff != "" || s.target.Replaces() != 0 {
			t.Errorf("%d replaced, reports (-want +got):\n%s", s.target.Replaces(), diff)
		}

		// It has others: the report is brought up to date.
		l.reopen()
		l.lines[0].Note = "another note"
		b = start(t, l, s)
		<-b.settled
		b.end()
		tree := s.target.Tree()
		if diff := cmp.Diff(want, s.reports()); diff != "" || !strings.Contains(tree[want[0]], "another note") || tree[reportName] != "of the user" {
			t.Errorf("%q, reports (-want +got):\n%s", tree, diff)
		}

		// The user changed it: it is left alone.
		l.reopen()
		s.target.Edit(s.target.ID(transfertest.RootID, want[0]), "edited")
		b = start(t, l, s)
		<-b.settled
		b.end()
		tree = s.target.Tree()
		if got := s.reports(); len(got) != 3 || tree[want[0]] != "edited" || !strings.Contains(tree["Migration report (3).csv"], "another note") {
			t.Errorf("reports %q", tree)
		}
	})
}

func TestAReportThatIsMangledOrUnansweredIsThereOnce(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*transfertest.Target){
		"mangled": func(target *transfertest.Target) {
			target.Spoil = func(name string, content []byte) []byte {
				if name == reportName && target.Removes() == 0 {
					return content[1:]
				}
				return content
			}
		},
		"unanswered": func(target *transfertest.Target) {
			target.After = func(name string) error {
				if name == reportName {
					return transfertest.Again(transfer.SideTarget, transfer.ReasonUnreachable)
				}
				return nil
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l, s := withProblem(), newSides(map[string]string{"a": "1"})
				spoil(s.target)
				b := start(t, l, s)
				<-b.settled
				b.end()
				if got, doc := s.reports(), s.tracking(); len(got) != 1 || !strings.HasPrefix(s.target.Tree()[got[0]], "\ufeffpath,") || doc.Report == "" {
					t.Errorf("reports %q, the document names %q, missing %q", got, doc.Report, doc.ReportMissing)
				}
			})
		})
	}
}

func TestACancellationDoesNotEndTheReport(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, s := withProblem(), newSides(map[string]string{"a": "1"})
		l.renew = func() (transfer.Renewal, error) { return transfer.Renewal{Canceled: true}, nil }
		l.lease.Canceled, l.snapshot.Started, l.snapshot.TargetDir = true, true, "/dst"
		b := start(t, l, s)
		if got := <-b.settled; got.State != transfer.StateCanceled {
			t.Errorf("%+v", got)
		}
		b.end()
		if got := s.reports(); len(got) != 1 {
			t.Errorf("reports %q", got)
		}
	})
}

func TestALeaseThatIsLostEndsTheReportAndNothingIsWritten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, s := withProblem(), newSides(map[string]string{"a": "1"})
		l.stuck = true
		l.renew = func() (transfer.Renewal, error) {
			if l.isStuck() {
				return transfer.Renewal{}, transfer.ErrLeaseLost
			}
			return transfer.Renewal{}, nil
		}
		b := start(t, l, s)
		<-time.After(time.Minute) // within the bubble
		b.end()
		select {
		case got := <-b.settled:
			t.Errorf("it was settled as %+v", got)
		default:
		}
	})
}

func TestAWorkerThatStopsLeavesTheReportToTheNext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, s := withProblem(), newSides(map[string]string{"a": "1"})
		l.stuck = true
		b := start(t, l, s)
		<-time.After(time.Second) // within the bubble
		if !l.isStuck() {
			t.Fatal("the report is not being written")
		}
		b.end()
		if got := <-b.settled; got.State != "" || got.Wait != 0 {
			t.Errorf("%+v, want the lease given back", got)
		}
		if got := s.reports(); len(got) != 0 {
			t.Errorf("reports %q", got)
		}
	})
}
