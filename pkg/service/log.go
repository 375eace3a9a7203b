package service

import (
	"fmt"
	"io"
	"log/slog"

	"example.org/ncm/pkg/tracing"
)

// NewLogger writes JSON lines at or above a level (debug, info, warn, error),
// each with the service's name and version, and its trace where it has one.
func NewLogger(w io.Writer, level, name string) (*slog.Logger, error) {
	var least slog.Level
	if err := least.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("parse log level: %w", err)
	}
	handler := slog.NewJSONHandler(w, &slog.HandlerOptions{Level: least})
	return slog.New(tracing.LogHandler(handler)).With("service", name, "version", Version()), nil
}
