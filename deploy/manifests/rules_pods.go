package manifests

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

func resources(_ context.Context, s *Set, _ Facts) (found []string) {
	var f faults
	for _, c := range s.Containers() {
		for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
			request, limit := c.Resources.Requests[name], c.Resources.Limits[name]
			f.unless(!request.IsZero() && !limit.IsZero() && request.Cmp(limit) <= 0, "%s: %s is not requested and limited", c, name)
		}
		limit := c.Resources.Limits[corev1.ResourceMemory]
		f.unless(memoryLimit(c) > 0 && memoryLimit(c) <= limit.Value()*9/10,
			"%s: GOMEMLIMIT is not set to at most 90 %% of the limit", c)
	}
	return f
}

// memoryLimit is GOMEMLIMIT in bytes, zero without one.
func memoryLimit(c Container) int64 {
	for _, e := range c.Env {
		if e.Name != goMemLimit {
			continue
		}
		// Go writes MiB where Kubernetes writes Mi.
		q, err := resource.ParseQuantity(strings.TrimSuffix(e.Value, "B"))
		if err == nil && strings.HasSuffix(e.Value, "iB") {
			return q.Value()
		}
	}
	return 0
}

func confined(_ context.Context, s *Set, _ Facts) []string {
	var f faults
	for _, p := range s.Pods() {
		c := p.Spec.SecurityContext
		f.unless(c != nil && isTrue(c.RunAsNonRoot) && c.RunAsUser != nil && *c.RunAsUser > 0, "%s: may run as root", p.Owner)
		f.unless(c != nil && c.SeccompProfile != nil && c.SeccompProfile.Type == corev1.SeccompProfileTypeRuntimeDefault, "%s: no seccomp profile", p.Owner)
		f.unless(!p.Spec.HostNetwork && !p.Spec.HostPID && !p.Spec.HostIPC, "%s: shares the host's namespaces", p.Owner)
	}
	for _, c := range s.Containers() {
		own := c.SecurityContext
		if own == nil {
			f.add("%s: no security context", c)
			continue
		}
		f.unless(isTrue(own.ReadOnlyRootFilesystem), "%s: root file system can be written", c)
		f.unless(own.AllowPrivilegeEscalation != nil && !*own.AllowPrivilegeEscalation, "%s: may gain privileges", c)
		f.unless(own.Capabilities != nil && slices.Equal(own.Capabilities.Drop, []corev1.Capability{"ALL"}) && len(own.Capabilities.Add) == 0,
			"%s: keeps capabilities", c)
		f.unless(own.RunAsUser == nil && own.RunAsNonRoot == nil && own.SeccompProfile == nil && !isTrue(own.Privileged), "%s: overrides its pod", c)
	}
	return f
}

func noToken(_ context.Context, s *Set, _ Facts) []string {
	var f faults
	for _, p := range s.Pods() {
		account := named(s.Accounts, p.Spec.ServiceAccountName)
		if account == nil {
			f.add("%s: no ServiceAccount of its own", p.Owner)
			continue
		}
		f.unless(isFalse(account.AutomountServiceAccountToken) && isFalse(p.Spec.AutomountServiceAccountToken), "%s: gets a token", p.Owner)
		// Service links put variables such as TRIGGER_PORT beside the settings.
		f.unless(isFalse(p.Spec.EnableServiceLinks), "%s: gets variables of Services", p.Owner)
	}
	return f
}

func versions(_ context.Context, s *Set, _ Facts) []string {
	var f faults
	var tags []string
	for _, c := range s.Containers() {
		tag := tagOf(c)
		f.unless(tag != "" && tag != "latest" && tag != "dev", "%s: image %s has no version", c, c.Image)
		tags = append(tags, tag)
	}
	slices.Sort(tags)
	f.unless(len(slices.Compact(tags)) == 1, "services of several versions")
	return f
}

func tagOf(c Container) string {
	_, tag, _ := strings.Cut(c.Image[strings.LastIndex(c.Image, "/")+1:], ":")
	return tag
}

func probes(_ context.Context, s *Set, _ Facts) []string {
	var f faults
	for _, d := range s.Deployments {
		for i := range d.Spec.Template.Spec.Containers {
			c := &d.Spec.Template.Spec.Containers[i]
			for path, probe := range map[string]*corev1.Probe{"/healthz": c.LivenessProbe, "/readyz": c.ReadinessProbe} {
				if probe == nil || probe.HTTPGet == nil || probe.HTTPGet.Path != path {
					f.add("%s: no probe of %s", c.Name, path)
					continue
				}
				f.unless(probe.HTTPGet.Port.StrVal == "ops" && hasPort(c, "ops"), "%s: %s is not asked at the port ops", c.Name, path)
				// Readiness asks its dependencies for up to three seconds.
				f.unless(path != "/readyz" || probe.TimeoutSeconds > 3, "%s: %s has less time than its checks", c.Name, path)
			}
		}
	}
	return f
}

func hasPort(c *corev1.Container, name string) bool {
	return slices.ContainsFunc(c.Ports, func(p corev1.ContainerPort) bool { return p.Name == name })
}

// cutTime is what a program takes at most to end after SHUTDOWN_TIME: see pkg/service.
const cutTime = 5 * time.Second

func stops(_ context.Context, s *Set, _ Facts) []string {
	var f faults
	for _, d := range s.Deployments {
		pod := Pod{"Deployment/" + d.Name, &d.Spec.Template}
		for i := range d.Spec.Template.Spec.Containers {
			c := Container{Pod: pod, Container: &d.Spec.Template.Spec.Containers[i]}
			shutdown, err := s.duration(c, "SHUTDOWN_TIME")
			if err != nil {
				f.add("%v", err)
				continue
			}
			grace := d.Spec.Template.Spec.TerminationGracePeriodSeconds
			f.unless(grace != nil && time.Duration(*grace)*time.Second > shutdown+cutTime, "%s: killed before SHUTDOWN_TIME is over", c)
			drains := 0
			for _, name := range []string{"DRAIN_DELAY", "DRAIN_GRACE"} {
				if drain, err := s.duration(c, name); err == nil {
					drains++
					f.unless(drain < shutdown, "%s: %s is not shorter than SHUTDOWN_TIME", c, name)
				}
			}
			f.unless(drains == 1, "%s: no drain", c)
		}
		rolling := d.Spec.Strategy.RollingUpdate
		f.unless(rolling != nil && rolling.MaxUnavailable != nil && rolling.MaxUnavailable.IntValue() == 0 && rolling.MaxUnavailable.StrVal == "",
			"%s: a rollout stops old pods before new ones are ready", pod.Owner)
	}
	return f
}

func (s *Set) duration(c Container, name string) (time.Duration, error) {
	variables, err := s.Environment(c)
	if err != nil {
		return 0, err
	}
	for _, v := range variables {
		if v.Name == name {
			return time.ParseDuration(v.Value)
		}
	}
	return 0, fmt.Errorf("%s: %s is not set", c, name)
}

func isTrue(b *bool) bool  { return b != nil && *b }
func isFalse(b *bool) bool { return b != nil && !*b }
