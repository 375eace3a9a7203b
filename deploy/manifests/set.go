package manifests

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path"
	"reflect"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// Set is what one overlay deploys, objects by kind.
type Set struct {
	Namespaces   []*corev1.Namespace
	Accounts     []*corev1.ServiceAccount
	Settings     []*corev1.ConfigMap
	Secrets      []*corev1.Secret
	Services     []*corev1.Service
	Deployments  []*appsv1.Deployment
	Jobs         []*batchv1.Job
	CronJobs     []*batchv1.CronJob
	Autoscalers  []*autoscalingv2.HorizontalPodAutoscaler
	Ingresses    []*networkingv1.Ingress
	Policies     []*networkingv1.NetworkPolicy
	Disruptions  []*policyv1.PodDisruptionBudget
	Scalers      []*ScaledObject
	ScalerLogins []*TriggerAuthentication
}

// Build makes the objects of an overlay below a folder, with the components named
// which the overlay leaves to choice. A field that its kind does not have is an error,
// and so is a kind that Set does not name.
func Build(folder, overlay string, components ...string) (*Set, error) {
	copied, err := inMemory(folder)
	if err != nil {
		return nil, err
	}
	file := "/overlays/" + overlay + "/kustomization.yaml"
	content, err := copied.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("build %s: %w", overlay, err)
	}
	for _, c := range components {
		line := "  - ../../components/" + c
		if content = bytes.Replace(content, []byte("  # - ../../components/"+c), []byte(line), 1); !bytes.Contains(content, []byte(line)) {
			return nil, fmt.Errorf("build %s: it does not offer the component %s", overlay, c)
		}
	}
	if err := copied.WriteFile(file, content); err != nil {
		return nil, fmt.Errorf("build %s: %w", overlay, err)
	}
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(copied, path.Dir(file))
	if err != nil {
		return nil, fmt.Errorf("build %s: %w", overlay, err)
	}
	set := new(Set)
	for _, r := range resources.Resources() {
		content, err := r.AsYAML()
		if err != nil {
			return nil, fmt.Errorf("encode %s: %w", r.CurId(), err)
		}
		if err := set.Add(content); err != nil {
			return nil, fmt.Errorf("%s: %w", r.CurId(), err)
		}
	}
	return set, nil
}

// inMemory copies a folder, to the root.
func inMemory(folder string) (filesys.FileSystem, error) {
	copied := filesys.MakeFsInMemory()
	files := os.DirFS(folder)
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		return copied.WriteFile("/"+name, content)
	})
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", folder, err)
	}
	return copied, nil
}

// Add decodes one object.
func (s *Set) Add(content []byte) error {
	var head struct{ APIVersion, Kind string }
	if err := yaml.Unmarshal(content, &head); err != nil {
		return fmt.Errorf("read kind: %w", err)
	}
	list, ok := s.lists()[head.APIVersion+" "+head.Kind]
	if !ok {
		return fmt.Errorf("no object of %s %s is known", head.APIVersion, head.Kind)
	}
	// list is *[]*T
	objects := reflect.ValueOf(list).Elem()
	object := reflect.New(objects.Type().Elem().Elem())
	if err := yaml.UnmarshalStrict(content, object.Interface()); err != nil {
		return fmt.Errorf("decode %s: %w", head.Kind, err)
	}
	objects.Set(reflect.Append(objects, object))
	return nil
}

func (s *Set) lists() map[string]any {
	return map[string]any{
		"v1 Namespace":                           &s.Namespaces,
		"v1 ServiceAccount":                      &s.Accounts,
		"v1 ConfigMap":                           &s.Settings,
		"v1 Secret":                              &s.Secrets,
		"v1 Service":                             &s.Services,
		"apps/v1 Deployment":                     &s.Deployments,
		"batch/v1 Job":                           &s.Jobs,
		"batch/v1 CronJob":                       &s.CronJobs,
		"autoscaling/v2 HorizontalPodAutoscaler": &s.Autoscalers,
		"networking.k8s.io/v1 Ingress":           &s.Ingresses,
		"networking.k8s.io/v1 NetworkPolicy":     &s.Policies,
		"policy/v1 PodDisruptionBudget":          &s.Disruptions,
		"keda.sh/v1alpha1 ScaledObject":          &s.Scalers,
		"keda.sh/v1alpha1 TriggerAuthentication": &s.ScalerLogins,
	}
}

// Pod is what a Deployment, Job or CronJob makes pods from.
type Pod struct {
	Owner string // kind/name
	*corev1.PodTemplateSpec
}

// Pods are all templates of pods.
func (s *Set) Pods() []Pod {
	var pods []Pod
	for _, d := range s.Deployments {
		pods = append(pods, Pod{"Deployment/" + d.Name, &d.Spec.Template})
	}
	for _, j := range s.Jobs {
		pods = append(pods, Pod{"Job/" + j.Name, &j.Spec.Template})
	}
	for _, c := range s.CronJobs {
		pods = append(pods, Pod{"CronJob/" + c.Name, &c.Spec.JobTemplate.Spec.Template})
	}
	return pods
}

// Containers are those of all pods, the initial ones too.
func (s *Set) Containers() []Container {
	var containers []Container
	for _, p := range s.Pods() {
		for _, list := range [][]corev1.Container{p.Spec.InitContainers, p.Spec.Containers} {
			for i := range list {
				containers = append(containers, Container{Pod: p, Container: &list[i]})
			}
		}
	}
	return containers
}

// Container is one with its pod.
type Container struct {
	Pod Pod
	*corev1.Container
}

// String names it in a fault.
func (c Container) String() string { return c.Pod.Owner + "/" + c.Name }

// Variable is one of a container's environment.
type Variable struct {
	Name, Value string
	From        string // where the value comes from when it is not in the manifests
}

// Environment is what a container gets, from its ConfigMaps and of its own.
func (s *Set) Environment(c Container) ([]Variable, error) {
	var variables []Variable
	for _, from := range c.EnvFrom {
		if from.ConfigMapRef == nil || from.Prefix != "" {
			return nil, fmt.Errorf("%s: settings come from ConfigMaps without prefix", c)
		}
		settings := named(s.Settings, from.ConfigMapRef.Name)
		if settings == nil {
			return nil, fmt.Errorf("%s: there is no ConfigMap %s", c, from.ConfigMapRef.Name)
		}
		for name, value := range settings.Data {
			variables = append(variables, Variable{Name: name, Value: value})
		}
	}
	for _, e := range c.Env {
		v := Variable{Name: e.Name, Value: e.Value}
		if e.ValueFrom != nil {
			v.From = e.ValueFrom.String()
		}
		variables = append(variables, v)
	}
	return variables, nil
}

// named finds an object by its name; nil when there is none.
func named[T interface{ GetName() string }](objects []T, name string) (found T) {
	for _, o := range objects {
		if o.GetName() == name {
			return o
		}
	}
	return found
}
