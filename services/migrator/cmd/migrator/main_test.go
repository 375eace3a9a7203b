package main

import (
	"bytes"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestDeps names what must never be linked into the binary.
func TestDeps(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	linked := strings.Fields(string(out))
	for dep, reason := range map[string]string{
		"testing":                                     "test support belongs in tests",
		"example.org/ncm/pkg/cozytest":                "simulators belong in tests",
		"example.org/ncm/pkg/nextcloudtest":           "simulators belong in tests",
		"github.com/go-chi/chi/v5":                    "the migrator has no API of its own",
		"github.com/testcontainers/testcontainers-go": "containers belong in the test module",
	} {
		if slices.Contains(linked, dep) {
			t.Errorf("%s is linked: %s", dep, reason)
		}
	}
}

func TestHelpPrintsEverySetting(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := run(t.Context(), []string{"run", "--help"}, &out); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"RABBITMQ_URL", "DATABASE_URL", "INSTANCE_SUFFIXES", "LEASE_TTL"} {
		if !strings.Contains(out.String(), name) {
			t.Errorf("%s is missing in:\n%s", name, out.String())
		}
	}
}

func TestFaultsAreReportedTogetherAndWithoutSecrets(t *testing.T) {
	for name, value := range map[string]string{
		"INSTANCE_SUFFIXES": "cozy.example", "DEV_TOKEN": "planted-secret", "SLOTS": "0",
		"LEASE_TTL": "1s", "DATABASE_CONNS": "two", "ALLOWED_PRIVATE_RANGES": "nowhere",
	} {
		t.Setenv(name, value)
	}
	err := run(t.Context(), []string{"run"}, new(bytes.Buffer))
	if err == nil {
		t.Fatal("faulty settings were accepted")
	}
	for _, name := range []string{"RABBITMQ_URL", "DATABASE_URL", "SLOTS", "LEASE_TTL", "DATABASE_CONNS", "ALLOWED_PRIVATE_RANGES"} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not reported in:\n%v", name, err)
		}
	}
	if strings.Contains(err.Error(), "planted-secret") {
		t.Error("a secret is in the error")
	}
}

func TestUnknownCommandsAreRefused(t *testing.T) {
	t.Parallel()
	got := map[string]bool{}
	for _, args := range [][]string{{}, {"fly"}, {"run", "fast"}, {"dead-letters", "drop"}, {"dead-letters", "drop", "x", "--all"}} {
		got[strings.Join(args, " ")] = run(t.Context(), args, new(bytes.Buffer)) != nil
	}
	if diff := cmp.Diff(map[string]bool{
		"": true, "fly": true, "run fast": true, "dead-letters drop": true, "dead-letters drop x --all": true,
	}, got); diff != "" {
		t.Error(diff)
	}
}
