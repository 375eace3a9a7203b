// Package stack holds the settings with which both services reach the Cozy
// stack, and opens it from them.
package stack

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"

	"example.org/ncm/pkg/config"
	"example.org/ncm/pkg/cozy"
	"example.org/ncm/pkg/egress"
)

// Settings are embedded in the configuration of each service.
type Settings struct {
	InstanceSuffixes []string `envconfig:"INSTANCE_SUFFIXES" required:"true" desc:"hosts that are instances: cozy.example stands for itself and all below it, .cozy.example only for those below; :port or :* after it allows a port"`
	InstanceScheme   string   `envconfig:"INSTANCE_SCHEME" default:"https" desc:"https, or http for development"`
	StackAddress     []string `envconfig:"STACK_ADDRESS" desc:"where instances are dialled inside a cluster, host=address or .suffix=address; Host header and TLS name stay the instance's"`

	ClouderyURL        string        `envconfig:"CLOUDERY_URL" desc:"issues tokens for instances; else STACK_ADMIN_URL does"`
	ClouderyToken      config.Secret `envconfig:"CLOUDERY_TOKEN" desc:"bearer token for CLOUDERY_URL"`
	StackAdminURL      string        `envconfig:"STACK_ADMIN_URL" desc:"admin API of the stack, issues tokens for instances"`
	StackAdminUser     string        `envconfig:"STACK_ADMIN_USER" default:"admin" desc:"user of STACK_ADMIN_URL"`
	StackAdminPassword config.Secret `envconfig:"STACK_ADMIN_PASSWORD" desc:"password of STACK_ADMIN_URL"`
	DevToken           config.Secret `envconfig:"DEV_TOKEN" desc:"one fixed token for all instances, for development only"`
}

// Validate reports every fault of the settings together.
func (s *Settings) Validate() error {
	var faults []error
	if s.InstanceScheme != "https" && s.InstanceScheme != "http" {
		faults = append(faults, errors.New("INSTANCE_SCHEME: https or http"))
	}
	if _, err := cozy.NewHosts(s.InstanceSuffixes); err != nil {
		faults = append(faults, fmt.Errorf("INSTANCE_SUFFIXES: %w", err))
	}
	if _, err := egress.ParseAddressMap(s.StackAddress); err != nil {
		faults = append(faults, fmt.Errorf("STACK_ADDRESS: %w", err))
	}
	return errors.Join(append(faults, s.validateTokens()...)...)
}

func (s *Settings) validateTokens() []error {
	var faults []error
	sources := 0
	for _, set := range []bool{s.ClouderyURL != "", s.StackAdminURL != "", s.DevToken != ""} {
		if set {
			sources++
		}
	}
	if sources != 1 {
		faults = append(faults, errors.New("CLOUDERY_URL, STACK_ADMIN_URL, DEV_TOKEN: exactly one of them is needed"))
	}
	if s.ClouderyURL != "" && s.ClouderyToken == "" {
		faults = append(faults, errors.New("CLOUDERY_TOKEN: is required with CLOUDERY_URL"))
	}
	if s.StackAdminURL != "" && s.StackAdminPassword == "" {
		faults = append(faults, errors.New("STACK_ADMIN_PASSWORD: is required with STACK_ADMIN_URL"))
	}
	for name, raw := range map[string]string{"CLOUDERY_URL": s.ClouderyURL, "STACK_ADMIN_URL": s.StackAdminURL} {
		if u, err := url.Parse(raw); raw != "" && (err != nil || u.Host == "" || u.User != nil) {
			faults = append(faults, fmt.Errorf("%s: not a URL such as https://host/, without a user", name))
		}
	}
	return faults
}

// Open makes the client of all instances and the list of those that are allowed.
// The settings are valid. parallelism is how many requests to one instance run at
// once. observe is put before the transport of each side, "target" and "issuer".
func (s *Settings) Open(
	scope string, parallelism int, observe func(side string, next http.RoundTripper) http.RoundTripper, logger *slog.Logger,
) (*cozy.Stack, cozy.Hosts, error) {
	hosts, err := cozy.NewHosts(s.InstanceSuffixes)
	if err != nil {
		return nil, cozy.Hosts{}, fmt.Errorf("read INSTANCE_SUFFIXES: %w", err)
	}
	addresses, err := egress.ParseAddressMap(s.StackAddress)
	if err != nil {
		return nil, cozy.Hosts{}, fmt.Errorf("read STACK_ADDRESS: %w", err)
	}
	// The instances are the operator's own: they may be anywhere.
	transport := egress.NewTransport(egress.Options{
		AllowPrivate: true, Addresses: addresses, MaxIdleConnsPerHost: parallelism,
		Uploads: true,
		// The client bounds each request, and a copy within the stack for hours.
		Headers: -1,
	})
	return cozy.New(cozy.Config{
		HTTP:   &http.Client{Transport: observe("target", transport)},
		Scheme: s.InstanceScheme,
		Tokens: s.tokens(&http.Client{Transport: observe("issuer", transport)}, scope),
		Logger: logger,
	}), hosts, nil
}

func (s *Settings) tokens(client *http.Client, scope string) cozy.TokenSource {
	switch {
	case s.ClouderyURL != "":
		return cozy.Cached(cozy.NewCloudery(client, s.ClouderyURL, s.ClouderyToken.Reveal(), scope))
	case s.StackAdminURL != "":
		return cozy.Cached(cozy.NewAdmin(client, s.StackAdminURL, s.StackAdminUser, s.StackAdminPassword.Reveal(), scope))
	default:
		return cozy.Static(s.DevToken.Reveal())
	}
}
