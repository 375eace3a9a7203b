// Bench measures the migrator beside a floor taken in the same run, on this
// machine: how many files a second, how many bytes, what a file costs.
//
// Everything is real and in processes of its own: the migrator's binary, its
// PostgreSQL and RabbitMQ, the simulated Nextcloud and Cozy. A migration is begun
// by its message and is over when its tracking document says so; every file is
// then compared with its source, so that a run that was fast and wrong does not
// count. The ways of a scenario take turns, and each
// ratio is to the first way of the same round.
//
//	bench [-profile default|quick|real|rclone|tracing] [-count N] [-only SCENARIO] [-files N] [-parallel N] [-many] [-migrator BINARY] [-rclone BINARY] [-json]
//
// The profile real has both servers cost what recorded ones did (nextcloudtest and
// cozytest know them as nextcloud32 and cozy-stack), and so predicts what real ones
// give; rclone copies the same files from the same source to a WebDAV server of ours;
// tracing sends spans to a collector of ours, and not.
//
// Settings come from the environment. BENCH_DATABASE_URL and BENCH_AMQP_URL, or
// else TEST_DATABASE_URL and TEST_AMQP_URL, name a database and a broker that
// nobody else uses; what is missing is started as a container of POSTGRES_IMAGE or
// RABBITMQ_IMAGE, by default those in .images.env.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// timeLimit ends a bench that hangs.
const timeLimit = 2 * time.Hour

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run is the bench, or the pipe that it starts of itself.
func run(ctx context.Context, args []string, stdin io.Reader, stdout io.Writer) error {
	if len(args) > 0 && args[0] == pipeCommand {
		return runPipe(ctx, stdin, stdout)
	}
	opts, err := parseOptions(args)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, timeLimit)
	defer cancel()
	return measure(ctx, opts, stdout)
}

// options are the command line's.
type options struct {
	scenarios []scenario
	profile   string
	count     int
	json      bool
	migrator  string // a binary to measure; empty: one is built
	rclone    string // a binary to measure beside it
}

func parseOptions(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.StringVar(&o.profile, "profile", "default", "what is moved: default, quick to see that everything works, real for recorded servers, rclone for rclone beside us, tracing for what traces cost")
	flags.IntVar(&o.count, "count", 5, "rounds of each scenario, all its ways in turn")
	only := flags.String("only", "", "measure this scenario only")
	files := flags.Int("files", 0, "move so many in each scenario of more than one, instead of what its profile says")
	parallel := flags.Int("parallel", 0, "move so many at once, instead of 16")
	flags.StringVar(&o.migrator, "migrator", "", "measure this binary instead of building one")
	flags.StringVar(&o.rclone, "rclone", "rclone", "the rclone to measure beside us")
	many := flags.Bool("many", false, "with the profile real, list 30,000 folders, too: some 20 minutes a round")
	flags.BoolVar(&o.json, "json", false, "print all measurements as JSON instead of a table")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 || o.count < 1 || *files < 0 || *parallel < 0 {
		return o, errors.New("no arguments are expected, and a count of 1 or more")
	}
	var err error
	if o.scenarios, err = pick(o.profile, *only, *many); err != nil {
		return o, err
	}
	if *files > 0 {
		resize(o.scenarios, *files)
	}
	if *parallel > 0 {
		widen(o.scenarios, *parallel)
	}
	return o, nil
}

// measure prepares everything, takes the measurements and prints them.
func measure(ctx context.Context, o options, stdout io.Writer) error {
	report := newReport(o)
	b, err := prepare(ctx, o)
	if err != nil {
		return err
	}
	defer b.close()
	for _, s := range o.scenarios {
		r, err := b.compare(ctx, s, o.count)
		if err != nil {
			return errors.Join(fmt.Errorf("scenario %s: %w", s.name, err), b.keepLogs())
		}
		report.Scenarios = append(report.Scenarios, r)
	}
	if o.json {
		return report.writeJSON(stdout)
	}
	return report.writeTable(stdout)
}
