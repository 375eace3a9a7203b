package cozytest_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"example.org/ncm/pkg/transcripttest"
)

// exchange is a recorded one, and how its client behaved.
type exchange struct {
	transcripttest.CozyExchange
	file     string
	text     string // the answer's body, without line ends behind it
	halfEnds bool   // the client closed its sending side
	leaves   bool   // the client closed altogether
}

func (x *exchange) String() string { return x.file + ": " + x.Title }

func readTranscript(t *testing.T, prefix string) []exchange {
	t.Helper()
	var all []exchange
	for _, x := range transcripttest.Cozy(t, prefix+"-*.txt") {
		all = append(all, exchange{
			CozyExchange: x, file: prefix, text: strings.TrimRight(x.Text, "\n"),
			leaves:   strings.Contains(x.Title, "disconnect"),
			halfEnds: strings.Contains(x.Title, "half close") || strings.Contains(x.Title, "short .cozy-note"),
		})
	}
	return all
}

// completeJSON closes what a cut text left open, at the last place where an
// element was whole.
func completeJSON(text string) string {
	var open []byte
	var safe int
	var closers []byte
	inString, escaped := false, false
	note := func(end int) {
		safe, closers = end, slices.Clone(open)
	}
	for i := range len(text) {
		c := text[i]
		switch {
		case escaped:
			escaped = false
		case inString:
			escaped = c == '\\'
			inString = c != '"'
		case c == '"':
			inString = true
		case c == '{' || c == '[':
			open = append(open, c+2)
			note(i + 1)
		case c == '}' || c == ']':
			open = open[:len(open)-1]
			note(i + 1)
		case c == ',':
			note(i)
		}
	}
	slices.Reverse(closers)
	return text[:safe] + string(bytes.TrimSpace(closers))
}
