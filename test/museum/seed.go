package museum

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"
)

// Seed writes the exhibits into a user's folder on disk, and gives set what the
// Nextcloud has to know of an entry besides, in the words of /_sim/entries.
func Seed(home string, exhibits []Exhibit, set func(path string, properties map[string]any)) error {
	root, err := os.OpenRoot(home) // folder by folder: some paths are too long for one call
	if err != nil {
		return fmt.Errorf("open the user's folder: %w", err)
	}
	for _, e := range exhibits {
		if err = e.write(root); err != nil {
			break
		}
	}
	for _, e := range slices.Backward(exhibits) { // folders after what is in them
		if err == nil {
			err = root.Chtimes(filepath.FromSlash(e.Path), e.Modified, e.Modified)
		}
	}
	if err := errors.Join(err, root.Close()); err != nil {
		return fmt.Errorf("write exhibit: %w", err)
	}
	for _, e := range exhibits {
		if p := e.properties(); len(p) > 0 {
			set(e.Path, p)
		}
	}
	return nil
}

func (e Exhibit) write(root *os.Root) error {
	if e.Folder {
		return root.MkdirAll(filepath.FromSlash(path.Clean(e.Path)), 0o755)
	}
	return root.WriteFile(filepath.FromSlash(e.Path), []byte(e.Content), 0o644)
}

func (e Exhibit) properties() map[string]any {
	p := map[string]any{}
	if e.Favorite {
		p["favorite"] = true
	}
	if e.Tags != nil {
		p["tags"] = e.Tags
	}
	if !e.Created.IsZero() {
		p["created"] = e.Created.Format(time.RFC3339)
	}
	if e.Permissions != "" {
		p["permissions"] = e.Permissions
	}
	if e.Checksum != "" {
		p["checksum"] = e.Checksum
	}
	if e.Encrypted {
		p["encrypted"] = true
	}
	if e.Gone {
		p["gone"] = true
	}
	if e.Mount != nil {
		p["mount"] = e.Mount
	}
	if e.Lock != nil {
		p["lock"] = e.Lock
	}
	return p
}
