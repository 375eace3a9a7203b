package sides_test

import (
	"bufio"
	"encoding/json"
	"iter"
	"net/http"
	"path"
	"slices"
	"strings"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/test/rig"
	"example.org/ncm/test/tree"
)

// promise is what a scene has to end with.
type promise struct {
	status contract.Status // completed when empty
	reason string          // part of the failure_reason, with status failed

	// failed names the entries that can't come, folders with all that is in them,
	// and part of what the user is told about each.
	failed map[string]string
	// skipped does the same for what was left out on purpose.
	skipped map[string]string
	// renamed gives the name in the target where it is another.
	renamed map[string]string
	// stopped: the end came before all was copied; what is there is right.
	stopped bool
	// disturbed: somebody else moved or destroyed what was copied before.
	disturbed bool
	// uncounted is how many files may have arrived after the end, when nobody was
	// left to count them.
	uncounted int
	// foreign are paths in the target folder that somebody else made.
	foreign []string
	// many: the entries that failed are not named here; huge: nor are the rows of
	// the ledger looked at one by one.
	many, huge bool
}

// aftermath holds a migration that has ended against its promise.
func (c *scene) aftermath(p promise) {
	c.t.Helper()
	if p.status == "" {
		p.status = contract.StatusCompleted
	}
	var row migrationRow
	until(c.t, rig.Patience, "final state mirrored, lease given back", func() bool {
		row = c.row()
		return row.Mirrored == row.Changed && row.LeaseOwner == ""
	})
	c.wantSidesEqual(p)
	c.wantLedgerSums(row, p)
	if !p.huge {
		c.wantLedgerMatchesTarget(row, p)
	}
	c.wantDocument(row, p)
	c.wantReport(p)
}

// wantReport checks that there is a report where there has to be one, under the name
// that the document tells, and no other.
func (c *scene) wantReport(p promise) {
	c.t.Helper()
	_, doc := c.document()
	needed := len(p.failed)+len(p.skipped) > 0 || slices.ContainsFunc(c.fileRows(), func(f fileRow) bool { return f.TargetName+f.Note != "" })
	switch {
	case c.mode.Plain() && doc.Report+doc.ReportMissing != "":
		c.t.Errorf("nobody wants a report, the document tells %q %q", doc.Report, doc.ReportMissing)
	case !c.mode.Plain() && needed && !p.stopped && doc.Report == "":
		c.t.Errorf("there is no report: %q", doc.ReportMissing)
	}
	if doc.ReportMissing != "" {
		c.wantWords(doc.ReportMissing)
	}
	var there []string
	for _, report := range c.cozy.Reports() {
		if !report.Trashed {
			there = append(there, report.Path)
		}
	}
	var told []string
	if doc.Report != "" {
		told = []string{doc.Report}
	}
	if !slices.Equal(there, told) {
		c.t.Errorf("reports in the target: %q, the document tells %q", there, doc.Report)
	}
}

// wantSidesEqual compares the two sides file by file.
func (c *scene) wantSidesEqual(p promise) {
	c.t.Helper()
	report, err := tree.Compare(c.expected(p), c.arrived(p))
	if err != nil {
		c.t.Fatalf("compare: %v", err)
	}
	different := report.Differences()
	if p.stopped || p.disturbed {
		different -= report.Counts[tree.Missing]
	}
	if different > 0 {
		var table strings.Builder
		_ = report.WriteTable(&table)
		c.t.Errorf("source and target differ:\n%s", table.String())
	}
}

