package configtest

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"example.org/ncm/pkg/config"
)

// A test writes the table instead of comparing it: make settings.
var update = flag.Bool("update", false, "write the tables of settings into the documentation")

// Command is what a program can do, with its settings.
type Command struct {
	Name string
	Spec any // as for config.Load
}

// Documented fails the test unless the part of a Markdown file that belongs to a
// program is the table of its commands' settings. The part stands between the
// comments <!-- settings of PROGRAM --> and <!-- end -->, each on a line of its own.
func Documented(t *testing.T, file, program string, commands []Command) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, opened := strings.Cut(string(content), "<!-- settings of "+program+" -->\n")
	got, tail, closed := strings.Cut(rest, "<!-- end -->\n")
	if !opened || !closed {
		t.Fatalf("%s has no part for the settings of %s", file, program)
	}
	want := table(t, commands)
	switch {
	case got == want:
	case *update:
		begin := strings.TrimSuffix(string(content), rest)
		if err := os.WriteFile(file, []byte(begin+want+"<!-- end -->\n"+tail), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s, after %d lines: the settings of %s are others, run make settings. They are:\n%s",
			file, strings.Count(head, "\n"), program, want)
	}
}

// row is a setting as commands share it: one with another default in another
// command is a row of its own.
type row struct {
	config.Setting
	commands []string
}

func table(t *testing.T, commands []Command) string {
	t.Helper()
	var rows []row
	for _, command := range commands {
		settings, err := config.Describe("", command.Spec)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range settings {
			if s.Description == "" {
				t.Errorf("%s: %s has no description", command.Name, s.Name)
			}
			i := slices.IndexFunc(rows, func(r row) bool { return r.Setting == s })
			if i < 0 {
				i = len(rows)
				rows = append(rows, row{Setting: s})
			}
			rows[i].commands = append(rows[i].commands, command.Name)
		}
	}
	var b strings.Builder
	several := len(commands) > 1
	if several {
		b.WriteString("| setting | type | default | commands | meaning |\n|---|---|---|---|---|\n")
	} else {
		b.WriteString("| setting | type | default | meaning |\n|---|---|---|---|\n")
	}
	for _, r := range rows {
		fmt.Fprintf(&b, "| `%s` | %s | %s |", r.Name, r.Type, r.fallback())
		if several {
			fmt.Fprintf(&b, " %s |", r.users(commands))
		}
		fmt.Fprintf(&b, " %s |\n", strings.ReplaceAll(r.Description, "|", `\|`))
	}
	return b.String()
}

func (r row) fallback() string {
	switch {
	case r.Required:
		return "required"
	case r.Default == "":
		return ""
	default:
		return "`" + r.Default + "`"
	}
}

// users names the commands, or those that it is not for where these are fewer.
func (r row) users(all []Command) string {
	var others []string
	for _, c := range all {
		if !slices.Contains(r.commands, c.Name) {
			others = append(others, c.Name)
		}
	}
	switch {
	case len(others) == 0:
		return "all"
	case len(others) < len(r.commands):
		return "all but " + strings.Join(others, ", ")
	default:
		return strings.Join(r.commands, ", ")
	}
}
