package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/pkg/cozy"
	"example.org/ncm/services/migrator/internal/instance"
	"example.org/ncm/services/migrator/internal/nextcloud"
	"example.org/ncm/services/migrator/internal/operate"
	"example.org/ncm/services/migrator/internal/pace"
	"example.org/ncm/services/migrator/internal/transfer"
	"example.org/ncm/services/migrator/internal/worker"
)

// sides opens the two ends of a migration with the adapters.
type sides struct {
	mode     transferMode
	stack    *cozy.Stack
	hosts    cozy.Hosts
	source   http.RoundTripper // shared by all sources; decides what may be dialled
	kinds    KindsConfig
	requests int // that may be unanswered at once, per source
	// What each Nextcloud and each instance takes at once.
	sources, targets *pace.Servers
	checkURL         func(string) error
	logger           *slog.Logger
}

var (
	_ worker.Sides      = (*sides)(nil)
	_ worker.Issuer     = (*sides)(nil)
	_ operate.Documents = (*sides)(nil)
)

// register tells how much the servers that have work are asked for at once.
func (s *sides) register(reg prometheus.Registerer) {
	for side, servers := range map[string]*pace.Servers{"source": s.sources, "target": s.targets} {
		gauge := func(name, help string, value func(limit, used int) int) {
			reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
				Name: name, Help: help, ConstLabels: prometheus.Labels{"side": side},
			}, func() float64 { return float64(value(servers.Now())) }))
		}
		gauge("migrator_parallel_limit", "Files at once that were found to be worth it, summed over the servers that have work.",
			func(limit, _ int) int { return limit })
		gauge("migrator_parallel_files", "Files under way.", func(_, used int) int { return used })
	}
}

// Instance implements worker.Sides.
func (s *sides) Instance(host string) (worker.Instance, error) {
	i, err := s.instance(host)
	if err != nil {
		return nil, err
	}
	return &oneInstance{documents: instance.NewDocuments(i), instance: i, pace: s.targets.Limit(i.Host())}, nil
}

func (s *sides) instance(host string) (*cozy.Instance, error) {
	host, err := s.hosts.Check(host)
	if err != nil {
		return nil, &transfer.Error{Side: transfer.SideTarget, Class: transfer.MigrationStops, Reason: transfer.ReasonInstanceGone, Err: err}
	}
	return s.stack.Instance(host), nil
}

// Source implements worker.Sides.
func (s *sides) Source(ctx context.Context, m transfer.Migration) (transfer.Source, string, error) {
	i, err := s.instance(m.Instance)
	if err != nil {
		return nil, "", err
	}
	account, err := instance.NewDocuments(i).Account(ctx, m.AccountID)
	if s.mode == modeStack {
		remote := instance.NewRemote(i, m.AccountID, m.SourcePath, s.requests)
		if err != nil {
			return remote, "", nil // the stack has to get along with the account, a rerun without the key
		}
		return remote, sourceKey(account), nil
	}
	if err != nil {
		return nil, "", err
	}
	source, err := s.open(m, account)
	return source, sourceKey(account), err
}

// ReturnPassword implements worker.Issuer. Where the account or the password is gone,
// or is not ours to give back, there is nothing to do. So it is where the stack copies:
// our tokens open no account there, and only the stack may reach the Nextcloud.
func (s *sides) ReturnPassword(ctx context.Context, m transfer.Migration) error {
	if s.mode == modeStack {
		return nil
	}
	i, err := s.instance(m.Instance)
	if err != nil {
		return nil //nolint:nilerr // no longer an instance of ours
	}
	account, err := instance.NewDocuments(i).Account(ctx, m.AccountID)
	if err == nil && account.IssuedFor() == m.ID && s.checkURL(account.Auth.URL) == nil {
		err = nextcloud.GiveBack(ctx, s.config(m, account))
		s.logger.InfoContext(ctx, "app password given back", "migration", m.ID, "error", err)
	}
	if transfer.AsError(err).Class != transfer.Again {
		return nil
	}
	return err
}

// sourceKey tells accounts apart without telling which they are: whoever reads
// the ledger learns no login.
func sourceKey(account contract.Account) string {
	user := cmp.Or(account.WebDAVUserID, account.Auth.Login)
	sum := sha256.Sum256([]byte(strings.TrimRight(account.Auth.URL, "/") + "\n" + user))
	return hex.EncodeToString(sum[:])
}

// open opens the source that an account leads to.
func (s *sides) open(m transfer.Migration, account contract.Account) (transfer.Source, error) {
	refused := func(err error) error {
		return &transfer.Error{Side: transfer.SideSource, Class: transfer.MigrationStops, Reason: transfer.ReasonLoginRefused, Err: err}
	}
	if err := s.checkURL(account.Auth.URL); err != nil {
		return nil, refused(err)
	}
	source, err := nextcloud.New(s.config(m, account))
	if err != nil {
		return nil, refused(err)
	}
	return source, nil
}

func (s *sides) config(m transfer.Migration, account contract.Account) nextcloud.Config {
	return nextcloud.Config{
		HTTP:        s.source,
		BaseURL:     account.Auth.URL,
		Login:       account.Auth.Login,
		Password:    account.Auth.Password,
		UserID:      account.WebDAVUserID,
		Root:        m.SourcePath,
		NoFavorites: !s.kinds.Favorites,
		NoTags:      !s.kinds.Tags,
		Mounts:      s.kinds.mounts(),
		Unanswered:  s.requests,
		Pace:        s.sources.Limit(hostOf(account.Auth.URL)),
		Logger:      s.logger.With("migration", m.ID),
	}
}

// hostOf names a Nextcloud by its address, of which the rest is its path.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	return strings.ToLower(u.Host)
}

// oneInstance is worker.Instance over the adapter.
type oneInstance struct {
	documents *instance.Documents
	instance  *cozy.Instance
	pace      transfer.Pace
}

func (o *oneInstance) Tracking(ctx context.Context, id string) (contract.Tracking, error) {
	doc, _, err := o.documents.Tracking(ctx, id)
	return doc, missing(err)
}

func (o *oneInstance) WriteTracking(ctx context.Context, id string, update func(context.Context, *contract.Tracking) error) error {
	var refused error
	_, err := o.documents.WriteTracking(ctx, id,
		func() error { return ctx.Err() },
		func(doc *contract.Tracking) bool {
			refused = update(ctx, doc)
			return refused == nil
		})
	if refused != nil {
		return refused
	}
	return missing(err)
}

func (o *oneInstance) Deleting(ctx context.Context) (bool, error) {
	deleting, _, err := o.documents.Deletion(ctx, "")
	return deleting, err
}

// Deletion implements operate.Documents.
func (s *sides) Deletion(ctx context.Context, host, id string) (deleting, deleted bool, err error) {
	i, err := s.instance(host)
	if err != nil {
		return false, false, err
	}
	return instance.NewDocuments(i).Deletion(ctx, id)
}

// missing says in the worker's words that a document does not exist.
func missing(err error) error {
	if errors.Is(err, transfer.ErrNotFound) {
		return errors.Join(worker.ErrNoDocument, err)
	}
	return err
}

func (o *oneInstance) Room(ctx context.Context) (int64, bool, error) {
	return instance.NewTarget(o.instance, o.pace).Room(ctx)
}

func (o *oneInstance) Target(ctx context.Context, targetDir string) (transfer.Target, string, error) {
	target := instance.NewTarget(o.instance, o.pace)
	id, err := target.TargetRoot(ctx, targetDir)
	if err != nil {
		return nil, "", err
	}
	return target, id, nil
}
