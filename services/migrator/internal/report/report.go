// Package report puts what became of each entry of a migration into words, as a
// table for spreadsheets or as JSON.
package report

import (
	"bufio"
	"encoding/csv"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
	"strings"

	"example.org/ncm/services/migrator/internal/transfer"
)

// Name is what the report is called in the target folder.
const Name = "Migration report.csv"

// StackMode is the remark on migrations of which the stack copied the files.
const StackMode = "The Cozy fetched the files by itself: dates, favourites, tags and checksums of the Nextcloud are not kept in this mode. " +
	"The dates of files are those of their copies, and only their sizes were compared."

// Row is one entry of a report.
type Row struct {
	Path       string `json:"path"`   // in the source, as its owner knows it
	Result     string `json:"result"` // imported, renamed, skipped, failed or pending
	Reason     string `json:"reason,omitempty"`
	Size       int64  `json:"size"` // bytes
	MD5        string `json:"md5,omitempty"`
	TargetPath string `json:"target_path,omitempty"` // where it differs
}

// NewRow puts an entry of a migration into words.
func NewRow(s transfer.Snapshot, l transfer.Line) Row {
	row := Row{Path: s.Path(l.Path), Size: l.Size, MD5: hex.EncodeToString(l.MD5)}
	if l.Folder {
		row.Path = strings.TrimRight(row.Path, "/") + "/"
	}
	if l.TargetPath != l.Path && l.Outcome != transfer.Failed && l.Outcome != transfer.Skipped {
		row.TargetPath = strings.TrimRight(s.TargetDir, "/") + "/" + l.TargetPath
	}
	switch {
	case l.Outcome == transfer.Failed:
		row.Result, row.Reason = "failed", transfer.Reason(l.Reason).Message()
	case l.Outcome == transfer.Skipped:
		row.Result, row.Reason = "skipped", l.Reason // in words already
	case l.Outcome != transfer.Done:
		row.Result, row.Reason, row.TargetPath = "pending", "The migration ended before it was copied.", ""
	case l.Renamed:
		row.Result, row.Reason = "renamed", "It has another name in the Cozy, where its own was taken or is not possible."
	default:
		row.Result = "imported"
	}
	if l.Outcome == transfer.Done && l.Note != "" {
		row.Reason = strings.TrimSpace(row.Reason + " Note: " + l.Note + ".")
	}
	return row
}

// CSV writes rows as RFC 4180 has it.
type CSV struct{ csv *csv.Writer }

// NewCSV begins with the names of the columns.
func NewCSV(w io.Writer) *CSV {
	c := &CSV{csv.NewWriter(w)}
	c.csv.UseCRLF = true
	_ = c.csv.Write([]string{"path", "result", "reason", "size", "md5", "target path"}) // an error is Close's as well
	return c
}

// Remark writes a row about all of it: words in the column of reasons alone, so that
// the table stays one.
func (c *CSV) Remark(words string) error {
	return c.csv.Write([]string{"", "remark", cell(words), "", "", ""})
}

// Write writes one row.
func (c *CSV) Write(r Row) error {
	return c.csv.Write([]string{cell(r.Path), r.Result, cell(r.Reason), strconv.FormatInt(r.Size, 10), r.MD5, cell(r.TargetPath)})
}

// Close writes what is buffered. The writer below stays open.
func (c *CSV) Close() error {
	c.csv.Flush()
	return c.csv.Error()
}

// Write writes the report of a migration for people: what is to be said of all of
// it, then the entries with problems, then the rest. It begins with the byte order
// mark, without which spreadsheets take it for another encoding. lines gives the
// entries to yield. The same entries give the same bytes.
func Write(
	w io.Writer, s transfer.Snapshot, remarks []string, lines func(which transfer.Lines, yield func(transfer.Line) error) error,
) error {
	out := bufio.NewWriterSize(w, 64<<10)
	_, _ = out.WriteString("\ufeff") // an error stays with the buffer
	table := NewCSV(out)
	// The id makes reports of reruns that met the same problems different files.
	head := fmt.Sprintf("Migration of %s to %s, begun %s, number %s",
		s.SourcePath, s.TargetDir, s.StartedAt.UTC().Format("2006-01-02 15:04 MST"), s.ID)
	for _, words := range append([]string{head}, remarks...) {
		if err := table.Remark(words); err != nil {
			return err
		}
	}
	for _, which := range []transfer.Lines{transfer.LinesProblems, transfer.LinesRest} {
		if err := lines(which, func(l transfer.Line) error { return table.Write(NewRow(s, l)) }); err != nil {
			return err
		}
	}
	if err := table.Close(); err != nil {
		return err
	}
	return out.Flush()
}

// cell defuses text that a spreadsheet would take for a formula, and shows control
// characters as their pictures: some would move the row's end.
func cell(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case r < ' ':
			return '\u2400' + r
		case r == 0x7f:
			return '\u2421'
		}
		return r
	}, text)
	if strings.HasPrefix(text, "=") || strings.HasPrefix(text, "+") || strings.HasPrefix(text, "-") || strings.HasPrefix(text, "@") {
		return "'" + text
	}
	return text
}
