// Package sides shows what becomes of a migration when one of its two sides, or
// its tracking document, does what it should not: real migrators and triggers
// between a real PostgreSQL and RabbitMQ, with faults ordered from the simulated
// Nextcloud and Cozy stack.
//
// Each test is a scene: a user, an instance, some files and a fault. It ends with
// the promise that was to be kept, which aftermath holds against both sides, the
// ledger and the tracking document. Scenes of one stage share its programs.
//
// What takes minutes or gigabytes runs with FAULTS_FULL=1 only.
package sides_test

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"example.org/ncm/test/rig"
)

// backends is shared because containers take seconds to start.
var backends rig.Backends //nolint:gochecknoglobals // see above

// scenesAtOnce is more than there are cores: scenes mostly wait for pauses to end.
const scenesAtOnce = "12"

func TestMain(m *testing.M) {
	// Only a default: what is given on the command line is read later.
	if err := flag.Set("test.parallel", scenesAtOnce); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(backends.Main(m))
}

// full says whether there is time for the long scenes.
func full() bool { return os.Getenv("FAULTS_FULL") == "1" }
