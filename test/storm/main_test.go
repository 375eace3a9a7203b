// Package storm runs whole migrations while everything around them breaks, and
// then compares what arrived with what was there, file by file.
//
// A round is four instances that are migrated by three processes. Every one to
// three seconds a fault hits, drawn from [menu]; what is drawn follows from the
// round's seed alone. When all migrations have ended, or the storm's time is up,
// everything is healed and the migrations must complete by themselves.
//
//	go test ./storm                                 one short round
//	STORM_ROUNDS=20 go test -timeout 0 ./storm      twenty full ones
//	STORM_SEED=42 go test ./storm                   the short round of seed 42
//	STORM_SEED=42 STORM_ROUNDS=1 go test ./storm    the full round of seed 42
package storm_test

import (
	"os"
	"testing"

	"example.org/ncm/test/rig"
)

// backends is shared because containers take seconds to start.
var backends rig.Backends //nolint:gochecknoglobals // see above

func TestMain(m *testing.M) { os.Exit(backends.Main(m)) }
