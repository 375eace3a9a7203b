package main

import (
	"fmt"
	"math"
	"strings"
	"time"
	"unicode"

	"example.org/ncm/services/migrator/internal/operate"
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
