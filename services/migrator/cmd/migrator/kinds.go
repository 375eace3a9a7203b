package main

import (
	"errors"
	"fmt"

	"example.org/ncm/services/migrator/internal/nextcloud"
)

// KindsConfig holds the settings of what is copied and what is left out.
type KindsConfig struct {
	Favorites bool `envconfig:"KEEP_FAVORITES" default:"true" desc:"make favourites of the Nextcloud favourites of the Cozy"`
	Tags      bool `envconfig:"KEEP_TAGS" default:"true" desc:"give files and folders the tags that they have in the Nextcloud, the user's own and the system's"`

	Shared   string `envconfig:"SHARED_FILES" default:"copy" desc:"copy or skip what others have shared with the user"`
	Group    string `envconfig:"GROUP_FOLDERS" default:"copy" desc:"copy or skip group folders"`
	External string `envconfig:"EXTERNAL_STORAGES" default:"copy" desc:"copy or skip external storages"`
	Largest  int64  `envconfig:"MOUNT_LIMIT" default:"100000000000" desc:"most bytes of one share, group folder or external storage that is copied, one that holds more is skipped; 0: no limit"`
}

const (
	copyKind = "copy"
	skipKind = "skip"
)

func (c *KindsConfig) validate() error {
	var faults []error
	for _, s := range []struct{ name, value string }{
		{"SHARED_FILES", c.Shared}, {"GROUP_FOLDERS", c.Group}, {"EXTERNAL_STORAGES", c.External},
	} {
		if s.value != copyKind && s.value != skipKind {
			faults = append(faults, fmt.Errorf("%s: %s or %s", s.name, copyKind, skipKind))
		}
	}
	if c.Largest < 0 {
		faults = append(faults, errors.New("MOUNT_LIMIT: not negative"))
	}
	return errors.Join(faults...)
}

// skips says whether something is left out by its kind.
func (c *KindsConfig) skips() bool {
	return c.Shared == skipKind || c.Group == skipKind || c.External == skipKind
}

func (c *KindsConfig) mounts() nextcloud.Mounts {
	return nextcloud.Mounts{
		SkipShared:   c.Shared == skipKind,
		SkipGroup:    c.Group == skipKind,
		SkipExternal: c.External == skipKind,
		Largest:      c.Largest,
	}
}
