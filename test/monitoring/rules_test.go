package monitoring_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"example.org/ncm/test/monitoring"
)

const root = "../.."

// scene is what makes an alert fire, and what looks like it and must not. Series
// have one value a minute; both are looked at after minutes.
type scene struct {
	minutes     int
	fire, quiet []string
}

var scenes = map[string]scene{ //nolint:gochecknoglobals // never written
	"MigrationStuck": {
		30,
		[]string{`migrator_longest_stall_seconds{instance="a"} 7100+60x60`, `migrator_longest_stall_seconds 9000x60`},
		[]string{`migrator_longest_stall_seconds 0+60x60`, `migrator_longest_stall_seconds 9000x25 0x30`},
	},
	"MigrationsWait": {
		20,
		[]string{`migrator_longest_wait_seconds 0+60x60`},
		[]string{`migrator_longest_wait_seconds 300x60`, `migrator_longest_wait_seconds 900 0 900 0 900 0 900 0 900 0 900 0 900 0 900 0 900 0 900 0 0`},
	},
	"MigrationsPaused": {
		400,
		[]string{`migrator_migrations_paused{reason="busy"} 1x400`},
		[]string{`migrator_migrations_paused{reason="busy"} 0x300 1x100`, `migrator_migrations{state="running"} 1x400`},
	},
	"MigrationsFail": {
		60,
		[]string{"migrator_slices_total{end=\"failed\"} 0+1x60\nmigrator_slices_total{end=\"completed\"} 0x60"},
		[]string{
			"migrator_slices_total{end=\"failed\"} 0x50 1x10\nmigrator_slices_total{end=\"completed\"} 0x60",
			"migrator_slices_total{end=\"failed\"} 0+1x60\nmigrator_slices_total{end=\"completed\"} 0+5x60",
		},
	},
	"MirrorBehind": {
		20,
		[]string{`migrator_mirror_lag_seconds 0+60x60`},
		[]string{`migrator_mirror_lag_seconds 2x60`, `migrator_mirror_lag_seconds 400x18 1x10`},
	},
	"DeadLetters": {
		10,
		[]string{`queue_messages{queue="migrator.nextcloud.dead"} 0x5 1x30`},
		[]string{`queue_messages{queue="migrator.nextcloud.dead"} 0x60`, `queue_messages{queue="migrator.nextcloud.requested"} 5x60`},
	},
	"RequestsNotTaken": {
		20,
		[]string{`queue_messages{queue="migrator.nextcloud.requested"} 3x60`, `queue_messages{queue="migrator.nextcloud.canceled"} 1x60`},
		[]string{`queue_messages{queue="migrator.nextcloud.requested"} 3x15 0x30`, `queue_messages{queue="migrator.nextcloud.dead"} 3x60`},
	},
	"BrokerAway": {
		20,
		[]string{"queue_connected{connection=\"trigger\"} 0x60\nqueue_connected{connection=\"migrator\"} 1x60"},
		[]string{`queue_connected{connection="trigger"} 1x10 0x3 1x60`},
	},
	"TriggerErrors": {
		40,
		[]string{
			"trigger_http_requests_total{code=\"503\"} 0+1x60\ntrigger_http_requests_total{code=\"201\"} 0+9x60",
			"trigger_http_requests_total{code=\"500\"} 0+1x60",
		},
		[]string{
			"trigger_http_requests_total{code=\"502\"} 0+5x60\ntrigger_http_requests_total{code=\"401\"} 0+5x60",
			"trigger_http_requests_total{code=\"503\"} 0+1x60\ntrigger_http_requests_total{code=\"201\"} 0+99x60",
		},
	},
	"SourceErrors": {
		60,
		[]string{
			"egress_answers_total{side=\"source\",class=\"5xx\"} 0+60x60\negress_answers_total{side=\"source\",class=\"2xx\"} 0+60x60",
			"egress_answers_total{side=\"source\",class=\"none\"} 0+60x60\negress_answers_total{side=\"source\",class=\"2xx\"} 0x60",
		},
		[]string{
			"egress_answers_total{side=\"source\",class=\"5xx\"} 0+1x60\negress_answers_total{side=\"source\",class=\"2xx\"} 0x60",
			"egress_answers_total{side=\"source\",class=\"4xx\"} 0+60x60\negress_answers_total{side=\"source\",class=\"5xx\"} 0x60",
			"egress_answers_total{side=\"target\",class=\"5xx\"} 0+60x60\negress_answers_total{side=\"source\",class=\"2xx\"} 0+60x60",
		},
	},
	"TargetErrors": {
		40,
		[]string{
			"egress_answers_total{side=\"target\",class=\"5xx\"} 0+6x60\negress_answers_total{side=\"target\",class=\"2xx\"} 0+60x60",
			"egress_answers_total{side=\"issuer\",class=\"none\"} 0+6x60\negress_answers_total{side=\"target\",class=\"2xx\"} 0+6000x60",
		},
		[]string{
			"egress_answers_total{side=\"target\",class=\"4xx\"} 0+60x60\negress_answers_total{side=\"target\",class=\"2xx\"} 0+60x60",
			"egress_answers_total{side=\"source\",class=\"5xx\"} 0+60x60\negress_answers_total{side=\"target\",class=\"2xx\"} 0+60x60",
		},
	},
	"LeaseTakeovers": {
		30,
		[]string{"migrator_takeovers_total{instance=\"a\"} 0+1x5 6x60\nmigrator_takeovers_total{instance=\"b\"} 0x60"},
		[]string{`migrator_takeovers_total 100x60`, `migrator_takeovers_total 0x10 1x60`},
	},
	"LedgerAway": {
		20,
		[]string{"migrator_ledger_up{instance=\"a\"} 0x60\nmigrator_ledger_up{instance=\"b\"} 0x60"},
		[]string{"migrator_ledger_up{instance=\"a\"} 0x60\nmigrator_ledger_up{instance=\"b\"} 1x60"},
	},
	"LedgerLarge": {
		90,
		[]string{`migrator_ledger_size_bytes 60000000000x90`},
		[]string{`migrator_ledger_size_bytes 40000000000x90`, `migrator_ledger_size_bytes 60000000000x80 1000x20`},
	},
}

