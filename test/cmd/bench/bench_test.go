package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/ncm/pkg/contract"
)

func TestOnlyEqualTreesPass(t *testing.T) {
	t.Parallel()
	want := tree{"a": {Size: 1, MD5: "1"}, "b/c": {Size: 2, MD5: "2"}}
	for name, test := range map[string]struct {
		got  tree
		pass bool
	}{
		"equal":         {tree{"a": {Size: 1, MD5: "1"}, "b/c": {Size: 2, MD5: "2"}}, true},
		"missing":       {tree{"a": {Size: 1, MD5: "1"}}, false},
		"too many":      {tree{"a": {Size: 1, MD5: "1"}, "b/c": {Size: 2, MD5: "2"}, "d": {}}, false},
		"other content": {tree{"a": {Size: 1, MD5: "1"}, "b/c": {Size: 2, MD5: "3"}}, false},
		"other place":   {tree{"a": {Size: 1, MD5: "1"}, "c": {Size: 2, MD5: "2"}}, false},
	} {
		if err := checkSame(want, test.got); (err == nil) != test.pass {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOnlyAWholeMigrationPasses(t *testing.T) {
	t.Parallel()
	l := load{files: 2, size: 5}
	now := time.Now()
	whole := contract.NewTracking("/", "/Nextcloud")
	whole.Status, whole.StartedAt, whole.FinishedAt = contract.StatusCompleted, &now, &now
	whole.Progress = contract.Progress{FilesImported: 2, FilesTotal: 2, BytesImported: 10, BytesTotal: 10}
	if err := checkTracking(whole, l); err != nil {
		t.Errorf("whole: %v", err)
	}
	for name, spoil := range map[string]func(*contract.Tracking){
		"failed":      func(d *contract.Tracking) { d.Status = contract.StatusFailed },
		"a file less": func(d *contract.Tracking) { d.Progress.FilesImported = 1 },
		"an error":    func(d *contract.Tracking) { d.Errors = []contract.Failure{{Path: "/a"}} },
		"a skip":      func(d *contract.Tracking) { d.Skipped = []contract.Skip{{Path: "/a"}} },
		"no end":      func(d *contract.Tracking) { d.FinishedAt = nil },
	} {
		doc := whole
		spoil(&doc)
		if checkTracking(doc, l) == nil {
			t.Errorf("%s: passed", name)
		}
	}
}

func TestUsageIsReadWhateverTheProcessIsCalled(t *testing.T) {
	t.Parallel()
	stat := "42 (a (b) 1 2) S 1 42 42 0 -1 4194560 900 0 0 0 123 45 0 0 20 0 9 0 500 100 200"
	status := "Name:\ta (b) 1 2\nVmPeak:\t  90000 kB\nVmHWM:\t   20480 kB\nVmRSS:\t 100 kB\n"
	got, err := parseUsage(stat, status)
	if want := (usage{cpu: 1680 * time.Millisecond, peakRSS: 20480 * 1024}); err != nil || got != want {
		t.Errorf("got %+v, %v instead of %+v", got, err, want)
	}
	if _, err := parseUsage("42 (gone) Z", ""); err == nil {
		t.Error("a process without times was read")
	}
}

func TestUsageOfThisProcessIsRead(t *testing.T) {
	t.Parallel()
	me, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	p := process{cmd: command(t.Context(), nil, "none")}
	p.cmd.Process = me
	if u, err := p.usage(); err != nil || u.peakRSS < megabyte {
		t.Errorf("usage is %+v, %v", u, err)
	}
}

func TestSpreadTakesTheMiddle(t *testing.T) {
	t.Parallel()
	for want, values := range map[spread][]float64{
		{Median: 3, Min: 3, Max: 3}:   {3},
		{Median: 2.5, Min: 1, Max: 4}: {4, 1, 3, 2},
		{Median: 2, Min: 1, Max: 900}: {900, 1, 2},
	} {
		if got := spreadOf(values); got != want {
			t.Errorf("%v: got %v instead of %v", values, got, want)
		}
	}
}

func TestScenariosArePickedByName(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-profile", "fast"}, {"-only", "huge"}, {"-count", "0"}, {"-files", "-1"}, {"-parallel", "-1"}, {"now"}} {
		if _, err := parseOptions(args); err == nil {
			t.Errorf("%q was accepted", args)
		}
	}
	var got []string
	for _, args := range [][]string{{}, {"-only", "large"}, {"-profile", "quick"}, {"-profile", "real", "-many"}, {"-profile", "rclone", "-only", "rclone"}, {"-profile", "tracing"}} {
		o, err := parseOptions(args)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range o.scenarios {
			got = append(got, s.name)
		}
	}
	want := []string{
		"small", "large", "latency", "large", "small", "large", "latency", "list-30",
		"small", "scattered", "large", "list-300", "list-3000", "list-30000", "rclone", "tracing",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// aReport has one scenario of two laps.
func aReport(t *testing.T) *report {
	t.Helper()
	r := newReport(options{profile: "default", count: 2})
	small := newResult(small(5000))
	small.add([]lap{{Rate: 5000, CPU: 140, PeakRSS: 15 * megabyte}, {Rate: 2500}, {Rate: 4000, SliceRate: 4400, After: 0.05, ServersCPU: 70, DatabaseCPU: 30}})
	small.add([]lap{{Rate: 6000, CPU: 150, PeakRSS: 15 * megabyte}, {Rate: 3000}, {Rate: 3000, SliceRate: 3300, After: 0.15, ServersCPU: 80, DatabaseCPU: 40}})
	r.Scenarios = append(r.Scenarios, small)
	return r
}

func TestTableShowsMediansAndVerdict(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := aReport(t).writeTable(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"5500 (5000-6000) files", "75 (70-80)", "35 (30-40)", "3500 (3000-4000) files", "100 (50-150)", "0.65 (0.5-0.8)", "0.5 (0.5-0.5)", "0.9: missed"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in:\n%s", want, out.String())
		}
	}
}

func TestJSONHoldsEveryLap(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := aReport(t).writeJSON(&out); err != nil {
		t.Fatal(err)
	}
	var got report
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(aReport(t).Scenarios, got.Scenarios); diff != "" {
		t.Error(diff)
	}
}

func TestImagesComeFromTheEnvironmentOrTheFile(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, ".images.env"), []byte("# images\nBENCH_TEST_IMAGE=here:1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := imageName(root, "BENCH_TEST_IMAGE"); got != "here:1" || err != nil {
		t.Errorf("the file's image is %q, %v", got, err)
	}
	if _, err := imageName(root, "BENCH_OTHER_IMAGE"); err == nil {
		t.Error("an image that nobody names was found")
	}
	t.Setenv("BENCH_TEST_IMAGE", "there:2")
	if got, err := imageName(root, "BENCH_TEST_IMAGE"); got != "there:2" || err != nil {
		t.Errorf("the environment's image is %q, %v", got, err)
	}
}

func TestAProcessIsMeasuredWithAllThatItStarted(t *testing.T) {
	t.Parallel()
	stat := "7 (postgres) S 1 7 7 0 -1 4194560 900 0 0 0 1 2 30 40 20 0 9 0 500 100 200"
	if got, err := parseCPU(stat, user, system, endedUser, endedSystem); got != 730*time.Millisecond || err != nil {
		t.Errorf("got %v, %v", got, err)
	}
	// A shell that has nothing to do but to wait for another, which stays until it
	// was looked at.
	cmd := exec.CommandContext(t.Context(), "sh", "-c", "sh -c 'i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; echo; read x' <&3 & wait")
	theirs, ours, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	cmd.ExtraFiles = []*os.File{theirs}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	of, err := familyCPU(cmd.Process.Pid)
	if alone, ownErr := (&process{cmd: cmd}).usage(); of <= alone.cpu || err != nil || ownErr != nil {
		t.Errorf("the family has cost %v, %v, its head %v, %v", of, err, alone.cpu, ownErr)
	}
	_ = ours.Close()
	_ = cmd.Wait()
}

func TestOtherNumbersOfFilesAreForScenariosOfSeveral(t *testing.T) {
	t.Parallel()
	o, err := parseOptions([]string{"-files", "70"})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range o.scenarios {
		for _, l := range s.ways {
			if want := map[bool]int{true: 1, false: 70}[s.name == "large"]; l.files != want {
				t.Errorf("%s, %s: %d files instead of %d", s.name, l.label, l.files, want)
			}
		}
	}
}

func TestOtherParallelismIsForWaysOfSeveralAtOnce(t *testing.T) {
	t.Parallel()
	o, err := parseOptions([]string{"-parallel", "128"})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range o.scenarios {
		for _, l := range s.ways {
			want := 128
			if strings.HasPrefix(l.label, "one file at a time") {
				want = 1
			}
			if l.parallel != want || strings.Contains(l.label, "16") {
				t.Errorf("%s, %s: %d at once instead of %d", s.name, l.label, l.parallel, want)
			}
		}
	}
}
