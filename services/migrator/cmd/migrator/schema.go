package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"example.org/ncm/pkg/config"
	"example.org/ncm/services/migrator/internal/postgres"
)

// schemaCommand looks after the ledger's schema; alone it brings it up to date.
type schemaCommand struct {
	Up     schemaUp     `cmd:"" default:"1" help:"Apply the schema files that the ledger does not have yet (the default). Safe at any time, also several at once."`
	Status schemaStatus `cmd:"" help:"Print which schema files are applied. Exit status 1 when some are not."`
}

func (*schemaCommand) settings() any { return new(LedgerConfig) }

type schemaUp struct{}

// Run implements the command.
func (*schemaUp) Run(ctx context.Context, stdout io.Writer) error {
	var cfg LedgerConfig
	if err := config.Load("", &cfg); err != nil {
		return err
	}
	applied, err := postgres.ApplySchema(ctx, cfg.DatabaseURL.Reveal())
	if err != nil {
		return postgres.Explain(err)
	}
	for _, file := range applied {
		fmt.Fprintln(stdout, "applied", file)
	}
	_, err = fmt.Fprintln(stdout, "the schema is up to date")
	return err
}

type schemaStatus struct {
	JSON bool `name:"json" help:"One JSON object a line instead of a table."`
}

// errSchemaBehind: a program may not run on an older schema than its own.
var errSchemaBehind = errors.New("the schema is behind; run: migrator schema")

// Run implements the command.
func (c *schemaStatus) Run(ctx context.Context, stdout io.Writer) error {
	var cfg LedgerConfig
	if err := config.Load("", &cfg); err != nil {
		return err
	}
	files, newest, err := postgres.Schema(ctx, cfg.DatabaseURL.Reveal())
	if err != nil {
		return postgres.Explain(err)
	}
	table := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	if !c.JSON {
		fmt.Fprintln(table, "VERSION\tFILE\tAPPLIED")
	}
	behind := false
	for _, f := range files {
		behind = behind || f.AppliedAt == nil
		if c.JSON {
			err = json.NewEncoder(stdout).Encode(f)
		} else {
			_, err = fmt.Fprintf(table, "%d\t%s\t%s\n", f.Version, f.Name, moment(f.AppliedAt))
		}
		if err != nil {
			return err
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	switch {
	case behind:
		return errSchemaBehind
	case newest > files[len(files)-1].Version && !c.JSON:
		_, err = fmt.Fprintf(stdout, "the ledger is at version %d, of a newer program; this one works on it\n", newest)
	}
	return err
}

// moment is a time as tables show it.
func moment(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}
