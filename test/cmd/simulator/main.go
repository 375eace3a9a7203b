// Simulator serves Nextclouds and a Cozy stack to the demo and to tests: the
// packages nextcloudtest and cozytest in a process of their own.
//
//	simulator -data /data -users alice:secret:app-password -instances alice.localhost,bob.localhost=5G
//
// Each Nextcloud has an address of its own and keeps its users' files below
// -data: in DATA/nextcloud/USER/files, and DATA/nextcloud-2/… for the second one.
// The stack chooses instances by the request's Host and forgets them when the
// process ends; the admin address serves the stack's admin API (user "admin") and
// the Cloudery's.
//
// Every address has /healthz and /_sim/…, with which users, instances, tokens,
// faults and latency are ordered and both sides' trees are read. Besides the
// routes of the two packages there is
//
//	PUT /_sim/files?user=   replace a Nextcloud user's files by those of a tar
//
// so that files come in from outside with their names and times as they are,
// whoever owns the data folder.
//
// Each flag may be given as an environment variable instead: SIM_TOKEN_TTL for
// -token-ttl.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"example.org/ncm/pkg/service"
)

func main() {
	ctx, stop := service.SignalContext(context.Background())
	err := run(ctx, os.Args[1:], os.Getenv, os.Stdout)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "simulator:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, getenv func(string) string, stdout io.Writer) error {
	cfg, err := parse(args, getenv)
	if err != nil {
		return err
	}
	logger, err := service.NewLogger(stdout, cfg.logLevel, "simulator")
	if err != nil {
		return err
	}
	stack, err := cfg.newStack(logger)
	if err != nil {
		return err
	}
	sites, err := cfg.sites(stack, logger)
	if err != nil {
		return err
	}
	for _, s := range sites {
		if err := s.listen(ctx); err != nil {
			return errors.Join(err, closeAll(sites))
		}
		logger.InfoContext(ctx, "listening", "site", s.name, "address", s.listener.Addr().String())
	}
	return service.Run(ctx, logger, cfg.grace, service.Part{Name: "sites", Run: func(take, work context.Context) error {
		// Websockets would outlive the servers.
		defer context.AfterFunc(take, stack.Close)()
		return serveAll(take, work, sites)
	}})
}
