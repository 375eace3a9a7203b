package main

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"time"

	"example.org/ncm/pkg/config"
	"example.org/ncm/pkg/queue"
	"example.org/ncm/pkg/service"
	"example.org/ncm/pkg/stack"
	"example.org/ncm/pkg/telemetry"
	"example.org/ncm/services/migrator/internal/instance"
	"example.org/ncm/services/migrator/internal/report"
	"example.org/ncm/services/migrator/internal/transfer"
	"example.org/ncm/services/migrator/internal/worker"
)

// RunConfig holds the settings of `migrator run`.
type RunConfig struct {
	SidesConfig
	LedgerConfig
	telemetry.Export
	service.DebugSettings

	queue.Broker
	DeliveryLimit   int  `envconfig:"DELIVERY_LIMIT" default:"20" desc:"how often a message may come back before it is a dead letter"`
	PassiveTopology bool `envconfig:"PASSIVE_TOPOLOGY" default:"false" desc:"only check that exchange and queues exist, where the broker's operator declares them"`

	OpsAddr       string        `envconfig:"OPS_ADDR" default:":8081" desc:"address of /healthz, /readyz, /metrics and of the page for operators, /operator/"`
	OperatorToken config.Secret `envconfig:"OPERATOR_TOKEN" desc:"what an operator types on the page to act and to see names of files, at least 16 characters; empty: the page does neither"`
	LogLevel      string        `envconfig:"LOG_LEVEL" default:"info" desc:"debug, info, warn or error; debug names files"`

	Slots int `envconfig:"SLOTS" default:"4" desc:"migrations worked on at once"`

	ReturnPasswordAfter time.Duration `envconfig:"RETURN_PASSWORD_AFTER" default:"168h" desc:"how long after its end a migration's app password, if the trigger had it made, still serves a retry or a deletion of the source; of a canceled migration it is given back at once"`

	LeaseTTL     time.Duration `envconfig:"LEASE_TTL" default:"15s" desc:"after this long without renewal another worker takes a migration over"`
	SliceTime    time.Duration `envconfig:"SLICE_TIME" default:"1m" desc:"a migration yields its slot after this when others wait"`
	DrainGrace   time.Duration `envconfig:"DRAIN_GRACE" default:"1500ms" desc:"how long transfers under way may go on after a stop; then they are cut, and another worker repeats them"`
	ShutdownTime time.Duration `envconfig:"SHUTDOWN_TIME" default:"20s" desc:"how long a stop may take in all; longer than DRAIN_GRACE"`
}

// SidesConfig holds the settings of everything that moves files.
type SidesConfig struct {
	stack.Settings

	Mode transferMode `envconfig:"TRANSFER_MODE" default:"files" desc:"files: the migrator reads the Nextcloud and writes the files; stack: the Cozy stack copies them by itself, where it can reach a Nextcloud that the migrator can't, at the price of their dates"`

	Transfers       int  `envconfig:"TRANSFERS" default:"16" desc:"files copied at once, per migration, at most: how many are worth it is tried out for each server"`
	SourceTransfers int  `envconfig:"SOURCE_TRANSFERS" default:"64" desc:"files read at once from one Nextcloud, at most, by all migrations of this process"`
	Requests        int  `envconfig:"SOURCE_REQUESTS" default:"16" desc:"requests that may wait for a Nextcloud's answer at once, per migration; at 8 a password that is revoked in the midst cannot lock this address out of that Nextcloud, which takes 11 refused logins"`
	Listers         int  `envconfig:"LISTERS" default:"4" desc:"folders listed at once, per migration"`
	Trees           bool `envconfig:"WHOLE_TREES" default:"true" desc:"list all below a folder with one request where that can be believed; each folder that can not is listed by itself"`
	Archives        bool `envconfig:"ARCHIVES" default:"true" desc:"fetch small files of a folder together, where the Nextcloud sends archives; costs it a fraction of a request for each"`
	Attempts        int  `envconfig:"ATTEMPTS" default:"5" desc:"passes an entry gets before it is reported as failed"`

	KindsConfig

	OnChanged string `envconfig:"ON_CHANGED" default:"keep-both" desc:"what a further migration does with a file that changed since the last one: keep-both copies it beside, overwrite makes it a new version (never of a file that was changed in the Cozy), skip leaves it out"`

	Report string `envconfig:"REPORT" default:"needed" desc:"when a migration leaves 'Migration report.csv' in its target folder: always, needed (something failed, was skipped or renamed, or has a note) or never"`

	AllowHTTP     bool           `envconfig:"ALLOW_HTTP_NEXTCLOUD" default:"false" desc:"allow Nextclouds without TLS, for development"`
	AllowedRanges []netip.Prefix `envconfig:"ALLOWED_PRIVATE_RANGES" desc:"networks such as 10.1.0.0/16 that a Nextcloud may be in although they are not public"`
}

