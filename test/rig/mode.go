package rig

import (
	"os"
	"testing"
)

// Mode is in which way migrators ask the source.
type Mode struct {
	Name     string
	Settings Env
}

// The modes.
var (
	// Deployed is as operators have it who change nothing: archives of small files,
	// whole trees of folders, a report where one is needed.
	Deployed = Mode{Name: "deployed"}
	// Plain asks for each file and each folder alone, as where the source has nothing
	// better, and leaves no report.
	Plain = Mode{Name: "plain", Settings: Env{"ARCHIVES": "false", "WHOLE_TREES": "false", "REPORT": "never"}}
)

// Plain says whether it is that mode.
func (m Mode) Plain() bool { return m.Name == Plain.Name }

// Pick gives what a mode needs.
func Pick[T any](m Mode, deployed, plain T) T {
	if m.Plain() {
		return plain
	}
	return deployed
}

// Full says whether there is time for what takes minutes or gigabytes.
func Full() bool { return os.Getenv("FAULTS_FULL") == "1" }

// InModes plays a test beside others as deployed, and where there is time plain too.
func InModes(t *testing.T, play func(t *testing.T, m Mode)) {
	t.Helper()
	modes := []Mode{Deployed}
	if Full() {
		modes = append(modes, Plain)
	}
	inEach(t, modes, play)
}

// InBothModes plays a test whose plain mode is another test, not a longer one.
func InBothModes(t *testing.T, play func(t *testing.T, m Mode)) {
	t.Helper()
	inEach(t, []Mode{Deployed, Plain}, play)
}

// inEach plays a test in some modes at once.
func inEach(t *testing.T, modes []Mode, play func(t *testing.T, m Mode)) {
	t.Helper()
	t.Parallel()
	for _, m := range modes {
		t.Run(m.Name, func(t *testing.T) {
			t.Parallel()
			play(t, m)
		})
	}
}
