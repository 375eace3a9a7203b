//go:build failpoints

package failpoint

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

// variable names the place and, after a colon, which time it is passed: the
// process is killed there as if its machine had gone.
const variable = "FAILPOINT"

var passed atomic.Int64

// Here kills the process if this is the place and the time that FAILPOINT names.
func Here(place string) {
	name, count, _ := strings.Cut(os.Getenv(variable), ":")
	if name != place {
		return
	}
	nth := int64(1)
	if n, err := strconv.ParseInt(count, 10, 64); err == nil {
		nth = n
	}
	if passed.Add(1) != nth {
		return
	}
	fmt.Fprintf(os.Stderr, "{\"msg\":\"failpoint\",\"place\":%q}\n", place)
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // the signal is on its way
}
