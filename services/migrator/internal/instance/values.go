package instance

import (
	"errors"
	"mime"
	"strings"
	"time"
	"unicode/utf8"

	"example.org/ncm/pkg/cozy"
	"example.org/ncm/services/migrator/internal/transfer"
)

// Lengths in bytes up to which the file-system backend surely takes a name; a
// file's is longer on disk while it is written.
const (
	maxFileName   = 245
	maxFolderName = 255
)

var errName = errors.New("not a name for a file or folder")

// checkName refuses what the stack refuses, and names that are not UTF-8: it
// would store those under another name and never find the file again.
func checkName(name string) error {
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00\r\n") || !utf8.ValidString(name) {
		return fails(transfer.ReasonNameRefused, errName)
	}
	return nil
}

// times gives the dates to send: both or none, and never a creation after the
// last change, which would make the file unchangeable.
func times(created, updated time.Time) cozy.Times {
	if !saneTime(updated) {
		return cozy.Times{}
	}
	if !saneTime(created) || created.After(updated) {
		created = updated
	}
	return cozy.Times{CreatedAt: created.UTC(), UpdatedAt: updated.UTC()}
}

// saneTime says whether a date is one and can be written in four digits.
func saneTime(t time.Time) bool {
	year := t.UTC().Year()
	return !t.IsZero() && year >= 1 && year <= 9999
}

// saneMIME drops what the stack would believe to the file's harm: it takes any
// text for a type, and goes by the name when there is none.
func saneMIME(claimed string) string {
	const most = 128
	kind, _, err := mime.ParseMediaType(claimed)
	if err != nil || len(kind) > most || !strings.Contains(kind, "/") {
		return ""
	}
	switch kind {
	case "application/octet-stream", "httpd/unix-directory":
		return ""
	}
	return kind
}
