package stack_test

import (
	"strings"
	"testing"

	"example.org/ncm/pkg/stack"
)

func TestValidateReportsEveryFaultTogether(t *testing.T) {
	t.Parallel()
	s := stack.Settings{
		InstanceScheme:   "ftp",
		InstanceSuffixes: []string{"not a host"},
		StackAddress:     []string{"no-address"},
		ClouderyURL:      "https://user@cloudery.example",
		StackAdminURL:    "https://admin.example",
	}
	err := s.Validate()
	if err == nil {
		t.Fatal("faulty settings pass")
	}
	for _, name := range []string{
		"INSTANCE_SCHEME", "INSTANCE_SUFFIXES", "STACK_ADDRESS",
		"exactly one", "CLOUDERY_TOKEN", "STACK_ADMIN_PASSWORD", "CLOUDERY_URL: not a URL",
	} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%q is not reported in:\n%v", name, err)
		}
	}
}

func TestValidateAcceptsEachTokenSource(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]stack.Settings{
		"cloudery": {ClouderyURL: "https://cloudery.example", ClouderyToken: "t"},
		"admin":    {StackAdminURL: "http://127.0.0.1:6060", StackAdminPassword: "p"},
		"fixed":    {DevToken: "t"},
	} {
		s.InstanceScheme, s.InstanceSuffixes = "https", []string{"cozy.example"}
		if err := s.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
