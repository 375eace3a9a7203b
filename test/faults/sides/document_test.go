package sides_test

import (
	"encoding/json"
	"regexp"
	"strings"

	"example.org/ncm/pkg/contract"
)

// wantDocument compares what the user sees with the ledger and the promise.
func (c *scene) wantDocument(row migrationRow, p promise) {
	c.t.Helper()
	raw, doc := c.document()
	want := contract.Progress{
		FilesImported: row.FilesDone, FilesTotal: row.FilesTotal, BytesImported: row.BytesDone, BytesTotal: row.BytesTotal,
	}
	if row.FoldersListed+row.FoldersSkipped < row.FoldersTotal || row.FoldersTotal == 0 {
		want.BytesTotal = max(row.BytesTotal, row.BytesExpected) // what the source announced
	}
	if doc.Progress != want {
		c.t.Errorf("progress is %+v, the ledger says %+v", doc.Progress, want)
	}
	if doc.Status != p.status || doc.FinishedAt == nil || doc.PauseReason != "" || doc.LastHeartbeatAt == nil || doc.SchemaVersion != contract.SchemaVersion {
		c.t.Errorf("tracking document %s", raw)
	}
	if (doc.FailureReason != "") != (p.status == contract.StatusFailed) || !strings.Contains(doc.FailureReason, p.reason) {
		c.t.Errorf("failure_reason is %q, want %q", doc.FailureReason, p.reason)
	}
	if doc.FailureReason != "" {
		c.wantWords(doc.FailureReason)
	}
	c.wantArrays(raw)
	c.wantErrors(doc, p)
	c.wantSkipped(doc, p)
}

// wantArrays: the Settings page walks both lists and does not expect null.
func (c *scene) wantArrays(raw json.RawMessage) {
	c.t.Helper()
	var lists struct{ Errors, Skipped json.RawMessage }
	decode(c.t, raw, &lists)
	if !strings.HasPrefix(string(lists.Errors), "[") || !strings.HasPrefix(string(lists.Skipped), "[") {
		c.t.Errorf("errors is %.20s, skipped is %.20s, want arrays", lists.Errors, lists.Skipped)
	}
}

// wantErrors checks that errors names each failed entry once, in words for a user,
// and last what ended it all.
func (c *scene) wantErrors(doc contract.Tracking, p promise) {
	c.t.Helper()
	listed := doc.Errors
	if p.status == contract.StatusFailed {
		if len(listed) == 0 || listed[len(listed)-1].Path != "" || listed[len(listed)-1].Message != doc.FailureReason {
			c.t.Errorf("errors do not end in the failure reason: %v", listed)
			return
		}
		listed = listed[:len(listed)-1]
	}
	for _, e := range listed {
		c.wantWords(e.Message)
	}
	if p.many {
		return
	}
	if len(listed) != len(p.failed) || doc.ErrorsTruncatedCount != 0 {
		c.t.Errorf("%d errors are listed and %d left out, want %d: %v", len(listed), doc.ErrorsTruncatedCount, len(p.failed), listed)
	}
	for _, e := range listed {
		words, known := p.failed[strings.TrimPrefix(e.Path, "/")]
		if !known || !strings.Contains(e.Message, words) || e.At.IsZero() {
			c.t.Errorf("error %+v, want %q", e, words)
		}
	}
}

func (c *scene) wantSkipped(doc contract.Tracking, p promise) {
	c.t.Helper()
	if p.many {
		return
	}
	if len(doc.Skipped) != len(p.skipped) {
		c.t.Errorf("%d entries are skipped, want %d: %v", len(doc.Skipped), len(p.skipped), doc.Skipped)
	}
	for _, s := range doc.Skipped {
		words, known := p.skipped[strings.TrimPrefix(s.Path, "/")]
		if !known || !strings.Contains(s.Reason, words) {
			c.t.Errorf("skipped %+v, want %q", s, words)
		}
		c.wantWords(s.Reason)
	}
}

var (
	sentence = regexp.MustCompile(`^[A-Z].*\.$`)                                                                                                             //nolint:gochecknoglobals // never written
	internal = regexp.MustCompile(`(?i)https?:|127\.0|\.test\b|remote\.php|exception|status|sql|\beof\b|context|goroutine|nil\b|[{}%_]|planted|md5|/files/`) //nolint:gochecknoglobals // never written
)

// wantWords checks that a text is meant for people.
func (c *scene) wantWords(text string) {
	c.t.Helper()
	if !sentence.MatchString(text) || internal.MatchString(text) {
		c.t.Errorf("the user is told %q", text)
	}
}
