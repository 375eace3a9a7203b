package manifests_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"example.org/ncm/deploy/manifests"
)

// composed is a service of docker-compose.yml.
type composed struct {
	Image       string
	Command     []string
	Environment map[string]string
}

// container is the service as the rules see one, with its image's default command.
func (s composed) container(name string) manifests.Container {
	return manifests.Container{
		Pod:       manifests.Pod{Owner: "docker-compose.yml"},
		Container: &corev1.Container{Name: name, Image: s.Image, Args: s.Command},
	}
}

func compose(t *testing.T) (services map[string]composed, text string) {
	t.Helper()
	content, err := os.ReadFile(root + "/docker-compose.yml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Services map[string]composed }
	if err := yaml.Unmarshal(content, &file); err != nil {
		t.Fatal(err)
	}
	return file.Services, string(content)
}

func TestComposeSetsWhatTheProgramsKnow(t *testing.T) {
	t.Parallel()
	services, _ := compose(t)
	ours := 0
	for name, service := range services {
		if !strings.HasPrefix(service.Image, "ncm/trigger:") && !strings.HasPrefix(service.Image, "ncm/migrator:") {
			continue
		}
		ours++
		c := service.container(name)
		if err := facts(t).Programs.Understands(t.Context(), c); err != nil {
			t.Errorf("%s: %v", c, err)
		}
		known, err := facts(t).Programs.Settings(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		for setting := range service.Environment {
			if _, ok := known[setting]; !ok {
				t.Errorf("%s: there is no setting %s", c, setting)
			}
		}
		for setting, s := range known {
			if _, ok := service.Environment[setting]; s.Required && !ok {
				t.Errorf("%s: %s is required", c, setting)
			}
		}
	}
	if ours != 4 {
		t.Errorf("%d services of ours, want the schema, the trigger and two migrators", ours)
	}
}

// What a new clone has is .env.example alone.
func TestTheExampleSettingsAreThoseOfCompose(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(root + "/.env.example")
	if err != nil {
		t.Fatal(err)
	}
	var given []string
	for _, line := range regexp.MustCompile(`(?m)^([A-Z_]+)=`).FindAllStringSubmatch(string(content), -1) {
		given = append(given, line[1])
	}
	_, text := compose(t)
	var used []string
	for _, variable := range regexp.MustCompile(`[^$]\$\{([A-Z_]+)(:-)?`).FindAllStringSubmatch(text, -1) {
		used = append(used, variable[1])
		if variable[2] == "" && !slices.Contains(given, variable[1]) {
			t.Errorf("docker-compose.yml wants %s, which .env.example lacks", variable[1])
		}
	}
	for _, name := range given {
		if !slices.Contains(used, name) && name != "COMPOSE_PROJECT_NAME" { // Compose's own
			t.Errorf(".env.example has %s, which docker-compose.yml does not use", name)
		}
	}
}
