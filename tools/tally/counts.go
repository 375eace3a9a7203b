package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// counts are tests with their subtests, and packages that failed apart from any
// test: they did not compile, or their process died.
type counts struct {
	passed, failed, skipped int
}

func (c counts) String() string {
	return fmt.Sprintf("%d passed, %d failed", c.passed, c.failed)
}

// good is false for a run without any test too: it proves nothing.
func (c counts) good() bool {
	return c.failed == 0 && c.passed > 0
}

func (c *counts) add(o counts) {
	c.passed += o.passed
	c.failed += o.failed
	c.skipped += o.skipped
}

// appendTotals does nothing without a file's name. Runs side by side may append
// to one file, since what they add is one write.
func appendTotals(file string, c counts, remarks []string) error {
	if file == "" {
		return nil
	}
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("open totals: %w", err)
	}
	lines := append([]string{fmt.Sprintf("%d %d %d", c.passed, c.failed, c.skipped)}, remarks...)
	_, err = fmt.Fprintln(f, strings.Join(lines, "\n"))
	return errors.Join(err, f.Close())
}

// sumTotals also gives the remarks of all runs.
func sumTotals(file string) (counts, []string, error) {
	var total counts
	text, err := os.ReadFile(file)
	if err != nil {
		return total, nil, fmt.Errorf("read totals: %w", err)
	}
	var remarks []string
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		var c counts
		if _, err := fmt.Sscanf(line, "%d %d %d", &c.passed, &c.failed, &c.skipped); err != nil {
			remarks = append(remarks, line)
			continue
		}
		total.add(c)
	}
	return total, remarks, nil
}
