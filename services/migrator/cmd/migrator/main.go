// Migrator moves the files of Nextcloud accounts into Cozy instances.
//
//	migrator run             consume requests and work on migrations until a signal
//	migrator migrate-once    move one account from here, without RabbitMQ
//	migrator list            print the migrations of the ledger
//	migrator show ID         print one with its timeline and what failed
//	migrator retry ID        have one go on, or failed entries tried again
//	migrator cancel ID       end one, as its user would
//	migrator purge           remove old migrations from the ledger
//	migrator dead-letters    list, replay or drop messages that were given up
//	migrator schema          bring the ledger's schema up to date, or print its status
//	migrator doctor          check all that the service depends on
//
// Settings come from the environment; COMMAND --help prints those it needs. The
// exit status is 0 when all is well, 1 when the command failed or was refused, 2
// when it was not understood and 130 after Ctrl-C.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"github.com/alecthomas/kong"
	// Images without a certificate store still verify public hosts.
	_ "golang.org/x/crypto/x509roots/fallback"

	"example.org/ncm/pkg/config"
	"example.org/ncm/pkg/service"
)

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	ctx, stop := service.SignalContext(context.Background())
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "migrator:", err)
		os.Exit(exitStatus(err))
	}
}

// gcPercent is by how much the heap may grow between collections, unless GOGC says
// it. What lives is about 10 MB whatever is moved, so that twice as much garbage as
// Go's default fits into 64 MB, for half the collections.
const gcPercent = 200

// Exit statuses besides 0.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130 // what shells use for Ctrl-C
)

// errUsage is wrapped when the arguments are not understood.
var errUsage = errors.New("try --help")

func exitStatus(err error) int {
	switch {
	case errors.Is(err, errUsage):
		return exitUsage
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	default:
		return exitFailed
	}
}

// commands are what the binary can do.
type commands struct {
	Version kong.VersionFlag `help:"Print the version."`

	Run         runCommand         `cmd:"" help:"Consume requests and work on migrations until SIGTERM."`
	MigrateOnce onceCommand        `cmd:"" help:"Move one account from here, without RabbitMQ and trigger."`
	List        listCommand        `cmd:"" help:"Print the migrations of the ledger."`
	Show        showCommand        `cmd:"" help:"Print one migration with its timeline and what failed."`
	Report      reportCommand      `cmd:"" help:"Print what became of each entry of a migration."`
	Retry       retryCommand       `cmd:"" help:"Have a migration go on now: one that waits, that failed, or that left entries behind."`
	Cancel      cancelCommand      `cmd:"" help:"End a migration, as its user would. What is copied stays."`
	Purge       purgeCommand       `cmd:"" help:"Remove migrations from the ledger that ended long ago."`
	DeadLetters deadLettersCommand `cmd:"" help:"Look after messages that were given up."`
	Schema      schemaCommand      `cmd:"" help:"Bring the ledger's schema up to date, or print its status."`
	Doctor      doctorCommand      `cmd:"" help:"Check all that the service depends on and say what to do. Changes nothing."`
}

// configured is a command with settings from the environment.
type configured interface {
	settings() any
}

// run does what the arguments say. What it prints for a person goes to stdout.
func run(ctx context.Context, args []string, stdout io.Writer) error {
	exited := false
	parser, err := newParser(ctx, stdout, func(int) { exited = true })
	if err != nil {
		return fmt.Errorf("declare the commands: %w", err)
	}
	parsed, err := parser.Parse(args)
	switch {
	case exited: // --help or --version
		return nil
	case err != nil:
		return fmt.Errorf("%w; %w", err, errUsage)
	}
	return parsed.Run()
}

func newParser(ctx context.Context, stdout io.Writer, exit func(int)) (*kong.Kong, error) {
	return kong.New(&commands{},
		kong.Name("migrator"),
		kong.Description("Moves the files of Nextcloud accounts into Cozy instances."),
		kong.Vars{"version": "migrator " + service.ThisBuild().String()},
		kong.Writers(stdout, stdout),
		kong.Exit(exit),
		kong.Help(help),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.BindTo(stdout, (*io.Writer)(nil)),
	)
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
