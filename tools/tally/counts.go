package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
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

// appendCounts does nothing without a file's name. Runs side by side may append
// to one file, since a line is one write.
func appendCounts(file string, c counts) error {
	if file == "" {
		return nil
	}
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("open totals: %w", err)
	}
	_, err = fmt.Fprintf(f, "%d %d %d\n", c.passed, c.failed, c.skipped)
	return errors.Join(err, f.Close())
}

func sumCounts(file string) (counts, error) {
	var total counts
	f, err := os.Open(file)
	if err != nil {
		return total, fmt.Errorf("open totals: %w", err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var c counts
		if _, err := fmt.Sscanf(lines.Text(), "%d %d %d", &c.passed, &c.failed, &c.skipped); err != nil {
			return total, fmt.Errorf("read totals line %q: %w", lines.Text(), err)
		}
		total.passed += c.passed
		total.failed += c.failed
		total.skipped += c.skipped
	}
	return total, lines.Err()
}
