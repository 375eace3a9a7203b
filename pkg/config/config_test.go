package config_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/ncm/pkg/config"
)

const planted = "hunter2"

type nested struct {
	Size int `default:"7" desc:"how many"`
}

type spec struct {
	Addr     string            `envconfig:"ADDR" default:":8080" desc:"where to listen"`
	Password config.Secret     `envconfig:"PASSWORD" required:"true" desc:"of the broker"`
	Token    config.Secret     `envconfig:"TOKEN"`
	Wait     time.Duration     `envconfig:"WAIT" default:"10s"`
	Count    int               `envconfig:"COUNT"`
	Suffixes []string          `envconfig:"SUFFIXES" required:"true"`
	Keys     []config.Secret   `envconfig:"KEYS"`
	Ports    map[string]uint16 `envconfig:"PORTS"`
	Broker   string            `envconfig:"BROKER"`
	Pool     nested
}

func (s *spec) Validate() error {
	if s.Count < 0 {
		return errors.Join(errors.New("APP_COUNT: negative"), errors.New("APP_COUNT: really"))
	}
	return nil
}

// setenv sets what a test gives and nothing else of the prefix.
func setenv(t *testing.T, env map[string]string) {
	t.Helper()
	for _, pair := range os.Environ() {
		if key, _, _ := strings.Cut(pair, "="); strings.HasPrefix(key, "APP_") {
			t.Fatalf("%s is set outside of the test", key)
		}
	}
	for key, value := range env {
		t.Setenv(key, value)
	}
}

func file(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatalf("write secret: %v", err)
	}
	return path
}

func TestLoadFillsEveryKindOfField(t *testing.T) {
	setenv(t, map[string]string{
		"APP_PASSWORD_FILE": file(t, planted+"\n"),
		"APP_TOKEN":         "token",
		"APP_SUFFIXES":      "a.example,b.example",
		"APP_KEYS":          "k1,k2",
		"APP_PORTS":         "a:1,b:2",
		"APP_POOL_SIZE":     "9",
	})
	var got spec

	if err := config.Load("APP", &got); err != nil {
		t.Fatalf("Load: %v", err)
	}

	want := spec{
		Addr: ":8080", Password: planted, Token: "token", Wait: 10 * time.Second,
		Suffixes: []string{"a.example", "b.example"}, Keys: []config.Secret{"k1", "k2"},
		Ports: map[string]uint16{"a": 1, "b": 2}, Pool: nested{Size: 9},
	}
	if !cmp.Equal(want, got) {
		t.Errorf("Load = %+v, want %+v", got, want)
	}
}

func TestLoadKeepsWhatTheSpecHolds(t *testing.T) {
	setenv(t, map[string]string{"APP_PASSWORD": planted, "APP_SUFFIXES": "a"})
	got := spec{Broker: "preset"}

	if err := config.Load("APP", &got); err != nil || got.Broker != "preset" {
		t.Errorf("Load = %v, Broker %q; want the preset", err, got.Broker)
	}
}