// LedgerConfig holds the settings of everything that needs the ledger.
type LedgerConfig struct {
	DatabaseURL   config.Secret `envconfig:"DATABASE_URL" required:"true" desc:"postgres:// URL of the ledger"`
	DatabaseConns int32         `envconfig:"DATABASE_CONNS" default:"12" desc:"most connections to the ledger"`
}

// transferMode is which way files take.
type transferMode string

const (
	modeFiles transferMode = "files"
	modeStack transferMode = "stack"
)

// scope is what tokens are asked for. Where the stack copies, the login of the
// source is none of our business.
func (m transferMode) scope() string {
	if m == modeStack {
		return instance.RemoteScope
	}
	return instance.Scope
}

// Validate reports what no single field can know.
func (c *RunConfig) Validate() error {
	faults := []error{c.Broker.Validate(), c.SidesConfig.validate(), c.Export.Validate(), c.DebugSettings.Validate()}
	faults = append(faults, atLeastOne(map[string]int{"SLOTS": c.Slots, "DELIVERY_LIMIT": c.DeliveryLimit})...)
	if n := len(c.OperatorToken); n > 0 && n < 16 {
		faults = append(faults, errors.New("OPERATOR_TOKEN: at least 16 characters, or none"))
	}
	if c.LeaseTTL < 3*time.Second {
		faults = append(faults, errors.New("LEASE_TTL: at least 3s"))
	}
	if c.ReturnPasswordAfter < 0 {
		faults = append(faults, errors.New("RETURN_PASSWORD_AFTER: not less than 0"))
	}
	if c.DatabaseConns < 4 {
		faults = append(faults, errors.New("DATABASE_CONNS: at least 4"))
	}
	if c.ShutdownTime <= c.DrainGrace {
		faults = append(faults, errors.New("SHUTDOWN_TIME: longer than DRAIN_GRACE"))
	}
	return errors.Join(faults...)
}

func (c *SidesConfig) validate() error {
	faults := atLeastOne(map[string]int{"TRANSFERS": c.Transfers, "SOURCE_TRANSFERS": c.SourceTransfers, "SOURCE_REQUESTS": c.Requests, "LISTERS": c.Listers, "ATTEMPTS": c.Attempts})
	if !transfer.OnChanged(c.OnChanged).Known() {
		faults = append(faults, errors.New("ON_CHANGED: keep-both, overwrite or skip"))
	}
	if !worker.Report(c.Report).Known() {
		faults = append(faults, errors.New("REPORT: always, needed or never"))
	}
	switch {
	case c.Mode != modeFiles && c.Mode != modeStack:
		faults = append(faults, errors.New("TRANSFER_MODE: files or stack"))
	case c.Mode == modeStack && c.KindsConfig.skips():
		faults = append(faults, errors.New("TRANSFER_MODE: stack can't tell what SHARED_FILES, GROUP_FOLDERS and EXTERNAL_STORAGES would skip"))
	}
	return errors.Join(append(faults, c.Settings.Validate(), c.KindsConfig.validate())...)
}

// remarks are for the head of each report.
func (c *SidesConfig) remarks() []string {
	if c.Mode == modeStack {
		return []string{report.StackMode}
	}
	return nil
}

func atLeastOne(settings map[string]int) (faults []error) {
	for name, n := range settings {
		if n < 1 {
			faults = append(faults, fmt.Errorf("%s: at least 1", name))
		}
	}
	return faults
}

// checkSourceURL refuses what the trigger refuses too: an account may have been
// written by somebody else.
func (c *SidesConfig) checkSourceURL(raw string) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || u.User != nil:
		return errors.New("the account's URL is not one")
	case u.Scheme != "https" && (u.Scheme != "http" || !c.AllowHTTP):
		return errors.New("the account's URL is not https")
	}
	return nil
}
