package main

import (
	"strings"
	"testing"
	"time"

	"example.org/ncm/pkg/contract"
)

func running(files, filesTotal, bytes, bytesTotal int64) *contract.Tracking {
	return &contract.Tracking{Status: contract.StatusRunning, Progress: contract.Progress{
		FilesImported: files, FilesTotal: filesTotal, BytesImported: bytes, BytesTotal: bytesTotal,
	}}
}

func TestMeterTellsRateAndTimeLeft(t *testing.T) {
	t.Parallel()
	begun := time.Unix(1000, 0)
	m := meter{begun: begun}
	m.read(begun, running(0, 0, 0, 0))
	r := m.read(begun.Add(10*time.Second), running(1000, 4000, 250e6, 1e9))
	if want := "1,000/4,000 files, 250.0 MB/1.0 GB, 25.0 MB/s, 0:30 left"; r.String() != want {
		t.Errorf("shown %q, want %q", r, want)
	}
	if r.permille() != 250 {
		t.Errorf("%d permille", r.permille())
	}
}

func TestMeterForgetsOldRates(t *testing.T) {
	t.Parallel()
	begun := time.Unix(1000, 0)
	m := meter{begun: begun}
	m.read(begun, running(0, 10, 0, 1e9))
	var r reading
	for second := 1; second <= 60; second++ {
		r = m.read(begun.Add(time.Duration(second)*time.Second), running(1, 10, 500e6, 1e9)) // stands still
	}
	if r.rate != 0 {
		t.Errorf("%f bytes a second", r.rate)
	}
}

func TestReadingsInWords(t *testing.T) {
	t.Parallel()
	for want, r := range map[string]reading{
		"waiting for a migrator":            {status: contract.StatusPending, left: -1},
		"0/0 files, 0 B/0 B, 0 B/s, ? left": {status: contract.StatusRunning, left: -1},
		"1/2 files, 1 B/2 B, 0 B/s, 61:01 left, paused: the Nextcloud is in maintenance": {
			status: contract.StatusRunning, left: time.Hour + 61*time.Second, paused: "the Nextcloud is in maintenance",
			sums: contract.Progress{FilesImported: 1, FilesTotal: 2, BytesImported: 1, BytesTotal: 2},
		},
		"failed: 3 files, 1.5 kB": {status: contract.StatusFailed, sums: contract.Progress{FilesImported: 3, BytesImported: 1500}},
	} {
		if got := r.String(); got != want {
			t.Errorf("shown %q, want %q", got, want)
		}
	}
}

func TestBarIsFullOnlyAtTheEnd(t *testing.T) {
	t.Parallel()
	r := reading{status: contract.StatusRunning, sums: contract.Progress{FilesImported: 5, FilesTotal: 5, BytesImported: 7, BytesTotal: 7}}
	if got := r.permille(); got != permilleMost {
		t.Errorf("%d permille while files may still be found", got)
	}
	r.status = contract.StatusCompleted
	if got := r.permille(); got != permilleDone {
		t.Errorf("%d permille at the end", got)
	}
	if got := (reading{status: contract.StatusCompleted}).permille(); got != permilleDone {
		t.Errorf("%d permille of nothing", got)
	}
}

func TestBarDrawsOneLine(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	b := newBar(&out)
	m := meter{begun: time.Unix(1000, 0)}
	for second := range 10 {
		n := int64(second)
		b.show(m.read(time.Unix(1000+n, 0), running(n, 10, n*1e6, 10e6)))
	}
	b.show(reading{status: contract.StatusCompleted, sums: contract.Progress{FilesImported: 10, BytesImported: 10e6}})
	b.end()
	text := out.String()
	if strings.Count(text, "\n") != 1 || !strings.HasSuffix(text, "\n") {
		t.Errorf("more or less than one line: %q", text)
	}
	last := text[strings.LastIndex(text, "\r"):]
	wantIn(t, last, "100%", "[====================]", "completed: 10 files, 10.0 MB")
	if strings.Contains(text, "\x1b[?25l") {
		t.Error("the cursor was hidden")
	}
}

func TestBarThatWasNeverDrawnEndsNoLine(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	newBar(&out).end()
	if out.Len() > 0 {
		t.Errorf("wrote %q", out.String())
	}
}

func TestLinesComeEveryTwoSeconds(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	l := &lines{w: &out}
	for second := range 9 {
		r := reading{status: contract.StatusRunning, elapsed: time.Duration(second) * time.Second, left: -1}
		if second == 7 {
			r.status = contract.StatusCompleted // shown although it comes early
		}
		if second < 8 {
			l.show(r)
		}
	}
	l.end()
	var times []string
	for line := range strings.Lines(out.String()) {
		times = append(times, strings.Fields(line)[0])
	}
	if got := strings.Join(times, " "); got != "0:00 0:02 0:04 0:06 0:07" {
		t.Errorf("lines at %s", got)
	}
}
