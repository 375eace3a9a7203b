// Package sides shows what becomes of a migration when one of its two sides, or
// its tracking document, does what it should not: real migrators and triggers
// between a real PostgreSQL and RabbitMQ, with faults ordered from the simulated
// Nextcloud and Cozy stack.
//
// Each test is a scene: a user, an instance, some files and a fault. It ends with
// the promise that was to be kept, which aftermath holds against both sides, the
// ledger and the tracking document. Scenes of one stage share its programs.
//
// Scenes are played as operators run the service, with archives, whole trees and
// reports. FAULTS_FULL=1 plays them all a second time, each file and folder asked for
// alone, and adds what takes minutes or gigabytes. Where requests alone are what is
// spoiled, the file is larger than archives take, or the fault is for listings of one
// folder: so both modes hold the same promises.
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
