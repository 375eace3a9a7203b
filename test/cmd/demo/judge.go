package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/test/tree"
)

const lookAt = "look at it with: deploy/compose --profile demo ps; deploy/compose logs --tail 50"

var (
	errTooSlow = errors.New("the migration did not end in time; allow it more with -timeout, or " + lookAt)
	errDiffers = errors.New("the target is not what the source is: see the differences above")
)

// maxNotices of each kind are printed.
const maxNotices = 10

// judge compares both ends and prints the result. It fails unless all is well.
func (d *demo) judge(ctx context.Context, m migration, source string, doc *contract.Tracking, took time.Duration) error {
	complaints := d.notices(doc)
	if doc.Status != contract.StatusCompleted {
		d.links(m)
		return fmt.Errorf("the migration ended as %s: %s\nThe reason is in the logs: deploy/compose logs migrator-1 migrator-2", doc.Status, doc.FailureReason)
	}
	fmt.Fprintf(d.out, "Comparing what was seeded with what %s holds\n\n", m.instance)
	begun := time.Now()
	report, err := tree.Compare(tree.Disk(ctx, source), tree.Cozy(ctx, d.sides.client, d.cfg.cozy, m.instance, d.cfg.targetDir))
	if err != nil {
		return fmt.Errorf("compare: %w", err)
	}
	if err := report.WriteTable(d.out); err != nil {
		return fmt.Errorf("print the result: %w", err)
	}
	complaints += d.tally(doc, report.Source)
	fmt.Fprintf(d.out, "\nMigrated in %s: %.0f files/s, %s/s. Compared in %s.\n", seconds(took),
		float64(report.Target.Files)/took.Seconds(), tree.Bytes(float64(report.Target.Bytes)/took.Seconds()), seconds(time.Since(begun)))
	d.links(m)
	if complaints > 0 || report.Differences() > 0 {
		return errDiffers
	}
	fmt.Fprintln(d.out, "Every file and folder of the source is in the target: path, size, MD5 and mtime are equal.")
	return nil
}

// notices prints what the tracking document says went wrong, and counts it.
func (d *demo) notices(doc *contract.Tracking) int {
	for i, e := range doc.Errors {
		if i < maxNotices {
			fmt.Fprintf(d.out, "  failed %q: %s\n", e.Path, e.Message)
		}
	}
	for i, s := range doc.Skipped {
		if i < maxNotices {
			fmt.Fprintf(d.out, "  skipped %q: %s\n", s.Path, s.Reason)
		}
	}
	n := len(doc.Errors) + len(doc.Skipped) + int(doc.ErrorsTruncatedCount+doc.SkippedTruncatedCount)
	if n > 0 {
		fmt.Fprintf(d.out, "The tracking document lists %s entries that were not copied.\n", grouped(n))
	}
	return n
}

// tally checks the sums that the user was shown, and counts the wrong ones.
func (d *demo) tally(doc *contract.Tracking, source tree.Totals) int {
	files, size := int64(source.Files), source.Bytes
	wrong := 0
	for _, sum := range []struct {
		name      string
		got, want int64
	}{
		{"files_imported", doc.Progress.FilesImported, files},
		{"files_total", doc.Progress.FilesTotal, files},
		{"bytes_imported", doc.Progress.BytesImported, size},
		{"bytes_total", doc.Progress.BytesTotal, size},
	} {
		if sum.got != sum.want {
			wrong++
			fmt.Fprintf(d.out, "\nThe tracking document's %s is %s, the source has %s.", sum.name, tree.Grouped(sum.got), tree.Grouped(sum.want))
		}
	}
	if wrong == 0 {
		fmt.Fprint(d.out, "\nThe tracking document's sums are the source's.")
	}
	return wrong
}

// links tells where a person can look.
func (d *demo) links(m migration) {
	fmt.Fprintf(d.out, "\nThe result:            %s\n", d.sides.treeURL(m.instance))
	fmt.Fprintf(d.out, "The tracking document: %s\n\n", d.sides.documentsURL(m.instance))
}
