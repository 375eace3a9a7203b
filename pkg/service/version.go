package service

import (
	"cmp"
	"fmt"
	"runtime/debug"
	"time"
)

// release is the version's name where the build knows a better one than the
// toolchain does: -ldflags "-X example.org/ncm/pkg/service.release=v1.2.3".
var release string //nolint:gochecknoglobals // set by the linker

const shortCommit = 12

// Build tells where a binary comes from.
type Build struct {
	Version string // a release, or what the toolchain made of the commit
	Commit  string // empty when it was built outside of a repository
	Date    string // of the commit, RFC 3339 in UTC; empty without one
	Go      string
}

// ThisBuild is that of the running binary.
func ThisBuild() Build {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return Build{Version: cmp.Or(release, "unknown")}
	}
	return describe(info, release)
}

// Version is that of ThisBuild.
func Version() string { return ThisBuild().Version }

// String is what --version prints after the program's name.
func (b Build) String() string {
	return fmt.Sprintf("%s (commit %s, date %s, %s)", b.Version, cmp.Or(b.Commit, "unknown"), cmp.Or(b.Date, "unknown"), b.Go)
}

func describe(info *debug.BuildInfo, release string) Build {
	b := Build{Go: info.GoVersion}
	dirty := ""
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.time":
			b.Date = inUTC(s.Value)
		case "vcs.modified":
			if s.Value == "true" {
				dirty = "+dirty"
			}
		}
	}
	module := info.Main.Version
	if module == "(devel)" {
		module = ""
	}
	short := b.Commit[:min(len(b.Commit), shortCommit)]
	b.Version = cmp.Or(release, module, cmp.Or(short, "devel")+dirty)
	return b
}

func inUTC(date string) string {
	t, err := time.Parse(time.RFC3339, date)
	if err != nil {
		return date
	}
	return t.UTC().Format(time.RFC3339)
}
