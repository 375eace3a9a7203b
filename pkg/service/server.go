package service

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Ceilings of a server; none of them depends on what a handler does but the
// write timeout, which is therefore a setting.
const (
	readHeaderTimeout   = 5 * time.Second
	readTimeout         = 30 * time.Second
	defaultWriteTimeout = 2 * time.Minute
	idleTimeout         = 2 * time.Minute
	maxHeaderBytes      = 64 << 10
)

// ServerConfig is what a server needs to know.
type ServerConfig struct {
	Name         string
	Addr         string // host:port; port 0 takes a free one
	Handler      http.Handler
	Logger       *slog.Logger
	WriteTimeout time.Duration // from the end of the header to the end of the answer; zero: 2 minutes
}

// Server is an HTTP server that holds its port from the moment it is made.
type Server struct {
	name     string
	listener net.Listener
	server   *http.Server
}

// Listen takes the port, so that a port in use is an error at start; the server
// answers when its part runs.
func Listen(ctx context.Context, cfg ServerConfig) (*Server, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", cfg.Addr)
	if err != nil {
		return nil, fmt.Errorf("listen for %s: %w", cfg.Name, err)
	}
	return &Server{
		name:     cfg.Name,
		listener: listener,
		server: &http.Server{
			Handler:           cfg.Handler,
			ReadHeaderTimeout: readHeaderTimeout,
			ReadTimeout:       readTimeout,
			WriteTimeout:      cmp.Or(cfg.WriteTimeout, defaultWriteTimeout),
			IdleTimeout:       idleTimeout,
			MaxHeaderBytes:    maxHeaderBytes,
			ErrorLog:          slog.NewLogLogger(cfg.Logger.Handler(), slog.LevelWarn),
		},
	}, nil
}

// Addr is where the server listens.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Part serves until it is told to stop; requests in hand may end until the
// grace period does, then their contexts and connections are cut.
func (s *Server) Part() Part {
	return Part{Name: s.name, Run: s.run}
}

func (s *Server) run(take, work context.Context) error {
	s.server.BaseContext = func(net.Listener) context.Context { return work }
	stopped := make(chan error, 1)
	release := context.AfterFunc(take, func() { stopped <- s.stop(work) })
	err := s.server.Serve(s.listener)
	if !errors.Is(err, http.ErrServerClosed) {
		release()
		return fmt.Errorf("serve: %w", err)
	}
	return <-stopped
}

func (s *Server) stop(work context.Context) error {
	if err := s.server.Shutdown(work); err != nil {
		return errors.Join(fmt.Errorf("cut requests: %w", context.Cause(work)), s.server.Close())
	}
	return nil
}
