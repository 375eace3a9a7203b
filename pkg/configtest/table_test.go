package configtest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.org/ncm/pkg/config"
)

type Ledger struct {
	URL config.Secret `envconfig:"DATABASE_URL" required:"true" desc:"of the ledger"`
}

func TestSettingsAreWrittenOnceWithTheirCommands(t *testing.T) {
	t.Parallel()
	type run struct {
		Ledger

		Level string `envconfig:"LOG_LEVEL" default:"info" desc:"debug|info"`
	}
	type once struct {
		Ledger

		Level string `envconfig:"LOG_LEVEL" default:"warn" desc:"debug|info"`
	}
	got := table(t, []Command{{"run", new(run)}, {"once", new(once)}, {"show", new(Ledger)}, {"version", new(struct{})}})
	want := `| setting | type | default | commands | meaning |
|---|---|---|---|---|
| ` + "`DATABASE_URL`" + ` | secret | required | all but version | of the ledger (or a file's path in DATABASE_URL_FILE) |
| ` + "`LOG_LEVEL`" + ` | string | ` + "`info`" + ` | run | debug\|info |
| ` + "`LOG_LEVEL`" + ` | string | ` + "`warn`" + ` | once | debug\|info |
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestOnlyTheProgramsPartIsWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "OPERATIONS.md")
	before := "head\n<!-- settings of a -->\nold\n<!-- end -->\nmiddle\n<!-- settings of b -->\nold\n<!-- end -->\n"
	if err := os.WriteFile(file, []byte(before), 0o600); err != nil {
		t.Fatal(err)
	}
	*update = true
	Documented(t, file, "b", []Command{{"b", new(Ledger)}})
	*update = false
	Documented(t, file, "b", []Command{{"b", new(Ledger)}})
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want := "head\n<!-- settings of a -->\nold\n<!-- end -->\nmiddle\n<!-- settings of b -->\n" +
		"| setting | type | default | meaning |\n|---|---|---|---|\n" +
		"| `DATABASE_URL` | secret | required | of the ledger (or a file's path in DATABASE_URL_FILE) |\n<!-- end -->\n"
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
}
