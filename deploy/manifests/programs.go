package manifests

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Setting is one that a program's --help names.
type Setting struct {
	Name     string
	Required bool
	Secret   bool // may be given as a file
}

// Programs are the services as they are built from the sources of this clone.
type Programs struct {
	folder string
}

// Compile builds the services into a folder.
func Compile(ctx context.Context, root, folder string) (*Programs, error) {
	for _, name := range []string{"trigger", "migrator"} {
		cmd := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", filepath.Join(folder, name), "./cmd/"+name)
		cmd.Dir = filepath.Join(root, "services", name)
		cmd.Env = append(os.Environ(), "GOWORK=off") //nolint:forbidigo // the compiler's, not settings
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("build %s: %w\n%s", name, err, out)
		}
	}
	return &Programs{folder: folder}, nil
}

// of finds the program that a container runs, by its image's name.
func (p *Programs) of(c Container) string {
	image, _, _ := strings.Cut(c.Image[strings.LastIndex(c.Image, "/")+1:], ":")
	return filepath.Join(p.folder, image)
}

// Settings reads what the container's command can be told, from its --help.
func (p *Programs) Settings(ctx context.Context, c Container) (map[string]Setting, error) {
	out, err := exec.CommandContext(ctx, p.of(c), append(commandOf(c), "--help")...).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%s: ask for settings: %w\n%s", c, err, out)
	}
	head, table, _ := strings.Cut(string(out), "DESCRIPTION\n")
	column := strings.Index(head[strings.LastIndex(head, "\n")+1:], "REQUIRED")
	settings := map[string]Setting{}
	for line := range strings.Lines(table) {
		fields := strings.Fields(line)
		if len(fields) < 2 || column < 0 || len(line) <= column {
			continue
		}
		settings[fields[0]] = Setting{
			Name: fields[0], Secret: fields[1] == "secret", Required: strings.HasPrefix(line[column:], "yes"),
		}
	}
	if len(settings) == 0 {
		return nil, fmt.Errorf("%s: --help names no setting:\n%s", c, out)
	}
	return settings, nil
}

// commandOf is the sub-command, without flags.
func commandOf(c Container) []string {
	var words []string
	for _, arg := range c.Args {
		if strings.HasPrefix(arg, "-") {
			break
		}
		words = append(words, arg)
	}
	return words
}

// Understands gives what a container's program says against its arguments. With an
// empty environment no command gets further than to its settings.
func (p *Programs) Understands(ctx context.Context, c Container) error {
	ctx, cancel := context.WithTimeout(ctx, settled)
	defer cancel()
	cmd := exec.CommandContext(ctx, p.of(c), c.Args...)
	cmd.Env = []string{"PATH="} // nil would be ours
	out, err := cmd.CombinedOutput()
	if !bytes.Contains(out, []byte("faulty settings")) {
		return fmt.Errorf("%v: %w: %s", c.Args, err, bytes.TrimSpace(out))
	}
	return nil
}

// settled is how long a program may take to say what it thinks of its settings.
const settled = time.Minute

// Accepts starts a container's program with its settings and gives what it says
// against them. Every secret is a file with the content given.
func (p *Programs) Accepts(ctx context.Context, c Container, env map[string]string) error {
	ctx, cancel := context.WithTimeout(ctx, settled)
	defer cancel()
	cmd := exec.CommandContext(ctx, p.of(c), c.Args...)
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	started := &firstLine{seen: cancel}
	cmd.Stdout = started
	err := cmd.Run()
	switch {
	case started.some: // it logs its settings once it took them; then it was killed
		return nil
	case err == nil:
		return errors.New("it ended without a word")
	default:
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(complaints.String()))
	}
}

// firstLine notes that something was written.
type firstLine struct {
	some bool
	seen func()
}

// Write implements io.Writer.
func (f *firstLine) Write(b []byte) (int, error) {
	f.some = true
	f.seen()
	return len(b), nil
}
