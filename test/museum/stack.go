package museum

import (
	"path"
	"strings"
	"time"
)

// ThroughStack are the exhibits as they have to become where the stack copies by
// itself. It shows neither marks nor creation dates, nor what an entry is besides a
// file or a folder, so nothing is skipped; and it can't list a folder in which a
// name has control characters.
func ThroughStack(exhibits []Exhibit) []Exhibit {
	var all []Exhibit
	wanted := map[string]Want{}
	for _, e := range exhibits {
		e.Favorite, e.Tags, e.Created = false, nil, time.Time{}
		above, inside := wanted[path.Dir(e.Path)]
		switch {
		case e.Path == "Names":
			e.Want = Want{Outcome: Failed, Reason: "was cut short"}
		case strings.HasPrefix(e.Path, "Names/"):
			e.Want = Want{Outcome: Unseen}
		case e.Gone: // the Nextcloud says 503, of which the stack has no more words
			e.Want.Reason = "was busy"
		case e.Want.Outcome == Skipped, e.Want.Outcome == Unseen && inside && above.Outcome == Arrives:
			e.Want = Want{}
		}
		if strings.Contains(e.Want.Note, "checksum") { // the stack shows none
			e.Want.Note = ""
		}
		wanted[e.Path] = e.Want
		all = append(all, e)
	}
	return all
}
