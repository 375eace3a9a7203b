package main

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"example.org/ncm/services/migrator/internal/operate"
)

func TestTheBarIsNeverWiderThanItsTerminal(t *testing.T) {
	t.Parallel()
	m := operate.Migration{
		FilesDone: 10_000, FilesTotal: 1_000_000, BytesDone: 123_456_789, BytesTotal: 999_999_999_999, Status: "paused, next try in 1m0s",
		LastError: "The Nextcloud does not answer.", SecondsLeft: 1e6, BytesPerSecond: 1e8,
	}
	for _, columns := range []int{20, 31, 40, 80, 300} {
		for _, m.Progress = range []float64{0, 0.5, 1} {
			var out bytes.Buffer
			b := newBar(&out, func() int { return columns })
			b.show(m)
			drawn := regexp.MustCompile(`\x1b\[[0-9;]*[A-Za-z]`).ReplaceAllString(out.String(), "")
			for part := range strings.SplitSeq(drawn, "\r") {
				if n := utf8.RuneCountInString(part); n > max(columns, besides) {
					t.Errorf("%d of %d columns: %q", n, columns, part)
				}
			}
			if whole := strings.Contains(drawn, m.LastError); whole != (columns == 300) {
				t.Errorf("in %d columns: %q", columns, drawn)
			}
		}
	}
}