func TestLoadReportsAllFaultsWithoutSecrets(t *testing.T) {
	good := map[string]string{"APP_PASSWORD": planted, "APP_SUFFIXES": "a"}
	secret := file(t, planted)
	for name, tc := range map[string]struct {
		env  map[string]string
		want []string
	}{
		"nothing set": {
			env:  map[string]string{"APP_PASSWORD": "", "APP_SUFFIXES": ""},
			want: []string{"APP_PASSWORD: required, but not set", "APP_SUFFIXES: required, but not set"},
		},
		"wrong types": {
			env: map[string]string{"APP_WAIT": "ten", "APP_COUNT": "x", "APP_POOL_SIZE": "y", "APP_PORTS": "a:99999999"},
			want: []string{
				`APP_WAIT: not a duration: time: invalid duration "ten"`,
				`APP_COUNT: not a int: strconv.ParseInt: parsing "x": invalid syntax`,
				`APP_PORTS: not a map of string:uint16: strconv.ParseUint: parsing "99999999": value out of range`,
				`APP_POOL_SIZE: not a int: strconv.ParseInt: parsing "y": invalid syntax`,
			},
		},
		"secret twice": {
			env:  map[string]string{"APP_PASSWORD_FILE": secret},
			want: []string{"APP_PASSWORD: given twice, also as APP_PASSWORD_FILE"},
		},
		"empty secret file": {
			env:  map[string]string{"APP_PASSWORD": "", "APP_PASSWORD_FILE": os.DevNull},
			want: []string{"APP_PASSWORD: the file of APP_PASSWORD_FILE is empty"},
		},
		"no secret file": {
			env:  map[string]string{"APP_TOKEN_FILE": "/does/not/exist"},
			want: []string{"APP_TOKEN: read APP_TOKEN_FILE: open /does/not/exist: no such file or directory"},
		},
		"rules of the spec": {
			env:  map[string]string{"APP_COUNT": "-1", "APP_WAIT": "ten"},
			want: []string{`APP_WAIT: not a duration: time: invalid duration "ten"`, "APP_COUNT: negative", "APP_COUNT: really"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			setenv(t, nil)
			for key, value := range good {
				t.Setenv(key, value)
			}
			for key, value := range tc.env {
				t.Setenv(key, value)
			}
			err := config.Load("APP", new(spec))

			var faults *config.FaultsError
			if !errors.As(err, &faults) {
				t.Fatalf("Load = %v, want a FaultsError", err)
			}
			var got []string
			for _, f := range faults.Faults {
				got = append(got, f.Error())
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
			if strings.Contains(err.Error(), planted) {
				t.Errorf("error holds the secret: %v", err)
			}
		})
	}
}

func TestLoadRefusesWhatIsNoSpec(t *testing.T) {
	t.Parallel()
	if err := config.Load("APP", spec{}); err == nil {
		t.Error("Load into a value = nil, want an error")
	}
}

func TestUsageShowsEverySetting(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := config.Usage(&out, "APP", new(spec)); err != nil {
		t.Fatalf("Usage: %v", err)
	}
	for _, want := range []string{
		"APP_ADDR       string                :8080              where to listen",
		"APP_PASSWORD   secret                         yes       of the broker (or a file's path in APP_PASSWORD_FILE)",
		"APP_WAIT       duration              10s",
		"APP_SUFFIXES   list of string                 yes",
		"APP_POOL_SIZE  int                   7                  how many",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("usage lacks %q:\n%s", want, out.String())
		}
	}
}

func TestRedactedShowsValuesButNoSecret(t *testing.T) {
	t.Parallel()
	s := spec{
		Addr: ":1", Password: planted, Keys: []config.Secret{planted},
		Broker: "amqp://user:" + planted + "@host/", Suffixes: []string{"a"},
	}
	var out bytes.Buffer
	slog.New(slog.NewJSONHandler(&out, nil)).Info("settings", "settings", config.Redacted("APP", &s))

	var line struct{ Settings map[string]string }
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("log line: %v", err)
	}
	want := map[string]string{
		"APP_ADDR": ":1", "APP_PASSWORD": "***", "APP_TOKEN": "", "APP_WAIT": "0s", "APP_COUNT": "0",
		"APP_SUFFIXES": "[a]", "APP_KEYS": "***", "APP_PORTS": "map[]",
		"APP_BROKER": "amqp://user:xxxxx@host/", "APP_POOL_SIZE": "0",
	}
	if diff := cmp.Diff(want, line.Settings); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
}

func TestSecretNeverPrints(t *testing.T) {
	t.Parallel()
	type holder struct {
		S config.Secret
		M map[string]config.Secret
		P *config.Secret
	}
	secret := config.Secret(planted)
	h := holder{S: secret, M: map[string]config.Secret{"k": secret}, P: &secret}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%t"} {
		fmt.Fprintf(&out, verb+verb, secret, h)
	}
	if err := json.NewEncoder(&out).Encode(h); err != nil {
		t.Fatalf("Encode: %v", err)
	}
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "secret", secret, "holder", h)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "secret", secret, "holder", h)

	hex := fmt.Sprintf("%x", planted)
	if strings.Contains(out.String(), planted) || strings.Contains(out.String(), hex) {
		t.Errorf("printed the secret:\n%s", out.String())
	}
	if got := secret.Reveal(); got != planted {
		t.Errorf("Reveal = %q, want the value", got)
	}
}
