package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/term"

	"example.org/ncm/pkg/config"
	"example.org/ncm/pkg/contract"
	"example.org/ncm/pkg/egress"
	"example.org/ncm/pkg/failpoint"
	"example.org/ncm/services/migrator/internal/instance"
	"example.org/ncm/services/migrator/internal/nextcloud"
	"example.org/ncm/services/migrator/internal/operate"
	"example.org/ncm/services/migrator/internal/postgres"
	"example.org/ncm/services/migrator/internal/transfer"
	"example.org/ncm/services/migrator/internal/worker"
)

// OnceConfig holds the settings of `migrator migrate-once`.
type OnceConfig struct {
	SidesConfig
	LedgerConfig

	Password config.Secret `envconfig:"NEXTCLOUD_APP_PASSWORD" desc:"app password of the Nextcloud account; asked for on a terminal when it is not set"`
}

// Validate reports what no single field can know.
func (c *OnceConfig) Validate() error {
	if c.Mode == modeStack {
		return errors.Join(c.validate(), errors.New("TRANSFER_MODE: the stack reads an account document, which migrate-once does not make; use files"))
	}
	return c.validate()
}

// onceCommand moves one account without a broker and without a trigger.
type onceCommand struct {
	Nextcloud  string `required:"" placeholder:"URL" help:"Address of the Nextcloud, with its sub-path."`
	Login      string `required:"" help:"Login name at the Nextcloud. Its app password is never an argument: NEXTCLOUD_APP_PASSWORD, NEXTCLOUD_APP_PASSWORD_FILE, or a prompt."`
	Instance   string `required:"" placeholder:"HOST" help:"The Cozy that the files go into."`
	Source     string `default:"/" help:"Folder or file on the Nextcloud."`
	Target     string `default:"/Nextcloud" help:"Folder in the Cozy, made where it is missing."`
	NoDocument bool   `help:"Make no tracking document: the Settings page of the Cozy shows nothing."`
	Verbose    bool   `help:"Print the log to standard error."`
}

func (*onceCommand) settings() any { return new(OnceConfig) }

// Help says what the one line can't.
func (*onceCommand) Help() string {
	return "The same engine, ledger and checks as of the service, for support and for a first try; it needs no RabbitMQ, and a PostgreSQL with the schema " +
		"(migrator schema). The login stays in this process: no account document is made. Ctrl-C stops within seconds, and the same command goes on " +
		"where it stopped; what failed is tried again. No worker of the service touches its migrations, and one instance has one migration at a time."
}

// Run implements the command.
func (c *onceCommand) Run(ctx context.Context, stdout io.Writer) error {
	var cfg OnceConfig
	if err := config.Load("", &cfg); err != nil {
		return err
	}
	if path.Clean("/"+c.Target) != c.Target && c.Target != "/" {
		return errors.New("--target is not an absolute path without dots and double slashes")
	}
	password, err := c.password(&cfg, stdout)
	if err != nil {
		return err
	}
	logger := slog.New(slog.DiscardHandler)
	if c.Verbose {
		logger = slog.New(slog.NewJSONHandler(os.Stderr, nil))
	}
	ends, err := openSides(&cfg.SidesConfig, unobserved, logger)
	if err != nil {
		return err
	}
	ledger, err := postgres.Open(ctx, cfg.DatabaseURL.Reveal(), cfg.DatabaseConns)
	if err != nil {
		return err
	}
	defer ledger.Close()
	o := &once{command: c, cfg: &cfg, ledger: ledger, operator: operate.Operator{Ledger: ledger, Documents: ends}, ends: &onceSides{sides: ends}, logger: logger, out: stdout}
	o.ends.account = contract.Account{Auth: contract.AccountAuth{URL: c.Nextcloud, Login: c.Login, Password: password}}
	return postgres.Explain(o.run(ctx))
}

func (c *onceCommand) password(cfg *OnceConfig, stdout io.Writer) (string, error) {
	if cfg.Password != "" {
		return cfg.Password.Reveal(), nil
	}
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		return "", errors.New("NEXTCLOUD_APP_PASSWORD: set it, or NEXTCLOUD_APP_PASSWORD_FILE, or run on a terminal to be asked")
	}
	fmt.Fprintf(stdout, "App password of %s at %s: ", printable(c.Login), printable(c.Nextcloud))
	password, err := term.ReadPassword(int(os.Stdin.Fd()))
	fmt.Fprintln(stdout)
	if err != nil {
		return "", fmt.Errorf("read the app password: %w", err)
	}
	return string(password), nil
}

// once is one run of the command.
type once struct {
	command  *onceCommand
	cfg      *OnceConfig
	ledger   *postgres.Ledger
	operator operate.Operator
	ends     *onceSides
	logger   *slog.Logger
	out      io.Writer
}

