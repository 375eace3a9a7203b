package main

import (
	"fmt"
	"math"
	"strings"
	"time"
	"unicode"

	"example.org/ncm/services/migrator/internal/operate"
	"example.org/ncm/services/migrator/internal/transfer"
)

// printable keeps what others named from moving a terminal's cursor.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, text)
}

func files(m operate.Migration) string {
	return fmt.Sprintf("%d/%d", m.FilesDone, m.FilesTotal)
}

func bytesOf(m operate.Migration) string {
	return size(float64(m.BytesDone)) + "/" + size(float64(m.Expected()))
}

// parallel is how many files at once both servers are asked for.
func parallel(p *transfer.Parallel) string {
	if p == nil {
		return ""
	}
	return "source " + places(p.Source) + "; target " + places(p.Target)
}

func places(p transfer.Places) string {
	if p.Most == 0 {
		return "without a bound"
	}
	return fmt.Sprintf("%d of %d, at most %d", p.Used, p.Limit, p.Most)
}

// size names bytes as people do.
func size(bytes float64) string {
	if bytes < 1000 {
		return fmt.Sprintf("%.0f B", bytes)
	}
	unit := 0
	for bytes >= 999.95 && unit < 4 {
		bytes /= 1000
		unit++
	}
	return fmt.Sprintf("%.1f %sB", bytes, []string{"", "k", "M", "G", "T"}[unit])
}

// left is a time in seconds that is still to pass.
func left(seconds float64) string {
	if seconds < 0 || seconds > math.MaxInt32 {
		return "-"
	}
	return (time.Duration(seconds) * time.Second).String()
}
