package manifests

import (
	"context"
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"
)

// matches says whether a selector takes a pod's labels; one that is empty takes
// none here.
func matches(selector *metav1.LabelSelector, set map[string]string) bool {
	s, err := metav1.LabelSelectorAsSelector(selector)
	return err == nil && !s.Empty() && s.Matches(labels.Set(set))
}

func selectors(_ context.Context, s *Set, _ Facts) []string {
	var f faults
	deployed := func(selector *metav1.LabelSelector) (names []string) {
		for _, d := range s.Deployments {
			if matches(selector, d.Spec.Template.Labels) {
				names = append(names, d.Name)
			}
		}
		return names
	}
	for _, d := range s.Deployments {
		for _, p := range s.Pods() {
			own := p.Owner == "Deployment/"+d.Name
			f.unless(matches(d.Spec.Selector, p.Labels) == own, "Deployment/%s and the pods of %s", d.Name, p.Owner)
		}
		for _, constraint := range d.Spec.Template.Spec.TopologySpreadConstraints {
			f.unless(slices.Equal(deployed(constraint.LabelSelector), []string{d.Name}), "Deployment/%s: spread among other pods", d.Name)
		}
	}
	for _, service := range s.Services {
		f.unless(slices.Equal(deployed(&metav1.LabelSelector{MatchLabels: service.Spec.Selector}), []string{service.Name}),
			"Service/%s selects other pods than those of its name", service.Name)
	}
	for _, d := range s.Disruptions {
		f.unless(slices.Equal(deployed(d.Spec.Selector), []string{d.Name}), "PodDisruptionBudget/%s selects other pods than those of its name", d.Name)
	}
	return f
}

func references(_ context.Context, s *Set, _ Facts) []string {
	var f faults
	for _, service := range s.Services {
		d := named(s.Deployments, service.Name)
		for _, port := range service.Spec.Ports {
			f.unless(d != nil && hasPort(&d.Spec.Template.Spec.Containers[0], port.TargetPort.StrVal), "Service/%s: no port %s in the pod", service.Name, port.TargetPort.StrVal)
		}
	}
	for _, i := range s.Ingresses {
		for _, rule := range i.Spec.Rules {
			for _, p := range rule.HTTP.Paths {
				backend := p.Backend.Service
				service := named(s.Services, backend.Name)
				found := false
				if service != nil {
					for _, port := range service.Spec.Ports {
						found = found || port.Name == backend.Port.Name
					}
				}
				f.unless(found, "Ingress/%s: no Service %s with port %s", i.Name, backend.Name, backend.Port.Name)
			}
		}
	}
	for _, scaler := range s.Scalers {
		for _, trigger := range scaler.Spec.Triggers {
			f.unless(trigger.AuthenticationRef != nil && named(s.ScalerLogins, trigger.AuthenticationRef.Name) != nil, "ScaledObject/%s: trigger %s has no login", scaler.Name, trigger.Name)
		}
	}
	for _, o := range s.namespaced() {
		f.unless(named(s.Namespaces, o.GetNamespace()) != nil, "%s is in the namespace %q", o.GetName(), o.GetNamespace())
	}
	return f
}

// namespaced are the objects that live in a namespace.
func (s *Set) namespaced() (all []metav1.Object) {
	all = appendTo(all, s.Accounts)
	all = appendTo(all, s.Settings)
	all = appendTo(all, s.Services)
	all = appendTo(all, s.Deployments)
	all = appendTo(all, s.Jobs)
	all = appendTo(all, s.CronJobs)
	all = appendTo(all, s.Autoscalers)
	all = appendTo(all, s.Ingresses)
	all = appendTo(all, s.Policies)
	all = appendTo(all, s.Disruptions)
	all = appendTo(all, s.Scalers)
	return appendTo(all, s.ScalerLogins)
}

func appendTo[T metav1.Object](all []metav1.Object, objects []T) []metav1.Object {
	for _, o := range objects {
		all = append(all, o)
	}
	return all
}

func scaled(_ context.Context, s *Set, _ Facts) []string {
	var f faults
	targets := map[string]int{}
	for _, a := range s.Autoscalers {
		targets[a.Spec.ScaleTargetRef.Name]++
		f.unless(a.Spec.MinReplicas != nil && *a.Spec.MinReplicas < a.Spec.MaxReplicas, "HorizontalPodAutoscaler/%s: no room to scale", a.Name)
	}
	for _, o := range s.Scalers {
		targets[o.Spec.ScaleTargetRef.Name]++
		f.unless(o.Spec.MinReplicaCount != nil && o.Spec.MaxReplicaCount != nil && *o.Spec.MinReplicaCount < *o.Spec.MaxReplicaCount, "ScaledObject/%s: no room to scale", o.Name)
	}
	for _, d := range s.Deployments {
		f.unless(targets[d.Name] == 1, "Deployment/%s: %d scalers", d.Name, targets[d.Name])
		f.unless(d.Spec.Replicas == nil, "Deployment/%s: each apply would undo the scaler", d.Name)
		delete(targets, d.Name)
	}
	f.unless(len(targets) == 0, "there is no Deployment to scale: %v", targets)
	return f
}

