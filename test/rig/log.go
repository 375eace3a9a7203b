package rig

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"sync"
)

// Log collects what a program writes. It is safe for concurrent use.
type Log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// String is everything so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// All gives the lines with a message, taken apart.
func (l *Log) All(message string) []map[string]any {
	var found []map[string]any
	for line := range strings.Lines(l.String()) {
		var record map[string]any
		if json.Unmarshal([]byte(line), &record) == nil && record["msg"] == message {
			found = append(found, record)
		}
	}
	return found
}

// Tail is the end of the log, whole lines.
func (l *Log) Tail(lines int) string {
	all := slices.Collect(strings.Lines(l.String()))
	return strings.Join(all[max(0, len(all)-lines):], "")
}

// alarm finds what no program may ever write.
func (l *Log) alarm() string {
	for line := range strings.Lines(l.String()) {
		if strings.HasPrefix(line, "panic:") || strings.Contains(line, "WARNING: DATA RACE") || strings.HasPrefix(line, "fatal error:") {
			return strings.TrimSpace(line)
		}
	}
	return ""
}
