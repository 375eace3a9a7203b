package contract_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/ncm/pkg/contract"
)

// form is what neighbours send or store, as recorded from a real stack, without
// _id, _rev and _type; tracking_all_fields is this project's own.
type form struct {
	file  string
	value any
	// sent: the bytes are those of the wire. Else the stack stored it, and gives
	// the members in an order of its own.
	sent bool
}

func forms() []form {
	return []form{
		{"requested.json", contract.Requested{
			MigrationID: "bd380f74730ad3bb2eefca3f81056305", WorkplaceFQDN: "bob.localhost:8080",
			AccountID: "bd380f74730ad3bb2eefca3f81054e87", SourcePath: "/Photos/2024 été", Timestamp: 1795432685,
		}, true},
		{"canceled.json", contract.Canceled{
			MigrationID: "bd380f74730ad3bb2eefca3f81056305", WorkplaceFQDN: "bob.localhost:8080", Timestamp: 1795432686,
		}, true},
		{"tracking_pending.json", contract.NewTracking("/Photos/2024 été", "/Mes fichiers/NC"), true},
		{"tracking_failed.json", contract.Tracking{
			Status: contract.StatusFailed, SourcePath: "/", TargetDir: "/Nextcloud",
			Errors: []contract.Failure{{
				Message: "publish migration command: rabbitmq publish: confirm channel closed", At: *at("2026-11-23T11:17:45.50373151Z"),
			}},
			Skipped: []contract.Skip{}, FinishedAt: at("2026-11-23T11:17:45.50373151Z"),
		}, true},
		{"tracking_canceled.json", contract.Tracking{
			Status: contract.StatusCanceled, SourcePath: "/Photos/2024 été", TargetDir: "/Mes fichiers/NC",
			Errors: []contract.Failure{}, Skipped: []contract.Skip{},
			FinishedAt: at("2026-01-01T00:00:00Z"), CanceledAt: at("2026-01-01T00:00:00Z"),
		}, false},
		{"tracking_source_deleted.json", contract.Tracking{
			Status: contract.StatusCompleted, SourcePath: "/", TargetDir: "/Nextcloud",
			Errors: []contract.Failure{}, Skipped: []contract.Skip{},
			FinishedAt: at("2026-01-01T00:00:00Z"), SourceDeletedAt: at("2026-11-23T11:18:11.381977349Z"),
		}, false},
		{"tracking_all_fields.json", contract.Tracking{
			Status: contract.StatusRunning, SourcePath: "/", TargetDir: "/Nextcloud imported files",
			Progress: contract.Progress{FilesImported: 7, FilesTotal: 9, BytesImported: 700, BytesTotal: 900},
			Errors: []contract.Failure{{
				Path: "/a.txt", Message: "The server did not answer.", At: *at("2026-11-23T11:18:05Z"),
			}},
			Skipped:   []contract.Skip{{Path: "/vault", Reason: "end-to-end encrypted", Size: 77}},
			StartedAt: at("2026-11-23T11:18:00Z"), CancelRequested: true, SchemaVersion: contract.SchemaVersion,
			ErrorsTruncatedCount: 3, SkippedTruncatedCount: 4, LastHeartbeatAt: at("2026-11-23T11:18:06Z"),
			FailureReason: "why it failed", PauseReason: "why it waits",
			Report: "/Nextcloud imported files/Migration report.csv", ReportMissing: "why there is no report",
		}, true},
		{"account.json", contract.Account{
			AccountType: contract.AccountTypeNextcloud, Name: "joe", WebDAVUserID: "joe_uid",
			Auth: contract.AccountAuth{URL: "http://127.0.0.1:8099/sub/", Login: "joe", Password: "pw"},
		}, false},
	}
}

func at(text string) *time.Time {
	t, _ := time.Parse(time.RFC3339Nano, text) // what is not a time fails the comparison
	return &t
}

func TestWhatIsWrittenHasTheRecordedForm(t *testing.T) {
	t.Parallel()
	for _, f := range forms() {
		got, err := json.Marshal(f.value)
		if err != nil {
			t.Fatal(err)
		}
		want := recorded(t, f.file)
		if f.sent {
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("%s (-recorded +written):\n%s", f.file, diff)
			}
			continue
		}
		if diff := cmp.Diff(members(t, want), members(t, got)); diff != "" {
			t.Errorf("%s (-recorded +written):\n%s", f.file, diff)
		}
	}
}

func TestWhatWasRecordedIsUnderstood(t *testing.T) {
	t.Parallel()
	for _, f := range forms() {
		got, err := read(f.value, recorded(t, f.file))
		if err != nil {
			t.Errorf("%s: %v", f.file, err)
		}
		if diff := cmp.Diff(f.value, got); diff != "" {
			t.Errorf("%s (-want +read):\n%s", f.file, diff)
		}
	}
}

func TestUnknownFieldsOfMessagesAreIgnored(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"requested.json", "canceled.json"} {
		body := append([]byte(`{"newer":{"than":["this"]},`), recorded(t, file)[1:]...)
		_, requestErr := contract.DecodeRequested(body)
		_, cancelErr := contract.DecodeCanceled(body)
		if cancelErr != nil || file == "requested.json" && requestErr != nil {
			t.Errorf("%s with a field more: %v, %v", file, requestErr, cancelErr)
		}
	}
}

func TestAMessageOfAVersionThatIsNotKnownIsRefused(t *testing.T) {
	t.Parallel()
	for version, known := range map[string]bool{"1": true, "null": true, "2": false, "-1": false, `"1"`: false} {
		for _, file := range []string{"requested.json", "canceled.json"} {
			body := append([]byte(`{"version":`+version+`,`), recorded(t, file)[1:]...)
			_, err := contract.DecodeCanceled(body) // reads what both have
			if file == "requested.json" {
				_, err = contract.DecodeRequested(body)
			}
			if known != (err == nil) || err != nil && !errors.Is(err, contract.ErrMalformed) {
				t.Errorf("%s of version %s: %v", file, version, err)
			}
		}
	}
}

func TestATimeThatNoLedgerStoresIsRefused(t *testing.T) {
	t.Parallel()
	for timestamp, good := range map[string]bool{
		"0": true, "1795000000": true, "253402300799": true,
		"253402300800": false, "1795000000000": false, "9000000000000000000": false, "-1": false,
	} {
		body := append([]byte(`{`), recorded(t, "requested.json")[1:]...)
		body = append(bytes.TrimRight(body, "}\n "), (`,"timestamp":` + timestamp + `}`)...) // the last of two counts
		if _, err := contract.DecodeRequested(body); good != (err == nil) || err != nil && !errors.Is(err, contract.ErrMalformed) {
			t.Errorf("timestamp %s: %v", timestamp, err)
		}
	}
}

// read gives a value of the same type as the one given.
func read(like any, body []byte) (any, error) {
	switch like.(type) {
	case contract.Requested:
		return contract.DecodeRequested(body)
	case contract.Canceled:
		return contract.DecodeCanceled(body)
	case contract.Account:
		var a contract.Account
		err := json.Unmarshal(body, &a)
		return a, err
	default:
		var doc contract.Tracking
		err := json.Unmarshal(body, &doc)
		return doc, err
	}
}

func recorded(t *testing.T, file string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	return bytes.TrimSpace(content)
}

func members(t *testing.T, body []byte) (object map[string]any) {
	t.Helper()
	if err := json.Unmarshal(body, &object); err != nil {
		t.Fatal(err)
	}
	return object
}
