package contract

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Exchange is the durable topic exchange that carries both messages.
const Exchange = "migration"

// Routing keys of the two messages.
const (
	KeyRequested = "nextcloud.migration.requested"
	KeyCanceled  = "nextcloud.migration.canceled"
)

// MaxMessageBytes bounds what a consumer reads of one message. The largest
// honest message is a source path of 4 kB and some ids.
const MaxMessageBytes = 64 << 10

// MessageVersion is the highest version of both messages that this code knows. A
// message that names none has version 1, which is what is sent: a change that old
// consumers must not overlook gets a higher one.
const MessageVersion = 1

// Requested asks for a migration. The target folder is not in it: it is read
// from the tracking document. Credentials are never in a message.
type Requested struct {
	MigrationID   string `json:"migrationId"`
	WorkplaceFQDN string `json:"workplaceFqdn"`
	AccountID     string `json:"accountId"`
	SourcePath    string `json:"sourcePath"`
	Timestamp     int64  `json:"timestamp"` // unix seconds
	Version       int    `json:"version,omitempty"`
}

// Canceled asks for the end of a migration. It may arrive before, after or
// without its request, and more than once.
type Canceled struct {
	MigrationID   string `json:"migrationId"`
	WorkplaceFQDN string `json:"workplaceFqdn"`
	Timestamp     int64  `json:"timestamp"` // unix seconds
	Version       int    `json:"version,omitempty"`
}

// ErrMalformed is wrapped by the decoders for a message that will never be
// understood, however often it is delivered.
var ErrMalformed = errors.New("malformed message")

// DecodeRequested reads a request; unknown fields are ignored. The error wraps
// ErrMalformed and quotes no value of the message.
func DecodeRequested(body []byte) (Requested, error) {
	var m Requested
	if err := decode(body, &m); err != nil {
		return Requested{}, err
	}
	if err := check(m.Version, m.MigrationID, m.WorkplaceFQDN); err != nil {
		return Requested{}, err
	}
	if m.AccountID == "" {
		return Requested{}, fmt.Errorf("%w: accountId is missing", ErrMalformed)
	}
	if !validText(m.AccountID, maxIDBytes) {
		return Requested{}, fmt.Errorf("%w: accountId is not an id", ErrMalformed)
	}
	if m.SourcePath == "" {
		m.SourcePath = DefaultSourcePath
	}
	if !validText(m.SourcePath, MaxMessageBytes) {
		return Requested{}, fmt.Errorf("%w: sourcePath holds a NUL byte", ErrMalformed)
	}
	if m.Timestamp < 0 || m.Timestamp > maxTimestamp {
		return Requested{}, fmt.Errorf("%w: timestamp is not one in seconds", ErrMalformed)
	}
	return m, nil
}

// DecodeCanceled reads a cancellation; unknown fields are ignored. The error
// wraps ErrMalformed and quotes no value of the message.
func DecodeCanceled(body []byte) (Canceled, error) {
	var m Canceled
	if err := decode(body, &m); err != nil {
		return Canceled{}, err
	}
	return m, check(m.Version, m.MigrationID, m.WorkplaceFQDN)
}

func decode(body []byte, m any) error {
	if len(body) > MaxMessageBytes {
		return fmt.Errorf("%w: %d bytes, the limit is %d", ErrMalformed, len(body), MaxMessageBytes)
	}
	if err := json.Unmarshal(body, m); err != nil {
		var wrongType *json.UnmarshalTypeError
		if errors.As(err, &wrongType) {
			return fmt.Errorf("%w: field %q has the wrong type", ErrMalformed, wrongType.Field)
		}
		return fmt.Errorf("%w: not JSON", ErrMalformed)
	}
	return nil
}

const maxIDBytes = 512

// maxTimestamp is the last second of the year 9999. Later ones no JSON tells, nor
// does Postgres store all of them: every retry would fail alike.
const maxTimestamp = 253402300799

func check(version int, migration, fqdn string) error {
	switch {
	case version < 0 || version > MessageVersion:
		return fmt.Errorf("%w: unknown version", ErrMalformed)
	case migration == "":
		return fmt.Errorf("%w: migrationId is missing", ErrMalformed)
	case fqdn == "":
		return fmt.Errorf("%w: workplaceFqdn is missing", ErrMalformed)
	case !validText(migration, maxIDBytes):
		return fmt.Errorf("%w: migrationId is not an id", ErrMalformed)
	case !validText(fqdn, maxIDBytes):
		return fmt.Errorf("%w: workplaceFqdn is not a host name", ErrMalformed)
	}
	return nil
}

// validText says whether Postgres can store s as text: a NUL byte would make
// every retry fail alike.
func validText(s string, most int) bool {
	return len(s) <= most && !strings.ContainsRune(s, 0)
}
