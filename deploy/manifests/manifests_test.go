package manifests_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"example.org/ncm/deploy/manifests"
	"example.org/ncm/pkg/queue"
)

const (
	root = "../.."
	k8s  = "../k8s"
)

var overlays = []string{"small", "production"} //nolint:gochecknoglobals // never written

// programs are compiled once; TestMain removes them.
var programs struct { //nolint:gochecknoglobals // see above
	once   sync.Once
	folder string
	facts  manifests.Facts
	err    error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if programs.folder != "" {
		_ = os.RemoveAll(programs.folder)
	}
	os.Exit(code)
}

func facts(t *testing.T) manifests.Facts {
	t.Helper()
	programs.once.Do(func() { programs.facts, programs.err = gather() })
	if programs.err != nil {
		t.Fatal(programs.err)
	}
	return programs.facts
}

func gather() (f manifests.Facts, err error) {
	if programs.folder, err = os.MkdirTemp("", "programs"); err != nil {
		return f, err
	}
	if f.Programs, err = manifests.Compile(context.Background(), root, programs.folder); err != nil {
		return f, err
	}
	content, err := os.ReadFile(k8s + "/secrets.example.yaml")
	if err != nil {
		return f, err
	}
	var examples manifests.Set
	for document := range bytes.SplitSeq(content, []byte("\n---\n")) {
		if err := examples.Add(document); err != nil {
			return f, fmt.Errorf("secrets.example.yaml: %w", err)
		}
	}
	f.Secrets = examples.Secrets
	for _, b := range queue.NewTopology(0, false).Bindings {
		f.Queues = append(f.Queues, b.Queue)
	}
	f.Route = "/remote/nextcloud/migration"
	return f, nil
}

// optional are the components that each overlay offers.
var optional = []string{"operator", "traces"} //nolint:gochecknoglobals // see above

