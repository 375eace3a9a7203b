package service

import (
	"runtime/debug"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

const commit = "1401c42d5be1aa3d7574ca74000819a2c93b911f"

func info(version string, settings ...debug.BuildSetting) *debug.BuildInfo {
	return &debug.BuildInfo{GoVersion: "go1.26.8", Main: debug.Module{Version: version}, Settings: settings}
}

func TestBuildsNameTheirVersionCommitAndDate(t *testing.T) {
	t.Parallel()
	vcs := []debug.BuildSetting{
		{Key: "vcs.revision", Value: commit},
		{Key: "vcs.time", Value: "2026-11-23T20:14:47+02:00"},
		{Key: "vcs.modified", Value: "true"},
	}
	for name, tc := range map[string]struct {
		info    *debug.BuildInfo
		release string
		want    string
	}{
		"a release":            {info("v0.0.0-2026", vcs...), "v1.2.3", "v1.2.3 (commit " + commit + ", date 2026-11-23T18:14:47Z, go1.26.8)"},
		"a module's version":   {info("v0.0.0-2026", vcs...), "", "v0.0.0-2026 (commit " + commit + ", date 2026-11-23T18:14:47Z, go1.26.8)"},
		"a commit":             {info("(devel)", vcs...), "", "1401c42d5be1+dirty (commit " + commit + ", date 2026-11-23T18:14:47Z, go1.26.8)"},
		"outside of a history": {info("(devel)"), "", "devel (commit unknown, date unknown, go1.26.8)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := describe(tc.info, tc.release).String(); got != tc.want {
				t.Errorf("build = %q, want %q", got, tc.want)
			}
		})
	}
}

func TestTheBuildIsAMetric(t *testing.T) {
	t.Parallel()
	b := ThisBuild()
	want := `
# HELP build_info What is running; always 1.
# TYPE build_info gauge
build_info{commit="` + b.Commit + `",date="` + b.Date + `",go_version="` + b.Go + `",version="` + b.Version + `"} 1
`
	if err := testutil.GatherAndCompare(NewRegistry(), strings.NewReader(want), "build_info"); err != nil {
		t.Error(err)
	}
}
