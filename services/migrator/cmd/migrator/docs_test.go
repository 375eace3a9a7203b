package main

import (
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"example.org/ncm/pkg/configtest"
	"example.org/ncm/services/migrator/internal/instance"
)

const (
	root       = "../../../../"
	operations = root + "docs/OPERATIONS.md"
)

func parser(t *testing.T) *kong.Kong {
	t.Helper()
	p, err := newParser(t.Context(), io.Discard, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestTheSettingsAreDocumented(t *testing.T) {
	t.Parallel()
	var commands []configtest.Command
	for _, node := range parser(t).Model.Children {
		command, ok := node.Target.Addr().Interface().(configured)
		if !ok {
			t.Fatalf("%s has no settings", node.Name)
		}
		commands = append(commands, configtest.Command{Name: node.Name, Spec: command.settings()})
	}
	configtest.Documented(t, operations, "migrator", commands)
}

func TestTheScopesAreDocumented(t *testing.T) {
	t.Parallel()
	docs := read(t, operations)
	for item := range strings.FieldsSeq(instance.Scope + " " + instance.RemoteScope) {
		if !strings.Contains(docs, "`"+item+"`") {
			t.Errorf("docs/OPERATIONS.md does not name the scope %s", item)
		}
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// Where documentation shows a command, optional parts are in brackets, alternatives
// have a bar between them (escaped, for tables), and capitals are to be filled in.
func TestDocumentedCommandsAreUnderstood(t *testing.T) {
	t.Parallel()
	// In the image the program is /service.
	inText := regexp.MustCompile("(?:`migrator|`kubectl exec [^`]*-- /service) ([^`]+)`")
	inBlock := regexp.MustCompile(`(?m)^(?:[A-Z_]+=\S+ +)*migrator ([^#\n]+)`)
	seen, inPods := 0, 0
	for _, file := range []string{operations, root + "README.md", root + "docs/ARCHITECTURE.md"} {
		text := regexp.MustCompile(`\\\n *`).ReplaceAllString(read(t, file), "")
		for i, part := range strings.Split(text, "```") {
			pattern := inText
			if i%2 == 1 {
				pattern = inBlock
			}
			for _, found := range pattern.FindAllStringSubmatch(part, -1) {
				if strings.Contains(found[0], "kubectl") {
					inPods++
				}
				if strings.HasPrefix(found[1], "COMMAND ") {
					continue // about all of them
				}
				for _, arguments := range readings(found[1]) {
					seen++
					if _, err := parser(t).Parse(arguments); err != nil {
						t.Errorf("%s: migrator %s: %v", file, strings.Join(arguments, " "), err)
					}
				}
			}
		}
	}
	if seen < 40 || inPods == 0 {
		t.Errorf("only %d commands were found, %d in pods", seen, inPods)
	}
}

// readings are all that a shown command can mean: without each optional part, and
// with each of its alternatives.
func readings(shown string) (all [][]string) {
	if head, rest, optional := strings.Cut(shown, "["); optional {
		inside, tail, _ := strings.Cut(rest, "]")
		all = readings(head + tail)
		for part := range strings.SplitSeq(inside, ` \| `) {
			all = append(all, readings(head+part+tail)...)
		}
		return all
	}
	all = [][]string{nil}
	for word := range strings.FieldsSeq(shown) {
		var longer [][]string
		for alternative := range strings.SplitSeq(word, `\|`) {
			for _, words := range all {
				longer = append(longer, append(slices.Clone(words), alternative))
			}
		}
		all = longer
	}
	return all
}