func TestEachAlertFiresWhenItShouldAndOnlyThen(t *testing.T) {
	t.Parallel()
	rules := monitoring.Rules(t, root)
	for _, rule := range rules {
		t.Run(rule.Alert, func(t *testing.T) {
			t.Parallel()
			s, ok := scenes[rule.Alert]
			if !ok {
				t.Fatal("nothing makes it fire here")
			}
			at := time.Unix(int64(s.minutes)*60, 0)
			for _, series := range s.fire {
				if !monitoring.Load(t, series).Fires(rule, at) {
					t.Errorf("does not fire for\n%s", series)
				}
			}
			for _, series := range s.quiet {
				if monitoring.Load(t, series).Fires(rule, at) {
					t.Errorf("fires for\n%s", series)
				}
			}
		})
	}
	if len(rules) != len(scenes) {
		t.Errorf("%d rules, %d scenes", len(rules), len(scenes))
	}
}

// What a runbook says to look for is a setting, a panel, a line of the log or a value,
// all of which are in the sources; commands and queries have tests where they are run.
func TestRunbooksNameWhatThereIs(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(root + "/docs/OPERATIONS.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(content), "\n## Alerts\n")
	text, _, _ = strings.Cut(text, "\n## Upgrade\n")
	sources := sourcesOf(t, "services", "pkg", "deploy/monitoring")
	elsewhere := regexp.MustCompile(`^(SELECT |VACUUM |migrator |kubectl |rabbitmqctl |psql$|deploy/|goroutine\?)`)
	named := regexp.MustCompile("`([^`]+)`|\"([^\"]+)\"").FindAllStringSubmatch(strings.Join(strings.Fields(text), " "), -1)
	if len(named) < 50 {
		t.Fatalf("only %d names were found", len(named))
	}
	for _, n := range named {
		if name := n[1] + n[2]; !elsewhere.MatchString(name) && !strings.Contains(sources, name) {
			t.Errorf("a runbook names %q, which is nowhere", name)
		}
	}
}

// sourcesOf is all that ships of some folders.
func sourcesOf(t *testing.T, folders ...string) string {
	t.Helper()
	var all strings.Builder
	for _, folder := range folders {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || strings.HasSuffix(path, "_test.go") {
				return err
			}
			content, err := os.ReadFile(path)
			all.Write(content)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all.String()
}

func TestEachAlertSaysWhatToDoAndHasARunbook(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(root + "/docs/OPERATIONS.md")
	if err != nil {
		t.Fatal(err)
	}
	runbooks := map[string]string{}
	for _, section := range regexp.MustCompile(`(?m)^### `).Split(string(content), -1)[1:] {
		title, text, _ := strings.Cut(section, "\n")
		text, _, _ = strings.Cut(text, "\n## ")
		runbooks["docs/OPERATIONS.md#"+strings.ToLower(title)] = strings.TrimSpace(text)
	}
	for _, rule := range monitoring.Rules(t, root) {
		if rule.Annotations["summary"] == "" || rule.Annotations["description"] == "" {
			t.Errorf("%s says not what to do", rule.Alert)
		}
		if s := rule.Labels["severity"]; s != "page" && s != "ticket" {
			t.Errorf("%s has the severity %q", rule.Alert, s)
		}
		link := rule.Annotations["runbook_url"]
		if link != "docs/OPERATIONS.md#"+strings.ToLower(rule.Alert) || len(runbooks[link]) < 100 {
			t.Errorf("%s has no runbook at %q: %q", rule.Alert, link, runbooks[link])
		}
	}
}
