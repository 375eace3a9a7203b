package contract_test

import (
	"encoding/json"
	"errors"
	"regexp"
	"testing"

	"example.org/ncm/pkg/contract"
)

// refusals are all that a decoder may say. The values of a message are not among
// it: what it says goes to logs and headers.
var refusals = regexp.MustCompile(`^malformed message: (` + //nolint:gochecknoglobals // never written
	`not JSON|[0-9]+ bytes, the limit is [0-9]+` +
	`|field "(migrationId|workplaceFqdn|accountId|sourcePath|timestamp|version|)" has the wrong type` +
	`|(migrationId|workplaceFqdn|accountId) is missing|unknown version` +
	`|(migrationId|accountId) is not an id|workplaceFqdn is not a host name|sourcePath holds a NUL byte)$`)

func FuzzDecodeRequested(f *testing.F) {
	f.Add([]byte(`{"migrationId":"m","workplaceFqdn":"a.example","accountId":"a","sourcePath":"/","timestamp":1}`))
	f.Add([]byte(`{"migrationId":"m","workplaceFqdn":"a.example","accountId":"a","timestamp":1,"version":2}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := contract.DecodeRequested(body)
		if err != nil {
			mustBeRefusal(t, err)
			return
		}
		if m.MigrationID == "" || m.WorkplaceFQDN == "" || m.AccountID == "" || m.SourcePath == "" || m.Version > contract.MessageVersion {
			t.Errorf("accepted with a field missing: %+v", m)
		}
		mustComeBack(t, m, contract.DecodeRequested)
	})
}

func FuzzDecodeCanceled(f *testing.F) {
	f.Add([]byte(`{"migrationId":"m","workplaceFqdn":"a.example","timestamp":1}`))
	f.Add([]byte(`{"migrationId":"m","workplaceFqdn":"a.example","timestamp":1,"version":1}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := contract.DecodeCanceled(body)
		if err != nil {
			mustBeRefusal(t, err)
			return
		}
		if m.MigrationID == "" || m.WorkplaceFQDN == "" {
			t.Errorf("accepted with a field missing: %+v", m)
		}
		mustComeBack(t, m, contract.DecodeCanceled)
	})
}

func mustBeRefusal(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, contract.ErrMalformed) || !refusals.MatchString(err.Error()) {
		t.Errorf("refused with: %v", err)
	}
}

// mustComeBack sends a message that was accepted once more.
func mustComeBack[M comparable](t *testing.T, m M, decode func([]byte) (M, error)) {
	t.Helper()
	body, err := json.Marshal(m)
	if err != nil {
		t.Fatalf("encode %+v: %v", m, err)
	}
	if len(body) > contract.MaxMessageBytes {
		return // escapes made it longer
	}
	if again, err := decode(body); err != nil || again != m {
		t.Errorf("%+v comes back as %+v, %v", m, again, err)
	}
}