// workers: the queues are those that exist, and one worker is asked for where there
// is as much to do as it has slots.
func workers(_ context.Context, s *Set, facts Facts) []string {
	var f faults
	if len(s.Scalers) != 1 {
		return []string{"not exactly one ScaledObject"}
	}
	var queues []string
	queries := 0
	for _, trigger := range s.Scalers[0].Spec.Triggers {
		switch trigger.Type {
		case "rabbitmq":
			queues = append(queues, trigger.Metadata["queueName"])
			f.unless(trigger.Metadata["mode"] == "QueueLength" && trigger.Metadata["protocol"] == "amqp", "trigger %s does not measure the queue's length by AMQP", trigger.Name)
		case "postgresql":
			queries++
			f.unless(strings.HasPrefix(trigger.Metadata["query"], "SELECT "), "trigger %s has no query", trigger.Name)
			f.unless(trigger.Metadata["targetQueryValue"] == s.slots(), "trigger %s: targetQueryValue is not SLOTS", trigger.Name)
		default:
			f.add("trigger %s is of type %s", trigger.Name, trigger.Type)
		}
	}
	slices.Sort(queues)
	f.unless(slices.Equal(queues, slices.Sorted(slices.Values(facts.Queues))), "queues %v, want %v", queues, facts.Queues)
	f.unless(queries == 1, "%d queries of the ledger", queries)
	return f
}

// slots is the setting SLOTS of the migrator, empty without one.
func (s *Set) slots() string {
	for _, c := range s.Containers() {
		variables, _ := s.Environment(c)
		for _, v := range variables {
			if n, err := strconv.Atoi(v.Value); v.Name == "SLOTS" && err == nil && n > 0 {
				return v.Value
			}
		}
	}
	return ""
}

func spread(_ context.Context, s *Set, _ Facts) []string {
	var f faults
	for _, d := range s.Deployments {
		var keys []string
		for _, c := range d.Spec.Template.Spec.TopologySpreadConstraints {
			keys = append(keys, c.TopologyKey)
		}
		slices.Sort(keys)
		f.unless(slices.Equal(keys, []string{"kubernetes.io/hostname", "topology.kubernetes.io/zone"}), "Deployment/%s is not spread over nodes and zones", d.Name)
		budget := named(s.Disruptions, d.Name)
		// A minimum would keep the nodes of a single pod from being drained.
		f.unless(budget != nil && budget.Spec.MinAvailable == nil && budget.Spec.MaxUnavailable != nil && budget.Spec.MaxUnavailable.IntValue() == 1,
			"Deployment/%s: its PodDisruptionBudget does not take one pod at a time", d.Name)
	}
	return f
}

func ingress(_ context.Context, s *Set, facts Facts) []string {
	var f faults
	if len(s.Ingresses) != 1 {
		return []string{"not exactly one Ingress"}
	}
	var hosts []string
	for _, rule := range s.Ingresses[0].Spec.Rules {
		hosts = append(hosts, rule.Host)
		f.unless(len(rule.HTTP.Paths) == 1 && rule.HTTP.Paths[0].Path == facts.Route, "%s: another path than %s", rule.Host, facts.Route)
	}
	for _, m := range s.Settings {
		suffixes, ok := m.Data["INSTANCE_SUFFIXES"]
		if !ok {
			continue
		}
		var want []string
		for suffix := range strings.SplitSeq(suffixes, ",") {
			want = append(want, "*."+strings.TrimPrefix(suffix, "."))
		}
		f.unless(slices.Equal(hosts, want), "hosts %v, but INSTANCE_SUFFIXES wants %v", hosts, want)
	}
	return f
}

func schemaJob(_ context.Context, s *Set, _ Facts) []string {
	var f faults
	migrator := named(s.Deployments, "migrator")
	if len(s.Jobs) != 1 || migrator == nil {
		return []string{"not one Job and one Deployment/migrator"}
	}
	job := s.Jobs[0]
	image := imageOf(migrator)
	f.unless(job.Spec.Template.Spec.Containers[0].Image == image, "its image is not the migrator's")
	// A Job's template cannot be changed: with the same name the next version's apply would fail.
	f.unless(job.Name == "schema-"+image[strings.LastIndex(image, ":")+1:], "its name %s does not change with the version", job.Name)
	for _, fault := range validation.IsDNS1123Subdomain(job.Name) {
		f.add("its name %s: %s", job.Name, fault)
	}
	f.unless(slices.Equal(job.Spec.Template.Spec.Containers[0].Args, []string{"schema"}), "it does not apply the schema")
	f.unless(job.Spec.ActiveDeadlineSeconds == nil && job.Spec.BackoffLimit != nil && *job.Spec.BackoffLimit >= 100, "it gives up while PostgreSQL is away")
	return f
}

// purge: a user's result stays for some time.
func purge(_ context.Context, s *Set, _ Facts) []string {
	var f faults
	if len(s.CronJobs) != 1 {
		return []string{"not one CronJob"}
	}
	job := s.CronJobs[0].Spec
	args := job.JobTemplate.Spec.Template.Spec.Containers[0].Args
	f.unless(len(args) == 2 && args[0] == "purge" && strings.HasPrefix(args[1], "--older-than="), "it runs %v", args)
	f.unless(job.ConcurrencyPolicy == batchv1.ForbidConcurrent, "it may run twice at once")
	f.unless(job.JobTemplate.Spec.ActiveDeadlineSeconds != nil, "it may never end")
	return f
}

func imageOf(d *appsv1.Deployment) string { return d.Spec.Template.Spec.Containers[0].Image }
