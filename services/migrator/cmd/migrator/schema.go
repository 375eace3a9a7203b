package main

import (
	"context"
	"fmt"
	"io"

	"example.org/ncm/pkg/config"
	"example.org/ncm/services/migrator/internal/postgres"
)

// schemaCommand applies the schema files that the ledger does not have yet.
type schemaCommand struct{}

func (*schemaCommand) settings() any { return new(LedgerConfig) }

// Run implements the command.
func (*schemaCommand) Run(ctx context.Context, stdout io.Writer) error {
	var cfg LedgerConfig
	if err := config.Load("", &cfg); err != nil {
		return err
	}
	applied, err := postgres.ApplySchema(ctx, cfg.DatabaseURL.Reveal())
	if err != nil {
		return err
	}
	for _, file := range applied {
		fmt.Fprintln(stdout, "applied", file)
	}
	_, err = fmt.Fprintln(stdout, "the schema is up to date")
	return err
}
