// Migrator moves the files of Nextcloud accounts into Cozy instances.
//
//	migrator run             consume requests and work on migrations until a signal
//	migrator schema          bring the ledger's schema up to date
//	migrator dead-letters    list, replay or drop messages that were given up
//
// Settings come from the environment; COMMAND --help prints those it needs.
package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/alecthomas/kong"
	// Images without a certificate store still verify public hosts.
	_ "golang.org/x/crypto/x509roots/fallback"

	"example.org/ncm/pkg/config"
	"example.org/ncm/pkg/service"
)

func main() {
	ctx, stop := service.SignalContext(context.Background())
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "migrator:", err)
		os.Exit(1)
	}
}

// commands are what the binary can do.
type commands struct {
	Version kong.VersionFlag `help:"Print the version."`

	Run         runCommand         `cmd:"" help:"Consume requests and work on migrations until SIGTERM."`
	Schema      schemaCommand      `cmd:"" help:"Bring the ledger's schema up to date."`
	DeadLetters deadLettersCommand `cmd:"" help:"Look after messages that were given up."`
}

// configured is a command with settings from the environment.
type configured interface {
	settings() any
}

// run does what the arguments say. What it prints for a person goes to stdout.
func run(ctx context.Context, args []string, stdout io.Writer) error {
	exited := false
	parser, err := kong.New(&commands{},
		kong.Name("migrator"),
		kong.Description("Moves the files of Nextcloud accounts into Cozy instances."),
		kong.Vars{"version": "migrator " + service.ThisBuild().String()},
		kong.Writers(stdout, stdout),
		kong.Exit(func(int) { exited = true }),
		kong.Help(help),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.BindTo(stdout, (*io.Writer)(nil)),
	)
	if err != nil {
		return fmt.Errorf("declare the commands: %w", err)
	}
	parsed, err := parser.Parse(args)
	switch {
	case exited: // --help or --version
		return nil
	case err != nil:
		return fmt.Errorf("%w; try --help", err)
	}
	return parsed.Run()
}

// help prints the arguments of a command and its settings.
func help(options kong.HelpOptions, ctx *kong.Context) error {
	if err := kong.DefaultHelpPrinter(options, ctx); err != nil {
		return err
	}
	for node := ctx.Selected(); node != nil; node = node.Parent {
		command, ok := node.Target.Addr().Interface().(configured)
		if !ok {
			continue
		}
		if _, err := fmt.Fprint(ctx.Stdout, "\nSettings, from the environment:\n"); err != nil {
			return err
		}
		return config.Usage(ctx.Stdout, "", command.settings())
	}
	return nil
}
