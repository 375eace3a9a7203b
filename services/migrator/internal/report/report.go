// Package report puts what became of each entry of a migration into words, as a
// table for spreadsheets or as JSON.
package report

import (
	"encoding/csv"
	"encoding/hex"
	"io"
	"strconv"
	"strings"

	"example.org/ncm/services/migrator/internal/transfer"
)

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

// Write writes one row.
func (c *CSV) Write(r Row) error {
	return c.csv.Write([]string{cell(r.Path), r.Result, cell(r.Reason), strconv.FormatInt(r.Size, 10), r.MD5, cell(r.TargetPath)})
}

// Close writes what is buffered. The writer below stays open.
func (c *CSV) Close() error {
	c.csv.Flush()
	return c.csv.Error()
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
