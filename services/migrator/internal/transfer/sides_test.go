package transfer_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"

	"example.org/ncm/services/migrator/internal/transfer"
	"example.org/ncm/services/migrator/internal/transfertest"
)

func TestAShorterBodyUnderTheListedETagIsNotTheFile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(map[string]string{"a": "the whole content"})
		b.source.ETag = func(string) string { return "listed" }
		cut := &cutOnce{Source: b.source, after: 5}
		end, err := transfer.Run(t.Context(), transfer.Config{Source: cut, Target: b.target, Ledger: listed{b.ledger}})
		if err != nil || end.Kind != transfer.Complete {
			t.Fatalf("end %+v, error %v", end, err)
		}
		b.mustHave(t, map[string]string{"a": "the whole content"})
		if cut.cuts != 1 || b.target.Removes() > 0 {
			t.Errorf("%d bodies cut, %d copies removed", cut.cuts, b.target.Removes())
		}
	})
}

func TestManyRefusalsAreAskedAbout(t *testing.T) {
	t.Parallel()
	b := newBench(tree(300))
	b.source.Fault = func(call, _ string) error {
		switch call {
		case "open":
			return &transfer.Error{Side: transfer.SideSource, Class: transfer.EntryFails, Reason: transfer.ReasonForbidden, Err: errors.New("403")}
		case "check":
			return transfertest.Stops(transfer.SideSource, transfer.ReasonLoginRefused)
		}
		return nil
	}
	_, err := b.run(t.Context())
	var e *transfer.Error
	if !errors.As(err, &e) || e.Reason != transfer.ReasonLoginRefused {
		t.Fatalf("error %v", err)
	}
	failed := 0
	for _, r := range b.ledger.Results() {
		if r.Outcome == transfer.Failed {
			failed++
		}
	}
	if most := 8 + 16; failed > most { // what it takes to ask, and what was under way meanwhile
		t.Errorf("%d files are blamed for what is about all of them, want at most %d", failed, most)
	}
}

func TestManyRefusedEntriesFailAloneWhileTheSideAnswers(t *testing.T) {
	t.Parallel()
	b := newBench(tree(100))
	b.source.Fault = func(call, path string) error {
		if call == "open" && !strings.HasPrefix(path, "d0/") {
			return &transfer.Error{Side: transfer.SideSource, Class: transfer.EntryFails, Reason: transfer.ReasonForbidden, Err: errors.New("403")}
		}
		return nil
	}
	b.mustEnd(t, transfer.Complete)
	for p, r := range b.ledger.Results() {
		if (r.Outcome == transfer.Done) != strings.HasPrefix(p, "d0/") {
			t.Errorf("%s has the result %+v", p, r)
		}
	}
}

func TestAFolderThatCannotBeListedLeavesNoneBehind(t *testing.T) {
	t.Parallel()
	b := newBench(map[string]string{"away/x": "1", "here/y": "2"}, "empty")
	b.source.Fault = func(call, path string) error {
		if call == "list" && path == "away" {
			return &transfer.Error{Side: transfer.SideSource, Class: transfer.EntryFails, Reason: transfer.ReasonForbidden, Err: errors.New("403")}
		}
		return nil
	}
	b.mustEnd(t, transfer.Complete)
	b.mustHave(t, map[string]string{"here": "/", "here/y": "2", "empty": "/"})
}

func TestAnOutageIsNotChargedToAFewEntries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(map[string]string{"a": "1", "b": "2"}) // too few to make a side suspect
		b.target.Fault = func(call, _ string) error {
			if call == "create" || call == "check" {
				return transfertest.Again(transfer.SideTarget, transfer.ReasonUnreachable)
			}
			return nil
		}
		b.mustEnd(t, transfer.SideDown)
		for p, r := range b.ledger.Results() {
			if r.Outcome != "" {
				t.Errorf("%s has the result %+v", p, r)
			}
		}
	})
}

// cutOnce gives one body that ends early and says that it is whole.
type cutOnce struct {
	*transfertest.Source
	after int64
	cuts  int
}

func (c *cutOnce) Open(ctx context.Context, file string) (*transfer.Body, error) {
	body, err := c.Source.Open(ctx, file)
	if err != nil || c.cuts > 0 {
		return body, err
	}
	c.cuts++
	body.Size = c.after
	body.ReadCloser = io.NopCloser(io.LimitReader(body.ReadCloser, c.after))
	return body, nil
}

// listed is a ledger that has an ETag for each file.
type listed struct{ *transfertest.Ledger }

func (l listed) Files(ctx context.Context, after int64, limit int) ([]transfer.File, error) {
	files, err := l.Ledger.Files(ctx, after, limit)
	for i := range files {
		files[i].ETag = "listed"
	}
	return files, err
}
