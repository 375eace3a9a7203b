package request

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Bounds of a page of migrations.
const (
	DefaultPage = 20
	MaxPage     = 100
)

// Page is a part of an instance's migrations. The documents lack their lists of
// errors and skipped entries.
type Page struct {
	Documents []Document
	Total     int
	Next      string // cursor of the page after it; empty: there is none
}

// List returns the instance's migrations, newest first, from where the cursor
// of another page says.
func (d *Desk) List(ctx context.Context, instance string, limit int, cursor string) (Page, error) {
	after, err := readCursor(cursor)
	if err != nil {
		return Page{}, err
	}
	if limit < 1 || limit > MaxPage {
		return Page{}, invalid("page[limit] must be between 1 and %d", MaxPage)
	}
	documents, err := d.Documents.List(ctx, instance)
	if err != nil {
		return Page{}, fmt.Errorf("list tracking documents: %w", err)
	}
	// The database has no order by time: documents of the stack name no time at
	// all before they start.
	slices.SortFunc(documents, func(a, b Document) int { return a.position().compare(b.position()) })
	page := Page{Total: len(documents)}
	first, _ := slices.BinarySearchFunc(documents, after, func(x Document, after position) int {
		return cmp.Or(x.position().compare(after), -1) // the first one behind it
	})
	if cursor == "" {
		first = 0
	}
	last := min(first+limit, len(documents))
	page.Documents = documents[first:last]
	if last < len(documents) && last > first {
		page.Next = documents[last-1].position().cursor()
	}
	return page, nil
}

// position is where a document is in the list. It changes once at most, when a
// document of the stack gets its first time.
type position struct {
	At time.Time `json:"t"`
	ID string    `json:"i"`
}

// position takes the first time that a document has. One without any has not
// started, so it is the newest.
func (d *Document) position() position {
	for _, at := range []*time.Time{d.CreatedAt, d.StartedAt, d.FinishedAt} {
		if at != nil {
			return position{at.UTC(), d.ID}
		}
	}
	return position{time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), d.ID}
}

// compare puts the newest first.
func (p position) compare(other position) int {
	return cmp.Or(other.At.Compare(p.At), strings.Compare(other.ID, p.ID))
}

func (p position) cursor() string {
	text, err := json.Marshal(p)
	if err != nil {
		return "" // no year of a document is that far away
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

func readCursor(cursor string) (position, error) {
	var p position
	if cursor == "" {
		return p, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || json.Unmarshal(text, &p) != nil || p.ID == "" {
		return position{}, invalid("page[cursor] is not one of ours")
	}
	return p, nil
}
