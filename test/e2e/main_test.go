// Package e2e runs the services as they are deployed, as processes between real
// servers, and looks at them only from outside.
package e2e_test

import (
	"os"
	"testing"

	"example.org/ncm/test/rig"
)

// backends is shared because containers take seconds to start.
var backends rig.Backends //nolint:gochecknoglobals // see above

func TestMain(m *testing.M) { os.Exit(backends.Main(m)) }
