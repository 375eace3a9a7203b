package pack

import (
	"bytes"
	"fmt"
	"io"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// user is whom images run as, and who owns what is in them.
const user = 65532

// Image is a static binary and nothing else but the list of what is in it.
type Image struct {
	Name              string // without a tag
	Version, Revision string
	Arch              string // Go's name
	Date              time.Time
	Binary, SBOM      []byte
	Folders           []string // that the program may write to
}

// Write writes what docker load reads and gives the image's digest. docker build
// would stamp the time of the build.
func (i Image) Write(w io.Writer) (digest string, err error) {
	files := []File{{"service", 0o755, i.Binary}, {"sbom.cdx.json", 0o644, i.SBOM}}
	for _, folder := range i.Folders {
		files = append(files, File{folder, 0o755, nil})
	}
	var rootfs bytes.Buffer
	if err := writeTar(&rootfs, i.Date, user, files); err != nil {
		return "", err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(rootfs.Bytes())), nil
	})
	if err != nil {
		return "", fmt.Errorf("make the layer: %w", err)
	}
	image, err := mutate.Append(empty.Image, mutate.Addendum{Layer: layer, History: v1.History{
		Created: v1.Time{Time: i.Date.UTC()}, CreatedBy: "deploy/cmd/pack",
	}})
	if err != nil {
		return "", fmt.Errorf("add the layer: %w", err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		return "", fmt.Errorf("read the image's configuration: %w", err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Created = "linux", i.Arch, v1.Time{Time: i.Date.UTC()}
	config.Config = v1.Config{
		User:       fmt.Sprintf("%d:%d", user, user),
		Entrypoint: []string{"/service"},
		Labels: map[string]string{
			"org.opencontainers.image.version":  i.Version,
			"org.opencontainers.image.revision": i.Revision,
			"org.opencontainers.image.created":  i.Date.UTC().Format(time.RFC3339),
			"org.opencontainers.image.licenses": "AGPL-3.0-only",
		},
	}
	if image, err = mutate.ConfigFile(image, config); err != nil {
		return "", fmt.Errorf("write the image's configuration: %w", err)
	}
	ref, err := name.NewTag(i.Name + ":" + i.Version)
	if err != nil {
		return "", fmt.Errorf("name the image: %w", err)
	}
	if err := tarball.Write(ref, image, w); err != nil {
		return "", fmt.Errorf("write the image: %w", err)
	}
	hash, err := image.ConfigName()
	if err != nil {
		return "", fmt.Errorf("read the image's digest: %w", err)
	}
	return hash.String(), nil
}
