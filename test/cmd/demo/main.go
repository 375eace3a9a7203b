// Demo moves a source tree through the services that compose has brought up and
// checks every file of it. It is what `make demo` runs.
//
// It seeds a folder, gives it to the simulated Nextcloud, calls the trigger as
// the Settings page does, shows the tracking document as a progress bar, and then
// compares what lies in the folder with what the simulated Cozy holds. The exit
// status is 1 when anything differs, and 130 after Ctrl-C.
//
// Each flag may be given as an environment variable instead: DEMO_BIG for -big.
// The ports are also taken from the settings of compose.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"

	"example.org/ncm/pkg/service"
)

const (
	exitFailed      = 1
	exitInterrupted = 130 // what shells use for Ctrl-C
)

// takeDown is said whenever the demo ends while its containers go on.
const takeDown = "Take the demo down with: make demo-down"

func main() {
	ctx, stop := service.SignalContext(context.Background())
	code := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	cfg, err := parse(args, getenv, stderr)
	if err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		fmt.Fprintln(stderr, "demo:", err)
		return exitFailed
	}
	return play(ctx, cfg, stdout, stderr)
}

// play is one run of the demo and gives the exit status.
func play(ctx context.Context, cfg *config, stdout, stderr io.Writer) int {
	err := newDemo(cfg, stdout, newDisplay(stdout)).run(ctx)
	switch {
	case err == nil:
		fmt.Fprintln(stdout, takeDown)
		return 0
	case ctx.Err() != nil:
		fmt.Fprintln(stderr, "demo: interrupted; the containers go on.", takeDown)
		return exitInterrupted
	default:
		fmt.Fprintf(stderr, "demo: %v\n%s\n", err, takeDown)
		return exitFailed
	}
}

// newDisplay draws on a terminal and writes lines to everything else.
func newDisplay(w io.Writer) display {
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return newBar(w)
	}
	return &lines{w: w}
}
