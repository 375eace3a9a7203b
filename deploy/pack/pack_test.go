package pack_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"example.org/ncm/deploy/pack"
)

var date = time.Date(2026, time.November, 23, 20, 14, 47, 5, time.FixedZone("", 7200)) //nolint:gochecknoglobals // never written

func TestImagesHoldTheBinaryAndItsListAndDependOnNothingElse(t *testing.T) {
	t.Parallel()
	made := func() (content []byte, digest string) {
		var out bytes.Buffer
		digest, err := pack.Image{
			Name: "ncm/trigger", Version: "v1.2.3", Revision: "abc", Arch: "amd64", Date: date,
			Binary: []byte("binary"), SBOM: []byte("{}"), Folders: []string{"data"},
		}.Write(&out)
		if err != nil {
			t.Fatal(err)
		}
		return out.Bytes(), digest
	}
	content, digest := made()
	if again, same := made(); !bytes.Equal(content, again) || digest != same {
		t.Errorf("made twice: %s and %s, %d and %d bytes", digest, same, len(content), len(again))
	}

	image, err := tarball.Image(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }, nil)
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if config.Config.User != "65532:65532" || !config.Created.Equal(date) || config.Architecture != "amd64" || !slices.Equal(config.Config.Entrypoint, []string{"/service"}) {
		t.Errorf("configuration %+v", config)
	}
	layers, err := image.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatalf("%d layers, error %v", len(layers), err)
	}
	rootfs, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"-rwxr-xr-x 65532 service binary", "-rw-r--r-- 65532 sbom.cdx.json {}", "drwxr-xr-x 65532 data/ "}
	if got := list(t, rootfs); !slices.Equal(got, want) {
		t.Errorf("files %q, want %q", got, want)
	}
}

// list describes a tar's entries; each has the date.
func list(t *testing.T, r io.Reader) (all []string) {
	t.Helper()
	for entries := tar.NewReader(r); ; {
		h, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(entries)
		if err != nil {
			t.Fatal(err)
		}
		if !h.ModTime.Equal(date.Truncate(time.Second)) {
			t.Errorf("%s is of %v", h.Name, h.ModTime)
		}
		owner := map[int]string{0: "0", 65532: "65532"}[h.Uid]
		all = append(all, strings.Join([]string{h.FileInfo().Mode().String(), owner, h.Name, string(content)}, " "))
	}
}

func TestArchivesDependOnNothingButTheirContent(t *testing.T) {
	t.Parallel()
	made := func() []byte {
		var out bytes.Buffer
		if err := pack.Archive(&out, date, []pack.File{{Name: "a", Mode: 0o755}, {Name: "a/b", Mode: 0o644, Content: []byte("b")}}); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	content := made()
	if !bytes.Equal(content, made()) {
		t.Error("made twice, they differ")
	}
	plain, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := list(t, plain), []string{"drwxr-xr-x 0 a/ ", "-rw-r--r-- 0 a/b b"}; !slices.Equal(got, want) {
		t.Errorf("files %q, want %q", got, want)
	}
}

func TestTheListNamesEveryModuleThatIsLinked(t *testing.T) {
	t.Parallel()
	binary := filepath.Join(t.TempDir(), "migrator")
	command(t, "../../services/migrator", "go", "build", "-buildvcs=false", "-o", binary, "./cmd/migrator")
	content, err := pack.SBOM(binary, "v1.2.3", date)
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		BOMFormat, SpecVersion string
		Metadata               struct {
			Timestamp string
			Component struct{ Name, Version string }
		}
		Components   []struct{ Name, Version, PURL string }
		Dependencies []struct{ DependsOn []string }
	}
	if err := json.Unmarshal(content, &doc); err != nil {
		t.Fatal(err)
	}
	if doc.BOMFormat != "CycloneDX" || doc.Metadata.Timestamp != "2026-11-23T18:14:47Z" || doc.Metadata.Component.Version != "v1.2.3" ||
		doc.Metadata.Component.Name != "example.org/ncm/services/migrator/cmd/migrator" {
		t.Errorf("head %+v", doc)
	}
	var got []string
	for _, c := range doc.Components {
		got = append(got, c.Name)
		if ours := strings.HasPrefix(c.Name, "example.org/ncm/"); !ours && (c.Version == "" || c.PURL != "pkg:golang/"+strings.ToLower(c.Name)+"@"+c.Version) {
			t.Errorf("%s has version %q and purl %q", c.Name, c.Version, c.PURL)
		}
	}
	want := []string{"std"}
	for line := range strings.Lines(command(t, ".", "go", "version", "-m", binary)) {
		if words := strings.Fields(line); len(words) > 1 && words[0] == "dep" {
			want = append(want, words[1])
		}
	}
	if !slices.Equal(got, want) || len(want) < 10 {
		t.Errorf("modules %v, want %v", got, want)
	}
	if len(doc.Dependencies) != 1 || len(doc.Dependencies[0].DependsOn) != len(want) {
		t.Errorf("dependencies %+v", doc.Dependencies)
	}
}

// Two clones in two folders, one commit: the same bytes. DEPLOY_FULL=1 compares
// the archives of a release too, which compiles everything for another machine.
func TestOneCommitGivesTheSameImages(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("compiles the services twice")
	}
	first, second := t.TempDir(), filepath.Join(t.TempDir(), "another", "folder")
	for _, clone := range []string{first, second} {
		command(t, ".", "git", "clone", "--quiet", "--no-local", "file://"+top(t), clone)
		command(t, clone, "deploy/services/build", "images", filepath.Join(clone, "images"))
		if os.Getenv("DEPLOY_FULL") != "" {
			command(t, clone, "deploy/services/build", "release")
		}
	}
	compare := []string{"images/*.tar"}
	if os.Getenv("DEPLOY_FULL") != "" {
		compare = append(compare, "dist/*")
	}
	for _, pattern := range compare {
		files, err := filepath.Glob(filepath.Join(first, pattern))
		if err != nil || len(files) < 3 {
			t.Fatalf("%s: %v, error %v", pattern, files, err)
		}
		for _, file := range files {
			one, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			name := strings.TrimPrefix(file, first)
			if other, err := os.ReadFile(second + name); err != nil || !bytes.Equal(one, other) {
				t.Errorf("%s differs between two folders (%d and %d bytes, error %v)", name, len(one), len(other), err)
			}
		}
	}
}

func top(t *testing.T) string {
	t.Helper()
	return strings.TrimSpace(command(t, ".", "git", "rev-parse", "--show-toplevel"))
}

func command(t *testing.T, folder, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), "GOWORK=off")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}
