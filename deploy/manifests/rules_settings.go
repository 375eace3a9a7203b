package manifests

import (
	"context"
	"os"
	"path"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Secret is a Kubernetes Secret.
type Secret = corev1.Secret

const (
	goMemLimit = "GOMEMLIMIT" // the Go runtime's, no setting of ours
	fileSuffix = "_FILE"
)

func settings(ctx context.Context, s *Set, facts Facts) []string {
	var f faults
	for _, c := range s.Containers() {
		known, err := facts.Programs.Settings(ctx, c)
		if err != nil {
			f.add("%v", err)
			continue
		}
		variables, err := s.Environment(c)
		if err != nil {
			f.add("%v", err)
			continue
		}
		given := map[string]int{}
		for _, v := range variables {
			if v.Name == goMemLimit {
				continue
			}
			setting, ok := known[v.Name]
			if file, isFile := strings.CutSuffix(v.Name, fileSuffix); !ok && isFile {
				setting, ok = known[file]
				ok = ok && setting.Secret
			}
			f.unless(ok, "%s: there is no setting %s", c, v.Name)
			f.unless(v.Value != "" || v.From != "", "%s: %s is empty", c, v.Name)
			f.unless(!setting.Secret || v.Name != setting.Name, "%s: %s is a secret in the clear", c, v.Name)
			given[setting.Name]++
		}
		for name, setting := range known {
			f.unless(given[name] > 0 || !setting.Required, "%s: %s is required", c, name)
			f.unless(given[name] < 2, "%s: %s is given twice", c, name)
		}
	}
	return f
}

func understood(ctx context.Context, s *Set, facts Facts) []string {
	var f faults
	for _, c := range s.Containers() {
		f.unless(len(c.Command) == 0, "%s: its command is not the image's", c)
		if err := facts.Programs.Understands(ctx, c); err != nil {
			f.add("%s: %v", c, err)
		}
	}
	return f
}

// accepted starts each program, because only it knows which settings go together.
func accepted(ctx context.Context, s *Set, facts Facts) []string {
	var f faults
	folder, err := os.MkdirTemp("", "secrets")
	if err != nil {
		return []string{err.Error()}
	}
	defer os.RemoveAll(folder)
	for _, d := range s.Deployments {
		for i := range d.Spec.Template.Spec.Containers {
			c := Container{Pod: Pod{"Deployment/" + d.Name, &d.Spec.Template}, Container: &d.Spec.Template.Spec.Containers[i]}
			variables, err := s.Environment(c)
			if err != nil {
				f.add("%v", err)
				continue
			}
			env := map[string]string{}
			for _, v := range variables {
				env[v.Name] = v.Value
				if strings.HasSuffix(v.Name, fileSuffix) {
					env[v.Name] = filepath.Join(folder, path.Base(v.Value))
					if err := os.WriteFile(env[v.Name], []byte(example(facts.Secrets, path.Base(v.Value))), 0o600); err != nil {
						f.add("%v", err)
					}
				}
			}
			for _, name := range []string{"LISTEN_ADDR", "OPS_ADDR"} {
				env[name] = "127.0.0.1:0" // whatever else runs on this machine
			}
			if err := facts.Programs.Accepts(ctx, c, env); err != nil {
				f.add("%s: %v", c, err)
			}
		}
	}
	return f
}

// example is the value that the example's Secrets have for a key.
func example(secrets []*Secret, key string) string {
	for _, s := range secrets {
		if value, ok := s.StringData[key]; ok {
			return value
		}
	}
	return ""
}

func secrets(_ context.Context, s *Set, facts Facts) []string {
	var f faults
	f.unless(len(s.Secrets) == 0, "Secrets are in the manifests")
	for _, c := range s.Containers() {
		variables, err := s.Environment(c)
		if err != nil {
			f.add("%v", err)
			continue
		}
		for _, v := range variables {
			f.unless(v.From == "", "%s: %s comes from %s: secrets are mounted", c, v.Name, v.From)
			setting, isFile := strings.CutSuffix(v.Name, fileSuffix)
			if !isFile {
				continue
			}
			f.unless(path.Base(v.Value) == setting, "%s: the key of %s is not called %s", c, v.Name, setting)
			secret := named(facts.Secrets, mountedAt(c, path.Dir(v.Value)))
			if secret == nil {
				f.add("%s: no Secret of the example is mounted at %s", c, path.Dir(v.Value))
				continue
			}
			_, ok := secret.StringData[setting]
			f.unless(ok, "%s: the example's Secret %s has no key %s", c, secret.Name, setting)
		}
	}
	for _, login := range s.ScalerLogins {
		for _, ref := range login.Spec.SecretTargetRef {
			secret := named(facts.Secrets, ref.Name)
			f.unless(secret != nil && secret.StringData[ref.Key] != "", "%s: the example has no Secret %s with key %s", login.Name, ref.Name, ref.Key)
		}
	}
	return f
}

// mountedAt is the name of the Secret that a container sees in a folder, read-only
// and not for others.
func mountedAt(c Container, folder string) string {
	for _, m := range c.VolumeMounts {
		if m.MountPath != folder || !m.ReadOnly {
			continue
		}
		for _, v := range c.Pod.Spec.Volumes {
			if v.Name == m.Name && v.Secret != nil && v.Secret.DefaultMode != nil && *v.Secret.DefaultMode == 0o440 {
				return v.Secret.SecretName
			}
		}
	}
	return ""
}