// expected is the source without what can't come.
func (c *scene) expected(p promise) iter.Seq2[tree.Entry, error] {
	return func(yield func(tree.Entry, error) bool) {
		for e, err := range c.Files(c.user) {
			if err == nil && (within(e.Path, p.failed) || within(e.Path, p.skipped)) {
				continue
			}
			for from, to := range p.renamed {
				if rest, below := strings.CutPrefix(e.Path+"/", from+"/"); below {
					e.Path = strings.TrimSuffix(to+"/"+rest, "/")
					break
				}
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// arrived is the target folder without what others put there.
func (c *scene) arrived(p promise) iter.Seq2[tree.Entry, error] {
	return func(yield func(tree.Entry, error) bool) {
		for e, err := range c.cozy.Files(rig.TargetDir) {
			if err == nil && slices.Contains(p.foreign, e.Path) {
				continue
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// within says whether a path is, or is below, one of those named.
func within(p string, named map[string]string) bool {
	for ; p != "." && p != "/"; p = path.Dir(p) {
		if _, ok := named[p]; ok {
			return true
		}
	}
	return false
}

// wantLedgerSums compares the counters of the migration with its rows.
func (c *scene) wantLedgerSums(row migrationRow, p promise) {
	c.t.Helper()
	sums := c.sums()
	got := migrationRow{
		FilesTotal: row.FilesTotal, FilesDone: row.FilesDone, FilesFailed: row.FilesFailed, FilesSkipped: row.FilesSkipped,
		FoldersTotal: row.FoldersTotal, FoldersListed: row.FoldersListed, FoldersFailed: row.FoldersFailed, FoldersSkipped: row.FoldersSkipped,
		BytesTotal: row.BytesTotal, BytesDone: row.BytesDone,
	}
	if got != sums {
		c.t.Errorf("the ledger counts\n%+v, its rows add up to\n%+v", got, sums)
	}
	if !p.many && int(row.FilesFailed+row.FoldersFailed) != len(p.failed) {
		c.t.Errorf("%d files and %d folders failed, want %v: %v", row.FilesFailed, row.FoldersFailed, p.failed, c.noticeRows("failed"))
	}
	if row.State != string(p.status) {
		c.t.Errorf("the ledger says %s (%s), want %s", row.State, row.FailureReason, p.status)
	}
	left := row.FilesTotal - row.FilesDone - row.FilesFailed - row.FilesSkipped
	if !p.stopped && left != 0 {
		c.t.Errorf("%d files have no result", left)
	}
}

// targetEntry is an entry of the instance, with its id.
type targetEntry struct {
	Path    string `json:"path"`
	ID      string `json:"id"`
	Dir     bool   `json:"dir"`
	Size    int64  `json:"size"`
	MD5     string `json:"md5"`
	Trashed bool   `json:"trashed"`
}

// targetEntries are all entries of the instance, those in the trash too.
func (c *scene) targetEntries() map[string]targetEntry {
	c.t.Helper()
	answer, err := http.Get(c.AdminURL + "/_sim/tree?host=" + c.cozy.Host)
	if err != nil {
		c.t.Fatalf("list the target: %v", err)
	}
	defer answer.Body.Close()
	entries := make(map[string]targetEntry)
	for lines := json.NewDecoder(bufio.NewReader(answer.Body)); lines.More(); {
		var e targetEntry
		if err := lines.Decode(&e); err != nil {
			c.t.Fatalf("list the target: %v", err)
		}
		entries[e.ID] = e
	}
	return entries
}

// wantLedgerMatchesTarget looks for each file that the ledger counts as copied,
// by its id, and for files that it does not know of.
func (c *scene) wantLedgerMatchesTarget(row migrationRow, p promise) {
	c.t.Helper()
	entries := c.targetEntries()
	var bytes int64
	counted := make(map[string]bool)
	for _, f := range c.fileRows() {
		if f.State != "done" {
			continue
		}
		e, there := entries[f.TargetID]
		switch {
		case counted[f.TargetID]:
			c.t.Errorf("%s is counted twice", f.TargetID)
		case !there && p.disturbed:
		case !there || e.Dir || e.Size != f.Size || e.MD5 != f.MD5:
			c.t.Errorf("the ledger has %+v, the target %+v", f, e)
		case e.Trashed && !p.disturbed:
			c.t.Errorf("%s is in the trash", f.Path)
		case !p.disturbed && e.Path != path.Join(rig.TargetDir, c.nameIn(f, p)):
			c.t.Errorf("%s of the ledger is at %s", f.Path, e.Path)
		}
		counted[f.TargetID] = true
		bytes += e.Size
	}
	if !p.disturbed && bytes != row.BytesDone {
		c.t.Errorf("the ledger counts %d bytes, the target has %d", row.BytesDone, bytes)
	}
	var uncounted []string
	for _, e := range entries {
		rel, ours := strings.CutPrefix(e.Path, rig.TargetDir+"/")
		if ours && !e.Dir && !e.Trashed && !counted[e.ID] && !slices.Contains(p.foreign, rel) && !rig.IsReport(rel) {
			uncounted = append(uncounted, rel)
		}
	}
	if len(uncounted) > p.uncounted {
		c.t.Errorf("the target has what nobody counts: %v", uncounted)
	}
}

// nameIn is where a file of the ledger has to be below the target folder.
func (c *scene) nameIn(f fileRow, p promise) string {
	name := f.Path
	if f.TargetName != "" {
		name = path.Join(path.Dir(name), f.TargetName)
	}
	for from, to := range p.renamed {
		if rest, below := strings.CutPrefix(name, from+"/"); below {
			return path.Join(to, rest)
		}
	}
	return name
}
