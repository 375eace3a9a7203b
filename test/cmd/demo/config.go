package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"example.org/ncm/test/tree"
)

// smallFiles and smallBig are the tree of -small.
const (
	smallFiles = 300
	smallBig   = 50_000_000
	usualBig   = 1_000_000_000
)

type config struct {
	trigger, nextcloud, cozy string // as this machine reaches them
	operator                 string // the page of a migrator, likewise
	nextcloudURL             string // as the services reach it
	instance, user           string
	targetDir                string
	dir                      string
	small                    bool
	files                    int // most that are copied of Go's source; 0: all
	big                      tree.Bytes
	wait, timeout, poll      time.Duration
}

// parse reads the flags, and for those that are not given the environment.
func parse(args []string, getenv func(string) string, help io.Writer) (*config, error) {
	c := &config{}
	local := func(setting, port string) string {
		return "http://127.0.0.1:" + cmp.Or(getenv(setting), port)
	}
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.SetOutput(help)
	flags.StringVar(&c.trigger, "trigger", local("TRIGGER_PORT", "18080"), "the trigger's API, from here")
	flags.StringVar(&c.operator, "operator", local("MIGRATOR_OPS_PORT", "19091"), "the migrators' page for operators, from here")
	flags.StringVar(&c.nextcloud, "nextcloud", local("NEXTCLOUD_PORT", "18090"), "the simulated Nextcloud, from here")
	flags.StringVar(&c.cozy, "cozy", local("COZY_PORT", "18091"), "the simulated Cozy stack, from here")
	flags.StringVar(&c.nextcloudURL, "nextcloud-url", "http://simulator:8090/", "the simulated Nextcloud as the services reach it: what a user would type")
	flags.StringVar(&c.instance, "instance", "alice.localhost", "host of the instance, which is made; taken ones get a number")
	flags.StringVar(&c.user, "user", "alice", "user of the Nextcloud, who is made; earlier files go away")
	flags.StringVar(&c.targetDir, "target-dir", "/Nextcloud imported files", "folder of the instance that the files go to")
	flags.StringVar(&c.dir, "dir", ".build", "where the source is seeded, in a folder that is removed at the end")
	flags.BoolVar(&c.small, "small", false, "a small tree: 300 files of Go's source and one file of 50 MB")
	flags.Var(&c.big, "big", "size of the one big file (default 1G, or 50M with -small)")
	flags.DurationVar(&c.wait, "wait", time.Minute, "how long the services may take to come up")
	flags.DurationVar(&c.timeout, "timeout", 20*time.Minute, "how long the migration may take")
	flags.DurationVar(&c.poll, "poll", time.Second, "how often the tracking document is read")
	if err := fromEnvironment(flags, getenv); err != nil {
		return nil, err
	}
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("unknown argument %q; try -help", flags.Arg(0))
	}
	big := tree.Bytes(usualBig)
	if c.small {
		c.files, big = smallFiles, smallBig
	}
	c.big = cmp.Or(c.big, big)
	return c, nil
}

func fromEnvironment(flags *flag.FlagSet, getenv func(string) string) error {
	var faults []error
	flags.VisitAll(func(f *flag.Flag) {
		name := "DEMO_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		if value := getenv(name); value != "" {
			if err := flags.Set(f.Name, value); err != nil {
				faults = append(faults, fmt.Errorf("%s: %w", name, err))
			}
		}
	})
	return errors.Join(faults...)
}
