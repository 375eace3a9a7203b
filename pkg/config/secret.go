package config

import (
	"fmt"
	"io"
	"log/slog"
)

const redacted = "***"

// Secret is a string that prints as *** whatever the verb, logger or encoder.
// It can't hide inside an unexported struct field, which fmt reads directly, nor
// as a key of a map, which encoding/json does.
type Secret string

// Reveal gives the value itself.
func (s Secret) Reveal() string { return string(s) }

// String implements fmt.Stringer.
func (Secret) String() string { return redacted }

// GoString implements fmt.GoStringer.
func (Secret) GoString() string { return redacted }

// Format implements fmt.Formatter: a verb that does not suit strings would
// otherwise print the value in its complaint.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue implements slog.LogValuer.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText implements encoding.TextMarshaler.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalJSON implements json.Marshaler.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }
