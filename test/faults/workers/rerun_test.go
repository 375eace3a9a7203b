package workers_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/pkg/failpoint"
	"example.org/ncm/test/rig"
)

// A file that got new content before its worker died looks as if its owner had
// changed it: whoever goes on has to find out that it was us.
func TestARerunThatDiesAfterAReplacementNeitherRepeatsItNorKeepsBoth(t *testing.T) {
	t.Parallel()
	const files, changed = 60, 20
	m := newMove(t, backends.New(t), "alice")
	write := func(n, version int) {
		name := filepath.Join(m.user.Home, fmt.Sprintf("report %02d.txt", n))
		if err := os.WriteFile(name, []byte(strings.Repeat(fmt.Sprint("version ", version, " "), 10+version)), 0o600); err != nil {
			t.Fatal(err)
		}
		at := time.Date(2020+version, 1, 1, 0, 0, n, 0, time.UTC)
		if err := os.Chtimes(name, at, at); err != nil {
			t.Fatal(err)
		}
	}
	for n := range files {
		write(n, 1)
	}
	settings := with(quick(), rig.Env{"LEASE_TTL": "3s", "ON_CHANGED": "overwrite"})
	first := m.StartMigrator(settings)
	m.request()
	m.awaitCompleted(t, rig.Patience)
	m.wantMirrored(t)
	first.Stop(t)
	for n := range changed {
		write(n, 2)
	}
	m.ForgetNextcloudAnswers()

	m.id = m.cozy.AddDocument(contract.DoctypeMigrations, contract.NewTracking("/", rig.TargetDir))
	crashing := failpoints.StartMigrator(m.Rig, failpoint.FileCreated+":10", settings)
	m.request()
	crashing.AwaitCrash(t, rig.Patience)
	m.StartMigrator(settings)
	m.awaitCompleted(t, rig.Patience)

	// Those that were replaced and not recorded are read once more, to compare.
	if read := m.NextcloudAnswers().Requests[http.MethodGet]; read < changed || read > 2*changed {
		t.Errorf("%d files were read, %d had changed", read, changed)
	}
	if replaced := m.CozyAnswers()["PUT /files/:id"][http.StatusOK]; replaced != changed {
		t.Errorf("%d files were replaced, want %d", replaced, changed)
	}
	aftermath(t, m)
}
