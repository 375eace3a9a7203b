// Package tree seeds folders with files that are hard to copy, lists the two
// ends of a migration and compares them entry by entry.
package tree

import (
	"crypto/md5" //nolint:gosec // the digest that both ends know
	"time"
)

// Entry is one file or folder of a listing.
type Entry struct {
	// Path is relative to the folder that is listed, with slashes.
	Path    string
	Folder  bool
	Size    int64
	MD5     [md5.Size]byte
	ModTime time.Time
}

// Totals sums a listing up. The listed folder itself is not counted.
type Totals struct {
	Files   int   `json:"files"`
	Folders int   `json:"folders"`
	Bytes   int64 `json:"bytes"`
}

func (t *Totals) add(e Entry) {
	if e.Folder {
		t.Folders++
		return
	}
	t.Files++
	t.Bytes += e.Size
}
