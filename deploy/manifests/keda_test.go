package manifests_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	_ "github.com/kedacore/keda/v2/version" // a small package of the module whose source is read

	"example.org/ncm/deploy/manifests"
)

func kedaSource(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/kedacore/keda/v2").Output()
	if err != nil {
		t.Fatalf("find KEDA's source: %v", err)
	}
	return strings.TrimSpace(string(out))
}

// structs gives the tags of all struct types in Go files, by type.
func structs(t *testing.T, pattern string) map[string]map[string]reflect.StructTag {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %d files, error %v", pattern, len(files), err)
	}
	types := map[string]map[string]reflect.StructTag{}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if s, ok := spec.Type.(*ast.StructType); ok {
				types[spec.Name.Name] = tags(s)
			}
			return true
		})
	}
	return types
}

func tags(s *ast.StructType) map[string]reflect.StructTag {
	all := map[string]reflect.StructTag{}
	for _, field := range s.Fields.List {
		if field.Tag == nil {
			continue
		}
		tag, err := strconv.Unquote(field.Tag.Value)
		if err != nil {
			continue
		}
		for _, name := range field.Names {
			all[name.Name] = reflect.StructTag(tag)
		}
	}
	return all
}

// The version that go.mod names is the oldest that will do, so that the manifests use
// nothing which came later. It is the first with fallback.behavior: 2.16 refuses that.
func TestTheOldestKEDAIsDocumented(t *testing.T) {
	t.Parallel()
	version := regexp.MustCompile(`@v(\d+\.\d+)\.\d+$`).FindStringSubmatch(kedaSource(t))
	if version == nil {
		t.Fatalf("no version in %s", kedaSource(t))
	}
	docs, err := os.ReadFile(root + "/docs/OPERATIONS.md")
	if err != nil {
		t.Fatal(err)
	}
	if want := "KEDA " + version[1] + " or later"; !strings.Contains(string(docs), want) {
		t.Errorf("docs/OPERATIONS.md does not say %s", want)
	}
}

func TestTheTypesAreKEDAs(t *testing.T) {
	t.Parallel()
	theirs := structs(t, filepath.Join(kedaSource(t), "apis/keda/v1alpha1/*_types.go"))
	for _, ours := range []any{
		manifests.ScaledObject{},
		manifests.ScaledObjectSpec{},
		manifests.ScaleTarget{},
		manifests.AdvancedConfig{},
		manifests.HorizontalPodAutoscalerConfig{},
		manifests.ScaleTriggers{},
		manifests.AuthenticationRef{},
		manifests.Fallback{},
		manifests.TriggerAuthentication{},
		manifests.TriggerAuthenticationSpec{},
		manifests.AuthTargetRef{},
	} {
		own := reflect.TypeOf(ours)
		for field := range own.Fields() {
			if field.Anonymous {
				continue
			}
			if got, want := field.Tag.Get("json"), theirs[own.Name()][field.Name].Get("json"); got != want {
				t.Errorf("%s.%s has the tag %q, KEDA's has %q", own.Name(), field.Name, got, want)
			}
		}
	}
}

// Metadata is a map of strings to the types; which keys there are only the scalers know.
func TestTriggersUseTheScalersKeys(t *testing.T) {
	t.Parallel()
	source := kedaSource(t)
	name := regexp.MustCompile(`name=(\w+)`)
	for _, overlay := range overlays {
		set := build(t, overlay)
		for _, trigger := range set.Scalers[0].Spec.Triggers {
			var inMetadata, inLogin []string
			for _, fields := range structs(t, filepath.Join(source, "pkg/scalers", trigger.Type+"_scaler.go")) {
				for _, tag := range fields {
					found := name.FindStringSubmatch(tag.Get("keda"))
					if found != nil && strings.Contains(tag.Get("keda"), "triggerMetadata") {
						inMetadata = append(inMetadata, found[1])
					}
					if found != nil && strings.Contains(tag.Get("keda"), "authParams") {
						inLogin = append(inLogin, found[1])
					}
				}
			}
			for key := range trigger.Metadata {
				if !slices.Contains(inMetadata, key) {
					t.Errorf("%s: KEDA's %s scaler has no %s, only %v", overlay, trigger.Type, key, inMetadata)
				}
			}
			for _, ref := range find(set.ScalerLogins, trigger.AuthenticationRef.Name).Spec.SecretTargetRef {
				if !slices.Contains(inLogin, ref.Parameter) {
					t.Errorf("%s: KEDA's %s scaler takes no %s from a login, only %v", overlay, trigger.Type, ref.Parameter, inLogin)
				}
			}
		}
	}
}
