// Package museum is one Nextcloud account with every kind of file and folder that
// is hard to move, and what has to become of each.
package museum

import (
	"crypto/md5" //nolint:gosec // the digest that both ends know
	"encoding/hex"
	"path"
	"strings"
	"time"

	"example.org/ncm/pkg/nextcloudtest"
)

// Exhibit is one file or folder of the account. Folders on the way to others are
// exhibits, too, where they have something of their own to show.
type Exhibit struct {
	Path     string // in the account, with slashes
	Folder   bool
	Content  string
	Modified time.Time // zero: some day
	Created  time.Time // zero: the Nextcloud does not say
	Favorite bool
	Tags     []string

	// What else the Nextcloud says or does.
	Permissions string
	Checksum    string
	Encrypted   bool
	Gone        bool
	Mount       *nextcloudtest.Mount
	Lock        *nextcloudtest.Lock

	Want Want
}

// Want is what has to become of an exhibit; its zero value is to arrive under its
// own name.
type Want struct {
	Outcome Outcome
	Name    string // in the target, where it differs
	Reason  string // part of what the user is told, with Skipped and Failed
	Note    string // part of what the report says of a file that arrives
}

// Outcome of an exhibit.
type Outcome int

// The outcomes.
const (
	Arrives Outcome = iota
	Skipped
	Failed
	Unseen // it is in a folder that is skipped or failed
)

// Arrival is an entry of the target as it has to be.
type Arrival struct {
	Folder   bool
	Size     int64
	MD5      string // hexadecimal
	Modified time.Time
	Created  time.Time
	Favorite bool
	Tags     []string
}

// someDay is when entries were changed of which the date is not the point.
var someDay = time.Date(2019, time.March, 4, 5, 6, 7, 0, time.UTC) //nolint:gochecknoglobals // never written

// Exhibits are all entries, each folder before what is in it.
func Exhibits() []Exhibit {
	var all []Exhibit
	known := map[string]bool{".": true}
	for _, e := range rooms() {
		if e.Modified.IsZero() {
			e.Modified = someDay
		}
		var above []Exhibit
		for dir := path.Dir(e.Path); !known[dir]; dir = path.Dir(dir) {
			known[dir] = true
			above = append([]Exhibit{{Path: dir, Folder: true, Modified: someDay}}, above...)
		}
		all = append(append(all, above...), e)
		known[e.Path] = true
	}
	return all
}

// Below gives the exhibits of a migration of one folder, as if it were the account,
// or of one file.
func Below(exhibits []Exhibit, top string) []Exhibit {
	var below []Exhibit
	for _, e := range exhibits {
		inside, ok := strings.CutPrefix(e.Path, top+"/")
		switch {
		case ok:
			e.Path = inside
		case e.Path == top && !e.Folder:
			e.Path = path.Base(top)
		default:
			continue
		}
		below = append(below, e)
	}
	return below
}

// Expect gives what has to be in the target folder, by path, and what the user has
// to be told of, reason by path in the source.
func Expect(exhibits []Exhibit) (arrivals map[string]Arrival, skipped, failed map[string]string) {
	arrivals, skipped, failed = map[string]Arrival{}, map[string]string{}, map[string]string{}
	targets := map[string]string{".": ""}
	for _, e := range exhibits {
		switch e.Want.Outcome {
		case Arrives:
			name := e.Want.Name
			if name == "" {
				name = path.Base(e.Path)
			}
			targets[e.Path] = strings.TrimPrefix(targets[path.Dir(e.Path)]+"/"+name, "/")
			arrivals[targets[e.Path]] = e.arrival()
		case Skipped:
			skipped["/"+e.Path] = e.Want.Reason
		case Failed:
			failed["/"+e.Path] = e.Want.Reason
		case Unseen:
		}
	}
	return arrivals, skipped, failed
}

func (e Exhibit) arrival() Arrival {
	a := Arrival{Folder: e.Folder, Modified: e.Modified.UTC(), Created: e.Created.UTC(), Favorite: e.Favorite, Tags: e.Tags}
	if e.Created.IsZero() || e.Created.After(e.Modified) {
		a.Created = a.Modified // a Cozy does not take a creation after the last change
	}
	if !e.Folder {
		sum := md5.Sum([]byte(e.Content)) //nolint:gosec // see above
		a.Size, a.MD5 = int64(len(e.Content)), hex.EncodeToString(sum[:])
	}
	return a
}
