package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"example.org/ncm/pkg/cozytest"
)

// site is a simulated server at an address of its own. Unlike service.Server it
// bounds neither the time of a body nor that of an answer: slow ones are ordered
// on purpose.
type site struct {
	name, addr string
	server     *http.Server
	listener   net.Listener
}

const readHeaderTimeout = 30 * time.Second

// sites are all that is served; none listens yet.
func (c *config) sites(stack *cozytest.Stack, logger *slog.Logger) ([]*site, error) {
	sites := []*site{
		newSite("cozy", c.cozy, stack, logger),
		newSite("admin", c.admin, adminHandler(stack), logger),
	}
	for n, text := range list(c.nextclouds) {
		name := nextcloudName(n)
		addr, subPath, _ := strings.Cut(text, "/")
		server, err := c.newNextcloud(name, subPath, logger)
		if err != nil {
			return nil, fmt.Errorf("make %s: %w", name, err)
		}
		sites = append(sites, newSite(name, addr, withFiles(server, logger), logger))
	}
	return sites, nil
}

func newSite(name, addr string, handler http.Handler, logger *slog.Logger) *site {
	return &site{name: name, addr: addr, server: &http.Server{
		Handler:           withHealth(handler),
		ReadHeaderTimeout: readHeaderTimeout,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug), // resets are ordered too
	}}
}

func withHealth(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/healthz" {
			next.ServeHTTP(w, r)
			return
		}
		_, _ = io.WriteString(w, "ok\n")
	})
}

// adminHandler serves the stack's admin API and the Cloudery, whose paths differ.
func adminHandler(stack *cozytest.Stack) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", stack.AdminHandler())
	mux.Handle("/api/public/", stack.ClouderyHandler())
	mux.Handle("/_sim/", stack.SimHandler())
	return mux
}

func (s *site) listen(ctx context.Context) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", s.addr)
	if err != nil {
		return fmt.Errorf("listen for %s: %w", s.name, err)
	}
	s.listener = listener
	return nil
}

func closeAll(sites []*site) error {
	var faults []error
	for _, s := range sites {
		if s.listener != nil {
			faults = append(faults, s.listener.Close())
		}
	}
	return errors.Join(faults...)
}

// serveAll runs all sites until take ends or one of them fails.
func serveAll(take, work context.Context, sites []*site) error {
	group, take := errgroup.WithContext(take)
	for _, s := range sites {
		group.Go(func() error { return s.run(take, work) })
	}
	return group.Wait()
}

// run serves until take ends; requests in hand may go on until work does, which
// is no fault: some hang on purpose.
func (s *site) run(take, work context.Context) error {
	s.server.BaseContext = func(net.Listener) context.Context { return work }
	stopped := make(chan error, 1)
	release := context.AfterFunc(take, func() {
		if s.server.Shutdown(work) != nil {
			stopped <- s.server.Close()
			return
		}
		stopped <- nil
	})
	if err := s.server.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		release()
		return fmt.Errorf("serve %s: %w", s.name, err)
	}
	return <-stopped
}
