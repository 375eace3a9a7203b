package nextcloud

import "fmt"

// Mounts says which parts of an account are left out because they are mounted into
// it: shares that were received, group folders, external storages. What they hold
// is somebody else's, and may be more than a user knows.
type Mounts struct {
	SkipShared   bool
	SkipGroup    bool
	SkipExternal bool
	// Largest is up to how many bytes a mount is copied; 0: whatever its size. One
	// whose size the Nextcloud does not know is copied.
	Largest int64
}

// skip gives the reason, in words for the user, to leave out the root of a mount of
// that kind; empty: copy it.
func (m Mounts) skip(kind string, size int64) string {
	var what string
	skipped := false
	switch kind {
	case "":
		return ""
	case "shared":
		what, skipped = "was shared with the user by somebody else", m.SkipShared
	case "group":
		what, skipped = "is a group folder", m.SkipGroup
	case "external", "external-session":
		what, skipped = "is an external storage", m.SkipExternal
	default:
		what = "is mounted into the account"
	}
	switch {
	case skipped:
		return fmt.Sprintf("It %s (mount type %q), which the migration leaves out.", what, kind)
	case m.Largest > 0 && size > m.Largest:
		return fmt.Sprintf("It %s (mount type %q) and holds %.1f GB, more than the %.1f GB up to which that is copied.",
			what, kind, gigabytes(size), gigabytes(m.Largest))
	}
	return ""
}

func gigabytes(bytes int64) float64 { return float64(bytes) / 1e9 }
