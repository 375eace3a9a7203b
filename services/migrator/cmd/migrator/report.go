package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"example.org/ncm/services/migrator/internal/operate"
	"example.org/ncm/services/migrator/internal/postgres"
	"example.org/ncm/services/migrator/internal/report"
	"example.org/ncm/services/migrator/internal/transfer"
)

// reportCommand prints what became of each entry, from the ledger. Its memory
// does not grow with them.
type reportCommand struct {
	onLedger

	ID   string `arg:"" help:"The migration's id, which is the tracking document's."`
	Only string `enum:"failed,skipped,renamed," default:"" help:"Only entries that failed, were skipped or are renamed: failed, skipped or renamed."`
	JSON bool   `name:"json" help:"One JSON object a line instead of CSV."`
}

// Run implements the command.
func (c *reportCommand) Run(ctx context.Context, stdout io.Writer) error {
	return c.open(ctx, func(ledger *postgres.Ledger) error {
		out := bufio.NewWriter(stdout)
		if err := c.print(ctx, ledger, out); err != nil {
			return errors.Join(err, out.Flush())
		}
		return out.Flush()
	})
}

func (c *reportCommand) print(ctx context.Context, ledger *postgres.Ledger, out io.Writer) error {
	s, ok, err := ledger.Snapshot(ctx, c.ID)
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("%w: %q", operate.ErrUnknown, c.ID)
	}
	lines := []transfer.Lines{transfer.Lines(c.Only)}
	if c.Only == "" {
		lines = []transfer.Lines{transfer.LinesProblems, transfer.LinesRest}
	}
	var write func(report.Row) error
	end := func() error { return nil }
	if c.JSON {
		encoder := json.NewEncoder(out)
		write = func(row report.Row) error { return encoder.Encode(row) }
	} else {
		table := report.NewCSV(out)
		write, end = table.Write, table.Close
	}
	for _, which := range lines {
		err := ledger.Lines(ctx, c.ID, which, func(l transfer.Line) error { return write(report.NewRow(s, l)) })
		if err != nil {
			return err
		}
	}
	return end()
}
