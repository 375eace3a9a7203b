package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
)

// DebugSettings are embedded in the configuration of each service.
type DebugSettings struct {
	DebugAddr string `envconfig:"DEBUG_ADDR" desc:"address of /debug/pprof/, on loopback only, such as 127.0.0.1:6060; empty: none"`
}

// Validate refuses addresses that others could reach: profiles hold what is in
// memory.
func (s *DebugSettings) Validate() error {
	if s.DebugAddr == "" {
		return nil
	}
	host, _, err := net.SplitHostPort(s.DebugAddr)
	if err != nil {
		return errors.New("DEBUG_ADDR: not host:port")
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return errors.New("DEBUG_ADDR: a loopback address such as 127.0.0.1:6060 or [::1]:6060")
	}
	return nil
}

// Parts is the debug server, or nothing when it is off.
func (s *DebugSettings) Parts(ctx context.Context, logger *slog.Logger) ([]Part, error) {
	if s.DebugAddr == "" {
		return nil, nil
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	server, err := Listen(ctx, ServerConfig{Name: "debug", Addr: s.DebugAddr, Handler: mux, Logger: logger})
	if err != nil {
		return nil, fmt.Errorf("DEBUG_ADDR: %w", err)
	}
	logger.InfoContext(ctx, "debugging", "address", server.Addr().String())
	return []Part{server.Part()}, nil
}