func build(t *testing.T, overlay string, components ...string) *manifests.Set {
	t.Helper()
	set, err := manifests.Build(k8s, overlay, components...)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestEveryOverlayKeepsTheRules(t *testing.T) {
	t.Parallel()
	for _, overlay := range overlays {
		for _, components := range [][]string{nil, optional} {
			t.Run(fmt.Sprint(overlay, components), func(t *testing.T) {
				t.Parallel()
				set := build(t, overlay, components...)
				if len(set.Pods()) < 3 || len(set.Policies) == 0 {
					t.Fatalf("%d pods and %d policies: the overlay is not whole", len(set.Pods()), len(set.Policies))
				}
				for _, fault := range manifests.Check(t.Context(), set, facts(t)) {
					t.Error(fault)
				}
			})
		}
	}
}

func TestComponentsAddWhatTheySay(t *testing.T) {
	t.Parallel()
	entries, err := os.ReadDir(k8s + "/components")
	if err != nil || len(entries) != len(optional) {
		t.Errorf("%d components, want %v; %v", len(entries), optional, err)
	}
	for _, overlay := range overlays {
		plain, whole := build(t, overlay), build(t, overlay, optional...)
		for setting, pods := range map[string][]string{
			"OPERATOR_TOKEN_FILE":         {"Deployment/migrator"},
			"OTEL_EXPORTER_OTLP_ENDPOINT": {"Deployment/trigger", "Deployment/migrator"},
		} {
			if got := having(t, plain, setting); len(got) != 0 {
				t.Errorf("%s: %s is set without its component, of %v", overlay, setting, got)
			}
			got := having(t, whole, setting)
			slices.Sort(got)
			slices.Sort(pods)
			if !slices.Equal(got, pods) {
				t.Errorf("%s: %s is set of %v, want %v", overlay, setting, got, pods)
			}
			// The settings of the base are kept beside it.
			if len(having(t, whole, "SHUTDOWN_TIME")) != 2 {
				t.Errorf("%s: settings were replaced", overlay)
			}
		}
		traces := policy(whole, "traces").Spec
		if len(whole.Policies) != len(plain.Policies)+1 || traces.Egress[0].Ports[0].Port.IntValue() != 4318 {
			t.Errorf("%s: the collector is not within reach: %+v", overlay, traces)
		}
	}
}

// having are the pods that have a setting.
func having(t *testing.T, s *manifests.Set, setting string) (pods []string) {
	t.Helper()
	for _, c := range s.Containers() {
		variables, err := s.Environment(c)
		if err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(variables, func(v manifests.Variable) bool { return v.Name == setting }) {
			pods = append(pods, c.Pod.Owner)
		}
	}
	return pods
}

// The e2e test of the queries reads them from the base.
func TestOverlaysScaleByTheBasesQueries(t *testing.T) {
	t.Parallel()
	want := fmt.Sprint(build(t, overlays[0]).Scalers[0].Spec.Triggers[0].Metadata)
	for _, overlay := range overlays {
		got := build(t, overlay).Scalers[0].Spec.Triggers[0].Metadata
		if fmt.Sprint(got) != want {
			t.Errorf("%s scales by %v, want %v", overlay, got, want)
		}
	}
}

func TestFieldsThatAKindDoesNotHaveAreRefused(t *testing.T) {
	t.Parallel()
	for name, document := range map[string]string{
		"an unknown field": "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {sellector: {a: b}}",
		"a wrong type":     "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {replicas: many}",
		"a field twice":    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {A: b, A: c}",
		"KEDA's":           "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: a}\nspec: {minReplicas: 1}",
		"an unknown kind":  "apiVersion: v1\nkind: Pot\nmetadata: {name: a}",
	} {
		if err := new(manifests.Set).Add([]byte(document)); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

// The names of the rules and what breaks each of them.
func breaks() map[string][]func(*manifests.Set) {
	trigger := func(s *manifests.Set) *corev1.PodSpec { return &find(s.Deployments, "trigger").Spec.Template.Spec }
	container := func(s *manifests.Set) *corev1.Container { return &trigger(s).Containers[0] }
	job := func(s *manifests.Set) *corev1.Container { return &s.Jobs[0].Spec.Template.Spec.Containers[0] }
	purge := func(s *manifests.Set) *corev1.Container {
		return &s.CronJobs[0].Spec.JobTemplate.Spec.Template.Spec.Containers[0]
	}
	settings := func(s *manifests.Set, setting string) map[string]string {
		for _, m := range s.Settings {
			if _, ok := m.Data[setting]; ok {
				return m.Data
			}
		}
		panic("nothing sets " + setting)
	}
	yes, no, one := true, false, int32(1)
	return map[string][]func(*manifests.Set){
		"containers have requests and limits, and GOMEMLIMIT below": {
			func(s *manifests.Set) { delete(container(s).Resources.Limits, corev1.ResourceMemory) },
			func(s *manifests.Set) { delete(job(s).Resources.Requests, corev1.ResourceCPU) },
			func(s *manifests.Set) {
				container(s).Resources.Limits[corev1.ResourceMemory] = resource.MustParse("100Mi")
			},
			func(s *manifests.Set) { job(s).Env = job(s).Env[:1] },
		},
		"containers are confined": {
			func(s *manifests.Set) { trigger(s).SecurityContext.RunAsNonRoot = nil },
			func(s *manifests.Set) { trigger(s).SecurityContext.SeccompProfile = nil },
			func(s *manifests.Set) { trigger(s).HostNetwork = true },
			func(s *manifests.Set) { container(s).SecurityContext.ReadOnlyRootFilesystem = &no },
			func(s *manifests.Set) { container(s).SecurityContext.AllowPrivilegeEscalation = nil },
			func(s *manifests.Set) { job(s).SecurityContext.Capabilities.Drop = nil },
			func(s *manifests.Set) { job(s).SecurityContext = nil },
			func(s *manifests.Set) { job(s).SecurityContext.Privileged = &yes },
		},
		"pods have no token and no service links": {
			func(s *manifests.Set) { trigger(s).AutomountServiceAccountToken = &yes },
			func(s *manifests.Set) { s.Accounts[0].AutomountServiceAccountToken = nil },
			func(s *manifests.Set) { trigger(s).ServiceAccountName = "" },
			func(s *manifests.Set) { trigger(s).EnableServiceLinks = nil },
		},
		"images have a version, one for all": {
			func(s *manifests.Set) { container(s).Image = "registry.example/ncm/trigger:latest" },
			func(s *manifests.Set) { container(s).Image = "registry.example:5000/ncm/trigger" },
			func(s *manifests.Set) { job(s).Image = "registry.example/ncm/migrator:v0.0.9" },
		},
		"probes ask what they should": {
			func(s *manifests.Set) { container(s).LivenessProbe.HTTPGet.Path = "/readyz" },
			func(s *manifests.Set) { container(s).ReadinessProbe = nil },
			func(s *manifests.Set) { container(s).ReadinessProbe.HTTPGet.Port = intstr.FromString("api") },
			func(s *manifests.Set) { container(s).ReadinessProbe.TimeoutSeconds = 1 },
		},
		"programs understand their arguments": {
			func(s *manifests.Set) { job(s).Args = []string{"schema", "apply"} },
			func(s *manifests.Set) { purge(s).Args[1] = "--older-then=90d" },
			func(s *manifests.Set) { purge(s).Args[1] = "--older-than=ninety" },
			func(s *manifests.Set) { container(s).Args = []string{"run"} },
			func(s *manifests.Set) { container(s).Command = []string{"/trigger"} },
		},
		"settings are known and complete": {
			func(s *manifests.Set) { settings(s, "INSTANCE_SUFFIXES")["INSTANCE_SUFIXES"] = ".cozy.example" },
			func(s *manifests.Set) { delete(settings(s, "INSTANCE_SUFFIXES"), "INSTANCE_SUFFIXES") },
			func(s *manifests.Set) { settings(s, "DRAIN_DELAY")["DRAIN_DELAY_FILE"] = "/run/secrets/ncm/x" },
			func(s *manifests.Set) { settings(s, "DRAIN_DELAY")["DEV_TOKEN"] = "in the clear" },
			func(s *manifests.Set) { settings(s, "DRAIN_DELAY")["LOG_LEVEL"] = "" },
			func(s *manifests.Set) { container(s).EnvFrom[0].ConfigMapRef.Name = "nothing" },
			// The trigger has no ledger.
			func(s *manifests.Set) {
				settings(s, "DRAIN_DELAY")["DATABASE_URL_FILE"] = "/run/secrets/ncm/DATABASE_URL"
			},
			func(s *manifests.Set) {
				container(s).Env = append(container(s).Env, corev1.EnvVar{Name: "DRAIN_DELAY", Value: "1s"})
			},
		},
		"programs accept their settings": {
			func(s *manifests.Set) { settings(s, "DRAIN_DELAY")["DRAIN_DELAY"] = "five seconds" },
			func(s *manifests.Set) { settings(s, "INSTANCE_SUFFIXES")["DEV_TOKEN"] = "and another token" },
			func(s *manifests.Set) { settings(s, "SLOTS")["SLOTS"] = "0" },
		},
		"secrets are mounted and their keys are settings": {
			func(s *manifests.Set) { s.Secrets = append(s.Secrets, new(corev1.Secret)) },
			func(s *manifests.Set) { trigger(s).Volumes[0].Secret.SecretName = "other" },
			func(s *manifests.Set) { *trigger(s).Volumes[0].Secret.DefaultMode = 0o444 },
			func(s *manifests.Set) { container(s).VolumeMounts = nil },
			func(s *manifests.Set) { settings(s, "DRAIN_DELAY")["RABBITMQ_URL_FILE"] = "/run/secrets/ncm/url" },
			func(s *manifests.Set) { s.ScalerLogins[0].Spec.SecretTargetRef[0].Key = "url" },
			func(s *manifests.Set) {
				container(s).Env[0].ValueFrom = &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{Key: "x"}}
			},
		},
		"selectors match": {
			func(s *manifests.Set) { find(s.Deployments, "trigger").Spec.Template.Labels = nil },
			func(s *manifests.Set) { s.Services[0].Spec.Selector["app.kubernetes.io/name"] = "migrator" },
			func(s *manifests.Set) { s.Disruptions[0].Spec.Selector.MatchLabels["a"] = "b" },
			func(s *manifests.Set) {
				trigger(s).TopologySpreadConstraints[0].LabelSelector.MatchLabels["app.kubernetes.io/name"] = "migrator"
			},
			// A Deployment must not take the Job's pods for its own.
			func(s *manifests.Set) {
				s.Jobs[0].Spec.Template.Labels = find(s.Deployments, "migrator").Spec.Template.Labels
			},
		},
		"references lead somewhere": {
			func(s *manifests.Set) { s.Services[0].Spec.Ports[0].TargetPort = intstr.FromString("web") },
			func(s *manifests.Set) { s.Ingresses[0].Spec.Rules[0].HTTP.Paths[0].Backend.Service.Name = "web" },
			func(s *manifests.Set) { s.Scalers[0].Spec.Triggers[0].AuthenticationRef.Name = "nobody" },
			func(s *manifests.Set) { s.Deployments[0].Namespace = "" },
		},
		"stops have the time they need": {
			func(s *manifests.Set) { *trigger(s).TerminationGracePeriodSeconds = 40 },
			func(s *manifests.Set) { settings(s, "DRAIN_DELAY")["SHUTDOWN_TIME"] = "5s" },
			func(s *manifests.Set) { delete(settings(s, "DRAIN_GRACE"), "DRAIN_GRACE") },
			func(s *manifests.Set) { find(s.Deployments, "trigger").Spec.Strategy.RollingUpdate = nil },
		},
		"scaled Deployments leave replicas to one scaler": {
			func(s *manifests.Set) { find(s.Deployments, "trigger").Spec.Replicas = &one },
			func(s *manifests.Set) { s.Autoscalers[0].Spec.MaxReplicas = 1 },
			func(s *manifests.Set) { s.Autoscalers = nil },
			func(s *manifests.Set) { s.Scalers[0].Spec.ScaleTargetRef.Name = "trigger" },
			func(s *manifests.Set) { s.Scalers[0].Spec.MaxReplicaCount = nil },
		},
		"workers are scaled by what there is": {
			func(s *manifests.Set) { s.Scalers[0].Spec.Triggers[0].Metadata["queueName"] = "requests" },
			func(s *manifests.Set) { s.Scalers[0].Spec.Triggers[0].Metadata["mode"] = "MessageRate" },
			func(s *manifests.Set) { s.Scalers[0].Spec.Triggers = s.Scalers[0].Spec.Triggers[:2] },
			func(s *manifests.Set) { s.Scalers[0].Spec.Triggers[2].Metadata["targetQueryValue"] = "100" },
			func(s *manifests.Set) { s.Scalers[0].Spec.Triggers[2].Metadata["query"] = "" },
			func(s *manifests.Set) { s.Scalers[0].Spec.Triggers[2].Type = "cron" },
			func(s *manifests.Set) { s.Scalers = nil },
		},
		"Deployments are spread and protected": {
			func(s *manifests.Set) {
				trigger(s).TopologySpreadConstraints = trigger(s).TopologySpreadConstraints[:1]
			},
			func(s *manifests.Set) { s.Disruptions = s.Disruptions[:1] },
			func(s *manifests.Set) { s.Disruptions[0].Spec.MinAvailable = &intstr.IntOrString{IntVal: 1} },
		},
		"every pod's traffic is limited": {
			func(s *manifests.Set) { s.Policies = slices.DeleteFunc(s.Policies, byName("nothing")) },
			func(s *manifests.Set) { policy(s, "nothing").Spec.PolicyTypes = []networkingv1.PolicyType{"Ingress"} },
			func(s *manifests.Set) {
				policy(s, "nothing").Spec.PodSelector.MatchLabels = map[string]string{"a": "b"}
			},
			func(s *manifests.Set) { policy(s, "api").Spec.Ingress[0].From = nil },
			func(s *manifests.Set) { policy(s, "api").Spec.Ingress[0].From[0].NamespaceSelector.MatchLabels = nil },
			func(s *manifests.Set) { policy(s, "ledger").Spec.Egress[0].Ports = nil },
			func(s *manifests.Set) {
				policy(s, "api").Spec.PodSelector.MatchLabels["app.kubernetes.io/name"] = "web"
			},
		},
		"operators' ports are not published": {
			func(s *manifests.Set) { s.Services[0].Spec.Ports[0].TargetPort = intstr.FromString("ops") },
			func(s *manifests.Set) {
				policy(s, "metrics").Spec.Ingress[0].From = append(policy(s, "metrics").Spec.Ingress[0].From, networkingv1.NetworkPolicyPeer{
					NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": "ingress-nginx"}},
				})
			},
			func(s *manifests.Set) { *policy(s, "api").Spec.Ingress[0].Ports[0].Port = intstr.FromString("ops") },
			func(s *manifests.Set) { policy(s, "api").Spec.Ingress[0].Ports[0].Port = nil },
		},
		"private addresses are out of reach": {
			func(s *manifests.Set) { policy(s, "public").Spec.Egress[0].To[0].IPBlock.Except = nil },
			func(s *manifests.Set) { policy(s, "public").Spec.Egress[0].To[1].IPBlock.CIDR = "::/0" },
			func(s *manifests.Set) { policy(s, "public").Spec.Egress[0].To[0].IPBlock.CIDR = "everywhere" },
			func(s *manifests.Set) { policy(s, "public").Spec.Egress[0].Ports[0].Port.IntVal = 80 },
		},
		"the ingress matches the instances": {
			func(s *manifests.Set) { s.Ingresses[0].Spec.Rules[0].Host = "cozy.example" },
			func(s *manifests.Set) { s.Ingresses[0].Spec.Rules[0].HTTP.Paths[0].Path = "/" },
			func(s *manifests.Set) {
				settings(s, "INSTANCE_SUFFIXES")["INSTANCE_SUFFIXES"] = ".a.example,.b.example"
			},
			func(s *manifests.Set) { s.Ingresses = nil },
		},
		"the schema's Job belongs to the version": {
			func(s *manifests.Set) { s.Jobs[0].Name = "schema" },
			func(s *manifests.Set) { job(s).Image = container(s).Image },
			func(s *manifests.Set) { job(s).Args = nil },
			func(s *manifests.Set) { *s.Jobs[0].Spec.BackoffLimit = 6 },
			func(s *manifests.Set) { s.Jobs = nil },
		},
		"the ledger is purged": {
			func(s *manifests.Set) { s.CronJobs = nil },
			func(s *manifests.Set) { s.CronJobs[0].Spec.ConcurrencyPolicy = "" },
			func(s *manifests.Set) { s.CronJobs[0].Spec.JobTemplate.Spec.ActiveDeadlineSeconds = nil },
			func(s *manifests.Set) {
				purge(s).Args = []string{"purge"}
			},
		},
	}
}

func TestEveryRuleCanFail(t *testing.T) {
	t.Parallel()
	all := breaks()
	for _, rule := range manifests.Rules() {
		t.Run(rule.Name, func(t *testing.T) {
			t.Parallel()
			for i, spoil := range all[rule.Name] {
				set := build(t, "small")
				spoil(set)
				if found := rule.Check(t.Context(), set, facts(t)); len(found) == 0 {
					t.Errorf("manifests broken by number %d keep the rule", i)
				}
			}
			if len(all[rule.Name]) == 0 {
				t.Error("nothing breaks this rule")
			}
		})
	}
}

func TestNoSecretOfTheExampleIsReal(t *testing.T) {
	t.Parallel()
	for _, secret := range facts(t).Secrets {
		for key, value := range secret.StringData {
			if !strings.Contains(value, "PASSWORD") && value != "TOKEN" {
				t.Errorf("%s/%s holds something else than a place for a password", secret.Name, key)
			}
		}
	}
}

func find[T interface{ GetName() string }](objects []T, name string) T {
	i := slices.IndexFunc(objects, func(o T) bool { return o.GetName() == name })
	return objects[i]
}

func policy(s *manifests.Set, name string) *networkingv1.NetworkPolicy { return find(s.Policies, name) }

func byName(name string) func(*networkingv1.NetworkPolicy) bool {
	return func(p *networkingv1.NetworkPolicy) bool { return p.Name == name }
}
