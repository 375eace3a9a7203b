package manifests

import (
	"context"
	"fmt"
)

// Facts are what the rules compare the manifests with.
type Facts struct {
	Programs *Programs
	// Secrets are the example's, whose keys operators fill in.
	Secrets []*Secret
	// Queues are the names of those the migrator declares.
	Queues []string
	// Route is where the trigger's API begins.
	Route string
}

// Rule is one thing that holds for every overlay.
type Rule struct {
	Name  string
	Check func(ctx context.Context, s *Set, f Facts) (faults []string)
}

// Rules are all of them.
func Rules() []Rule {
	return []Rule{
		{"containers have requests and limits, and GOMEMLIMIT below", resources},
		{"containers are confined", confined},
		{"pods have no token and no service links", noToken},
		{"images have a version, one for all", versions},
		{"probes ask what they should", probes},
		{"programs understand their arguments", understood},
		{"settings are known and complete", settings},
		{"programs accept their settings", accepted},
		{"secrets are mounted and their keys are settings", secrets},
		{"selectors match", selectors},
		{"references lead somewhere", references},
		{"stops have the time they need", stops},
		{"scaled Deployments leave replicas to one scaler", scaled},
		{"workers are scaled by what there is", workers},
		{"Deployments are spread and protected", spread},
		{"every pod's traffic is limited", traffic},
		{"operators' ports are not published", unpublished},
		{"private addresses are out of reach", private},
		{"the ingress matches the instances", ingress},
		{"the schema's Job belongs to the version", schemaJob},
		{"the ledger is purged", purge},
	}
}

// Check gives every fault of a set, each with its rule.
func Check(ctx context.Context, s *Set, f Facts) []string {
	var all []string
	for _, r := range Rules() {
		for _, fault := range r.Check(ctx, s, f) {
			all = append(all, r.Name+": "+fault)
		}
	}
	return all
}

// faults collects.
type faults []string

func (f *faults) add(format string, args ...any) { *f = append(*f, fmt.Sprintf(format, args...)) }

// unless adds a fault where ok does not hold.
func (f *faults) unless(ok bool, format string, args ...any) {
	if !ok {
		f.add(format, args...)
	}
}
