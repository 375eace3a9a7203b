package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"example.org/ncm/services/migrator/internal/operate"
)

// display shows how far a migration is.
type display interface {
	show(m operate.Migration)
	// end leaves the cursor at the start of a line.
	end()
}

// newDisplay draws on a terminal and writes lines to everything else.
func newDisplay(w io.Writer) display {
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return newBar(w, func() int {
			columns, _, err := term.GetSize(int(f.Fd()))
			if err != nil || columns == 0 {
				return 80
			}
			return columns
		})
	}
	return &lines{w: w}
}

const wholeBar = 1000

// besides is how many columns the bar takes beside its text, and one for the cursor.
const besides = 32

type bar struct {
	w       io.Writer
	columns func() int // of the terminal, which may change
	bar     *progressbar.ProgressBar
}

func newBar(w io.Writer, columns func() int) *bar {
	return &bar{w: w, columns: columns, bar: progressbar.NewOptions(wholeBar,
		progressbar.OptionSetWriter(w), progressbar.OptionSetWidth(20), progressbar.OptionUseANSICodes(true),
		progressbar.OptionSetPredictTime(false), progressbar.OptionSetElapsedTime(false), progressbar.OptionShowDescriptionAtLineEnd(),
	)}
}

func (b *bar) show(m operate.Migration) {
	b.bar.Describe(fit(line(m), b.columns()-besides)) // first: a full bar takes no other text any more
	_ = b.bar.Set(int(m.Progress * wholeBar))
}

func (b *bar) end() { fmt.Fprintln(b.w) }

// fit cuts a text to columns: a line that wraps can't be drawn over.
func fit(text string, columns int) string {
	runes := []rune(text)
	if len(runes) <= columns {
		return text
	}
	if columns < 2 {
		return ""
	}
	return string(runes[:columns-1]) + "…"
}

// lines writes one now and then.
type lines struct {
	w    io.Writer
	last time.Time
}

const linesEvery = 2 * time.Second

func (l *lines) show(m operate.Migration) {
	if m.FinishedAt == nil && time.Since(l.last) < linesEvery {
		return
	}
	l.last = time.Now()
	fmt.Fprintf(l.w, "%3.0f%%  %s\n", 100*m.Progress, line(m))
}

func (l *lines) end() {}

func line(m operate.Migration) string {
	text := fmt.Sprintf("%s files, %s, %s/s, %s left: %s", files(m), bytesOf(m), size(m.BytesPerSecond), left(m.SecondsLeft), m.Status)
	if m.LastError != "" {
		text += ". " + m.LastError
	}
	return text
}
