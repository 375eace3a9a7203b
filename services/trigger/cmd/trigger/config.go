package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"example.org/ncm/pkg/config"
	"example.org/ncm/pkg/queue"
	"example.org/ncm/pkg/service"
	"example.org/ncm/pkg/stack"
	"example.org/ncm/pkg/telemetry"
)

// Config is what an operator can set. The descriptions are the operator's
// documentation.
type Config struct {
	ListenAddr string `envconfig:"LISTEN_ADDR" default:":8080" desc:"address of the API, to which /remote/nextcloud/migration of all instances is routed"`
	OpsAddr    string `envconfig:"OPS_ADDR" default:":8081" desc:"address of /healthz, /readyz and /metrics"`
	LogLevel   string `envconfig:"LOG_LEVEL" default:"info" desc:"debug, info, warn or error"`

	queue.Broker
	stack.Settings
	telemetry.Export
	service.DebugSettings

	AllowHTTP     bool           `envconfig:"ALLOW_HTTP_NEXTCLOUD" default:"false" desc:"allow Nextclouds without TLS, for development"`
	AllowedRanges []netip.Prefix `envconfig:"ALLOWED_PRIVATE_RANGES" desc:"networks such as 10.1.0.0/16 that a Nextcloud may be in although they are not public"`

	InstanceChecks int           `envconfig:"LOGIN_CHECKS_PER_INSTANCE" default:"10" desc:"login checks that one instance may ask for at once, in each process"`
	LoginChecks    int           `envconfig:"LOGIN_CHECKS_PER_LOGIN" default:"5" desc:"checks at once of one login at one Nextcloud, for all instances together, in each process"`
	CheckEvery     time.Duration `envconfig:"LOGIN_CHECK_EVERY" default:"30s" desc:"after this time each of both may be checked once more"`

	ExchangePassword bool `envconfig:"EXCHANGE_PASSWORD" default:"true" desc:"replace a login password by an app password, which is faster and opens less, before it is stored; the migrator gives it back"`

	DeleteUnchecked bool `envconfig:"DELETE_SOURCE_UNCHECKED" default:"false" desc:"delete sources even where files were not imported or another migration runs, as the Cozy stack does"`

	DrainDelay   time.Duration `envconfig:"DRAIN_DELAY" default:"3s" desc:"how long a stop waits after /readyz fails before the API closes, for load balancers to notice"`
	ShutdownTime time.Duration `envconfig:"SHUTDOWN_TIME" default:"40s" desc:"how long a stop may take in all; longer than DRAIN_DELAY"`
}

var _ config.Validator = (*Config)(nil)

// Validate reports what no single field can know.
func (c *Config) Validate() error {
	faults := []error{c.Broker.Validate(), c.Settings.Validate(), c.Export.Validate(), c.DebugSettings.Validate()}
	if err := new(slog.Level).UnmarshalText([]byte(c.LogLevel)); err != nil {
		faults = append(faults, fmt.Errorf("LOG_LEVEL: %w", err))
	}
	if c.InstanceChecks < 1 || c.LoginChecks < 1 || c.CheckEvery <= 0 {
		faults = append(faults, errors.New("LOGIN_CHECKS_PER_INSTANCE, LOGIN_CHECKS_PER_LOGIN, LOGIN_CHECK_EVERY: more than zero"))
	}
	if c.DrainDelay < 0 || c.ShutdownTime <= c.DrainDelay {
		faults = append(faults, errors.New("SHUTDOWN_TIME: longer than DRAIN_DELAY"))
	}
	return errors.Join(faults...)
}
