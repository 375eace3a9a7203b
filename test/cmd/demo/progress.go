package main

import (
	"fmt"
	"io"
	"time"

	"github.com/schollz/progressbar/v3"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/test/tree"
)

// reading is what is shown at one moment.
type reading struct {
	status  contract.Status
	paused  string
	sums    contract.Progress
	elapsed time.Duration
	rate    float64       // bytes per second
	left    time.Duration // negative: unknown
}

// String is the one line that is shown.
func (r reading) String() string {
	if r.status == contract.StatusPending {
		return "waiting for a migrator"
	}
	left := "?"
	if r.left >= 0 {
		left = clock(r.left)
	}
	text := fmt.Sprintf("%s/%s files, %s/%s, %s/s, %s left",
		tree.Grouped(r.sums.FilesImported), tree.Grouped(r.sums.FilesTotal),
		tree.Bytes(r.sums.BytesImported), tree.Bytes(r.sums.BytesTotal), tree.Bytes(r.rate), left)
	if r.status.Final() {
		text = fmt.Sprintf("%s: %s files, %s", r.status, tree.Grouped(r.sums.FilesImported), tree.Bytes(r.sums.BytesImported))
	}
	if r.paused != "" {
		text += ", paused: " + r.paused
	}
	return text
}

func clock(d time.Duration) string {
	d = d.Round(time.Second)
	return fmt.Sprintf("%d:%02d", int(d.Minutes()), int(d.Seconds())%60)
}

const (
	permilleDone = 1000
	// permilleMost is shown while the migration may still find more.
	permilleMost = permilleDone - 1
)

// done is the share of the work. Files and bytes weigh alike: small files cost
// requests, big ones bytes.
func (r reading) done() float64 {
	return (share(r.sums.FilesImported, r.sums.FilesTotal) + share(r.sums.BytesImported, r.sums.BytesTotal)) / 2
}

func (r reading) permille() int {
	if r.status == contract.StatusCompleted {
		return permilleDone
	}
	return min(int(r.done()*permilleDone), permilleMost)
}

func share(part, whole int64) float64 {
	if whole <= 0 {
		return 0
	}
	return min(float64(part)/float64(whole), 1)
}

// window is how far back the rate looks.
const window = 10 * time.Second

// meter turns successive tracking documents into readings.
type meter struct {
	begun time.Time
	past  []sample
}

type sample struct {
	at    time.Time
	bytes int64
}

func (m *meter) read(now time.Time, doc *contract.Tracking) reading {
	r := reading{
		status: doc.Status, paused: doc.PauseReason, sums: doc.Progress,
		elapsed: now.Sub(m.begun), rate: m.rate(now, doc.Progress.BytesImported), left: -1,
	}
	// The share of the work tells more than rates: a big file counts only when it
	// is done, and small ones take time without bytes.
	if done := r.done(); done > 0 {
		r.left = min(time.Duration(float64(r.elapsed)*(1-done)/done), longest)
	}
	return r
}

// longest is the most that is said to be left.
const longest = 100 * time.Hour

func (m *meter) rate(now time.Time, bytes int64) float64 {
	m.past = append(m.past, sample{now, bytes})
	for len(m.past) > 2 && now.Sub(m.past[0].at) > window {
		m.past = m.past[1:]
	}
	first := m.past[0]
	span := now.Sub(first.at).Seconds()
	if span <= 0 {
		return 0
	}
	return max(float64(bytes-first.bytes)/span, 0)
}

// display shows readings one after the other.
type display interface {
	show(r reading)
	// end leaves the cursor at the start of a line.
	end()
}

// bar draws on a terminal.
type bar struct {
	w     io.Writer
	drawn bool
	bar   *progressbar.ProgressBar
}

const barWidth = 20

func newBar(w io.Writer) *bar {
	return &bar{w: w, bar: progressbar.NewOptions(permilleDone,
		progressbar.OptionSetWriter(w), progressbar.OptionSetWidth(barWidth), progressbar.OptionUseANSICodes(true),
		progressbar.OptionSetPredictTime(false), progressbar.OptionSetElapsedTime(false), progressbar.OptionShowDescriptionAtLineEnd(),
		progressbar.OptionSetTheme(progressbar.Theme{Saucer: "=", SaucerHead: ">", SaucerPadding: " ", BarStart: "[", BarEnd: "]"}),
	)}
}

func (b *bar) show(r reading) {
	b.drawn = true
	b.bar.Describe(r.String()) // first: a full bar takes no other text any more
	_ = b.bar.Set(r.permille())
}

func (b *bar) end() {
	if b.drawn {
		fmt.Fprintln(b.w)
	}
}

// linesEvery is the time between two lines.
const linesEvery = 2 * time.Second

// lines writes to what is no terminal.
type lines struct {
	w    io.Writer
	next time.Duration
}

func (l *lines) show(r reading) {
	if r.elapsed < l.next && !r.status.Final() {
		return
	}
	l.next = r.elapsed + linesEvery - linesEvery/10 // polls are not that regular
	fmt.Fprintf(l.w, "%6s  %3d%%  %s\n", clock(r.elapsed), r.permille()*100/permilleDone, r)
}

func (l *lines) end() {}
