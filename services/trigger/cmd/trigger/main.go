// Command trigger takes the requests of Cozy users who want their Nextcloud
// copied: it answers POST /remote/nextcloud/migration on the domains of all
// instances, checks who asks and the login, and hands the migration over to the
// workers through RabbitMQ. It keeps no state of its own, so any number may run.
//
// All settings come from the environment; --help lists them. On SIGTERM it
// reports itself as not ready, finishes the requests in hand and exits.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	_ "golang.org/x/crypto/x509roots/fallback" // the image has no certificates

	"example.org/ncm/pkg/config"
	"example.org/ncm/pkg/service"
)

func main() {
	ctx, stop := service.SignalContext(context.Background())
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "trigger:", err)
		os.Exit(1)
	}
}

// run is the program but for signals and the exit code. It returns when ctx
// ends and the requests in hand are answered.
func run(ctx context.Context, args []string, stdout io.Writer) error {
	var settings Config
	done, err := readFlags(args, stdout, &settings)
	if done || err != nil {
		return err
	}
	if err := config.Load("", &settings); err != nil {
		return fmt.Errorf("read settings: %w", err)
	}
	p, err := newProgram(ctx, settings, stdout)
	if err != nil {
		return err
	}
	return p.run(ctx)
}

// readFlags answers --help and --version, after which the program is done.
func readFlags(args []string, stdout io.Writer, settings *Config) (done bool, err error) {
	flags := flag.NewFlagSet("trigger", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	version := flags.Bool("version", false, "print the version")
	err = flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		_, _ = fmt.Fprint(stdout, "Usage: trigger [--help | --version]\n\nSettings are read from the environment:\n\n")
		return true, config.Usage(stdout, "", settings)
	case err != nil:
		return false, fmt.Errorf("read flags: %w", err)
	case flags.NArg() > 0:
		return false, fmt.Errorf("read flags: unexpected argument %q", flags.Arg(0))
	case *version:
		_, _ = fmt.Fprintln(stdout, "trigger", service.ThisBuild())
		return true, nil
	}
	return false, nil
}
