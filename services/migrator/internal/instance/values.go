package instance

import (
	"encoding/json"
	"mime"
	"strings"
	"time"

	"example.org/ncm/pkg/cozy"
)

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

// plainTags gives the tags if all of them can be named at a creation: the stack
// splits the list at commas and trims what is between.
func plainTags(tags []string) (plain []string, ok bool) {
	for _, tag := range tags {
		if strings.Contains(tag, ",") || strings.TrimSpace(tag) != tag {
			return nil, false
		}
	}
	return tags, true
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

// mimeNote is the type of the notes that are written in the Cozy.
const mimeNote = "text/vnd.cozy.note+markdown"

// ownMetadata says whether somebody noted something about a file. What the stack
// itself finds in a content it finds again in the next.
func ownMetadata(metadata json.RawMessage) bool {
	var known map[string]json.RawMessage
	if json.Unmarshal(metadata, &known) != nil {
		return false
	}
	_, extracted := known["extractor_version"]
	return len(known) > 0 && !extracted
}

// newTimes gives the dates to send for a file that keeps the date of its creation.
func newTimes(created, updated time.Time) cozy.Times {
	if saneTime(updated) && updated.Before(created) {
		updated = created
	}
	return times(created, updated)
}