// run is the whole of it. The login is checked first: a wrong one leaves nothing.
func (o *once) run(ctx context.Context) error {
	host, err := o.ends.hosts.Check(o.command.Instance)
	if err != nil {
		return errors.New("--instance is not one of INSTANCE_SUFFIXES")
	}
	if err := o.ledger.CheckSchema(ctx); err != nil {
		return err
	}
	if err := o.ends.checkURL(o.command.Nextcloud); err != nil {
		return errors.New("--nextcloud is not an https:// URL without a user (http:// needs ALLOW_HTTP_NEXTCLOUD)")
	}
	m := transfer.Migration{Instance: host, SourcePath: path.Clean("/" + o.command.Source)}
	if o.ends.account.WebDAVUserID, err = nextcloud.UserID(ctx, o.ends.config(m, o.ends.account)); err != nil {
		return inWords("the Nextcloud", err)
	}
	if err := o.alone(ctx, host); err != nil {
		return inWords("the Cozy", err)
	}
	if m.ID, err = o.find(ctx, m); err != nil {
		return err
	}
	if err := o.document(ctx, m); err != nil {
		return inWords("the Cozy", err)
	}
	if err := o.work(ctx, m.ID); err != nil {
		return err
	}
	return o.report(ctx, m.ID)
}

// inWords says what a classified error means; its own text is for logs.
func inWords(side string, err error) error {
	var e *transfer.Error
	switch {
	case errors.Is(err, egress.ErrForbiddenAddress):
		return fmt.Errorf("%s: %w", side, egress.ErrForbiddenAddress) // a setting of who reads this
	case errors.As(err, &e):
		return fmt.Errorf("%s: %s", side, e.Reason.Message())
	}
	return err
}

// alone refuses an instance in which a migration is active that this ledger may
// not know of.
func (o *once) alone(ctx context.Context, host string) error {
	i, err := o.ends.instance(host)
	if err != nil {
		return err
	}
	active, err := instance.NewDocuments(i).ActiveTracking(ctx)
	if err != nil {
		return err
	}
	for _, id := range active {
		m, ok, err := o.ledger.Migration(ctx, id)
		if err != nil {
			return err
		}
		if !ok || !m.Once {
			return fmt.Errorf("migration %s of this instance is active; wait for its end, or cancel it", id)
		}
	}
	return nil
}

// find gives the migration to go on with, or a new one.
func (o *once) find(ctx context.Context, m transfer.Migration) (string, error) {
	before, err := o.operator.List(ctx, operate.Filter{Instance: m.Instance, Limit: 100})
	if err != nil {
		return "", err
	}
	for _, b := range before {
		if b.Once && b.FinishedAt != nil && b.Behind {
			// It stopped between its end and its document, which no worker writes.
			fmt.Fprintf(o.out, "Telling the end of migration %s\n", b.ID)
			if err := o.work(ctx, b.ID); err != nil {
				return "", err
			}
		}
		ours := b.Once && b.SourcePath == m.SourcePath && (b.TargetDir == "" || b.TargetDir == o.command.Target)
		switch {
		case ours && (b.State == transfer.StatePending || b.State == transfer.StateRunning):
			fmt.Fprintf(o.out, "Going on with migration %s, %.0f%% done\n", b.ID, 100*b.Progress)
			_, _, err := o.operator.Retry(ctx, b.ID, b.FilesFailed+b.FoldersFailed > 0)
			return b.ID, err
		case ours && b.State == transfer.StateFailed && b.Reason != string(transfer.ReasonWithdrawn):
			fmt.Fprintf(o.out, "Trying migration %s again, which failed: %s\n", b.ID, b.LastError)
			_, _, err := o.operator.Retry(ctx, b.ID, b.FilesFailed+b.FoldersFailed > 0)
			return b.ID, err
		case ours:
			// It is over: a new one copies what is missing.
		case b.FinishedAt == nil:
			return "", fmt.Errorf("migration %s of this instance is active; wait for its end, or: migrator cancel %s", b.ID, b.ID)
		}
		if ours {
			break
		}
	}
	m.ID = strings.ReplaceAll(uuid.NewString(), "-", "")
	admission, err := o.ledger.AdmitOnce(ctx, m)
	if err == nil && admission != transfer.Admitted {
		err = operate.ErrActive
	}
	return m.ID, err
}

// document makes sure of the tracking document.
func (o *once) document(ctx context.Context, m transfer.Migration) error {
	fresh := contract.NewTracking(m.SourcePath, o.command.Target)
	if o.command.NoDocument {
		o.ends.memory = &memoryDocument{doc: fresh}
		return nil
	}
	i, err := o.ends.instance(m.Instance)
	if err != nil {
		return err
	}
	// If we stop here, the ledger has a migration without a document, and the next run
	// makes it. Once it has started, a document that is missing was removed by the user.
	failpoint.Here(failpoint.Once)
	s, _, err := o.ledger.Snapshot(ctx, m.ID)
	if err != nil || s.Started {
		return err
	}
	if err := instance.NewDocuments(i).CreateTracking(ctx, m.ID, fresh); err != nil {
		return err
	}
	// If we stop here, the document says that a migration waits, and no worker touches
	// it: the next run goes on with it, or it is canceled.
	failpoint.Here(failpoint.OnceDocument)
	return nil
}

