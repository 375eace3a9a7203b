// Package workers kills, pauses and cuts off the processes of a migration and the
// servers that they lean on, each test at one moment of the life of a migration,
// and checks after each that everything is as if nothing had happened.
//
// Workers run as deployed. Where tests count requests, FAULTS_FULL=1 repeats them plain,
// each file and folder asked for alone; what happens between processes and servers
// otherwise does not depend on it. FAULTS_FULL=1 also repeats what is measured more
// often and lets outages last longer.
// FAULTS_SEED repeats the random moments of a run, which prints its seed.
package workers_test

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"example.org/ncm/test/rig"
)

// What all tests share, because it takes long to make.
var (
	backends   rig.Backends   //nolint:gochecknoglobals // see above
	failpoints rig.Failpoints //nolint:gochecknoglobals // see above
)

// atOnce is how many tests run side by side unless -parallel says so: they mostly
// wait for leases to end.
const atOnce = "10"

func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		if err := flag.Set("test.parallel", atOnce); err != nil {
			fmt.Fprintln(os.Stderr, "workers:", err)
			os.Exit(2)
		}
	}
	os.Exit(backends.Main(m))
}