// lastWrite is how long the command waits for the tracking document to tell the
// end.
const lastWrite = 30 * time.Second

// work runs a worker for this migration alone until it is over, or ctx ends.
func (o *once) work(ctx context.Context, id string) error {
	only := o.ledger.Only(id)
	w := worker.New(worker.Config{
		Owner: owner(), Ledger: only, Sides: o.ends, Logger: o.logger, Slots: 1,
		Slice:     func(l transfer.Lease) transfer.Ledger { return only.Slice(l) },
		Metrics:   worker.NewMetrics(prometheus.NewRegistry()),
		Transfers: o.cfg.Transfers, Listers: o.cfg.Listers, Attempts: o.cfg.Attempts, Archives: o.cfg.Archives, Trees: o.cfg.Trees,
		OnChanged: transfer.OnChanged(o.cfg.OnChanged),
		Report:    worker.Report(o.cfg.Report), Remarks: o.cfg.remarks(),
	})
	working, stop := context.WithCancel(ctx)
	defer stop()
	var running sync.WaitGroup
	running.Go(func() { _ = w.Run(working) }) // gives the lease back, whatever ends it
	err := o.watch(ctx, id)
	stop()
	running.Wait()
	if ctx.Err() != nil {
		fmt.Fprintln(o.out, "Stopped; the same command goes on from here.")
		return ctx.Err()
	}
	return err
}

// watch shows the progress until the migration is over and its document says so.
func (o *once) watch(ctx context.Context, id string) error {
	show := newDisplay(o.out)
	defer show.end()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	var meter operate.Meter
	var over time.Time
	for {
		m, err := o.operator.Find(ctx, id)
		if err == nil { // else the worker, too, waits for the ledger
			rows := []operate.Migration{m}
			meter.Measure(rows)
			show.show(rows[0])
			if m.FinishedAt != nil && over.IsZero() {
				over = time.Now()
			}
			if m.FinishedAt != nil && (!m.Behind || time.Since(over) > lastWrite) {
				return nil
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// report prints the results and gives an error unless all was copied.
func (o *once) report(ctx context.Context, id string) error {
	d, err := o.operator.Show(ctx, id)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(o.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "\tcopied\tfailed\tskipped\t")
	fmt.Fprintf(table, "files\t%d\t%d\t%d\t\n", d.FilesDone, d.FilesFailed, d.FilesSkipped)
	fmt.Fprintf(table, "folders\t%d\t%d\t%d\t\n", d.FoldersListed, d.FoldersFailed, d.FoldersSkipped)
	fmt.Fprintf(table, "bytes\t%s\t\t\t\n", size(float64(d.BytesDone)))
	if err := table.Flush(); err != nil {
		return err
	}
	for _, r := range d.Reasons {
		fmt.Fprintf(o.out, "%d %s: %s\n", r.Count, r.Result, printable(r.Words))
	}
	switch {
	case d.State != transfer.StateCompleted:
		return fmt.Errorf("migration %s %s. %s", id, d.State, d.LastError)
	case d.FilesFailed+d.FoldersFailed > 0:
		return fmt.Errorf("some entries were not copied: migrator show %s names them; the same command tries again", id)
	}
	return nil
}

// onceSides are the two ends with the login from the command line.
type onceSides struct {
	*sides

	account contract.Account
	memory  *memoryDocument // nil: the document is in the instance
}

var _ worker.Sides = (*onceSides)(nil)

// Source implements worker.Sides.
func (s *onceSides) Source(_ context.Context, m transfer.Migration) (transfer.Source, string, error) {
	source, err := s.open(m, s.account)
	return source, sourceKey(s.account), err
}

// Instance implements worker.Sides.
func (s *onceSides) Instance(host string) (worker.Instance, error) {
	i, err := s.sides.Instance(host)
	if err != nil || s.memory == nil {
		return i, err
	}
	return &undocumented{i, s.memory}, nil
}

// undocumented is an instance whose tracking document is nowhere but here.
type undocumented struct {
	worker.Instance

	memory *memoryDocument
}

type memoryDocument struct {
	mu  sync.Mutex
	doc contract.Tracking
}

// Tracking implements worker.Instance.
func (u *undocumented) Tracking(context.Context, string) (contract.Tracking, error) {
	u.memory.mu.Lock()
	defer u.memory.mu.Unlock()
	return u.memory.doc, nil
}

// WriteTracking implements worker.Instance.
func (u *undocumented) WriteTracking(ctx context.Context, _ string, update func(context.Context, *contract.Tracking) error) error {
	u.memory.mu.Lock()
	defer u.memory.mu.Unlock()
	doc := u.memory.doc
	if err := update(ctx, &doc); err != nil {
		return err
	}
	u.memory.doc = doc
	return nil
}
