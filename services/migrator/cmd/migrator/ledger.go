package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"example.org/ncm/pkg/config"
	"example.org/ncm/services/migrator/internal/operate"
	"example.org/ncm/services/migrator/internal/postgres"
)

// onLedger is what all commands have in common that need the ledger alone.
type onLedger struct{}

func (onLedger) settings() any { return new(LedgerConfig) }

// operate opens the ledger for an operator.
func (l onLedger) operate(ctx context.Context, do func(operate.Operator) error) error {
	return l.open(ctx, func(ledger *postgres.Ledger) error { return do(operate.Operator{Ledger: ledger}) })
}

// open opens the ledger. Errors of the database come back as what can be done about
// them.
func (onLedger) open(ctx context.Context, do func(*postgres.Ledger) error) error {
	var cfg LedgerConfig
	if err := config.Load("", &cfg); err != nil {
		return err
	}
	ledger, err := postgres.Open(ctx, cfg.DatabaseURL.Reveal(), cfg.DatabaseConns)
	if err != nil {
		return err
	}
	defer ledger.Close()
	err = postgres.Explain(do(ledger))
	if errors.Is(err, operate.ErrUnknown) {
		err = fmt.Errorf("%w; migrator list prints those it has, migrator dead-letters list what never got there", err)
	}
	return err
}

type listCommand struct {
	onLedger

	State    []string `enum:"pending,running,completed,failed,canceled" help:"Only these: pending, running, completed, failed, canceled."`
	Active   bool     `help:"Only pending and running ones."`
	Instance string   `help:"Only those of this instance."`
	Most     atMost   `default:"100" help:"How many to print at most."`
	JSON     bool     `name:"json" help:"One JSON object a line instead of a table."`
}

// Run implements the command.
func (c *listCommand) Run(ctx context.Context, stdout io.Writer) error {
	if c.Active {
		c.State = append(c.State, "pending", "running")
	}
	return c.operate(ctx, func(o operate.Operator) error {
		found, err := o.List(ctx, operate.Filter{States: c.State, Instance: c.Instance, Limit: int(c.Most)})
		if err != nil {
			return err
		}
		if c.JSON {
			return encodeEach(stdout, found)
		}
		if len(found) == 0 {
			_, err := fmt.Fprintln(stdout, "the ledger has no such migration")
			return err
		}
		table := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "MIGRATION\tINSTANCE\tSTATUS\tDONE\tFILES\tBYTES\tLEFT\tREQUESTED\tLAST ERROR")
		for _, m := range found {
			fmt.Fprintf(table, "%s\t%s\t%s\t%.0f%%\t%s\t%s\t%s\t%s\t%s\n",
				printable(m.ID), printable(m.Instance), m.Status, 100*m.Progress, files(m),
				bytesOf(m), left(m.SecondsLeft), m.RequestedAt.UTC().Format(time.RFC3339), m.LastError)
		}
		return table.Flush()
	})
}

type showCommand struct {
	onLedger

	ID     string `arg:"" help:"The migration's id, which is the tracking document's."`
	Result string `enum:"failed,skipped,pending,done," default:"failed" help:"Which entries to print: failed, skipped, pending or done. They hold the user's file names."`
	Most   atMost `default:"20" help:"How many entries to print at most."`
	JSON   bool   `name:"json" help:"One JSON object instead of tables."`
}

// Run implements the command.
func (c *showCommand) Run(ctx context.Context, stdout io.Writer) error {
	return c.operate(ctx, func(o operate.Operator) error {
		d, err := o.Show(ctx, c.ID)
		if err != nil {
			return err
		}
		entries, err := o.Entries(ctx, c.ID, operate.EntryFilter{Result: c.Result, Limit: int(c.Most)})
		if err != nil {
			return err
		}
		if c.JSON {
			return json.NewEncoder(stdout).Encode(struct {
				operate.Details
				Entries []operate.Entry `json:"entries"`
			}{d, entries})
		}
		return printDetails(stdout, d, c.Result, entries)
	})
}

func printDetails(stdout io.Writer, d operate.Details, result string, entries []operate.Entry) error {
	table := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	for _, line := range [][2]string{
		{"Migration", d.ID},
		{"Instance", d.Instance},
		{"From", d.SourcePath},
		{"To", d.TargetDir},
		{"Status", d.Status},
		{"Last error", d.LastError},
		{"Done", fmt.Sprintf("%.1f%%, %s", 100*d.Progress, bytesOf(d.Migration)) + atSpeed(&d.Migration)},
		{"Files", fmt.Sprintf("%s, %d failed, %d skipped", files(d.Migration), d.FilesFailed, d.FilesSkipped)},
		{"Folders", fmt.Sprintf("%d of %d listed, %d failed, %d skipped", d.FoldersListed, d.FoldersTotal, d.FoldersFailed, d.FoldersSkipped)},
		{"Worker", d.Owner},
		{"At once", parallel(d.Parallel)},
		{"Leases", strconv.FormatInt(d.Attempts, 10)},
		{"Next try", nextTry(&d.Migration)},
		{"Document", documentAge(d.Migration)},
	} {
		if line[1] != "" {
			fmt.Fprintf(table, "%s\t%s\n", line[0], printable(line[1]))
		}
	}
	fmt.Fprintln(table, "\nTimeline\t")
	for _, e := range d.Events {
		fmt.Fprintf(table, "%s\t%s\t%s\n", moment(&e.At), e.Words, printable(e.Worker))
	}
	for i, r := range d.Reasons {
		if i == 0 {
			fmt.Fprintln(table, "\nNot copied\t")
		}
		fmt.Fprintf(table, "%d\t%s\t%s\n", r.Count, r.Result, printable(r.Words))
	}
	for i, e := range entries {
		if i == 0 {
			fmt.Fprintf(table, "\n%s%s entries, the first %d\t\n", strings.ToUpper(result[:1]), result[1:], len(entries))
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", moment(e.At), size(float64(e.Size)), printable("/"+e.Path))
	}
	return table.Flush()
}

// atSpeed is how fast a migration is, while a worker holds it.
func atSpeed(m *operate.Migration) string {
	if m.Owner == "" {
		return ""
	}
	return fmt.Sprintf(" at %s/s, %s left", size(m.BytesPerSecond), left(m.SecondsLeft))
}

func nextTry(m *operate.Migration) string {
	if m.FinishedAt != nil || m.Owner != "" {
		return ""
	}
	return moment(&m.DueAt)
}

func documentAge(m operate.Migration) string {
	switch {
	case m.MirroredAt == nil:
		return "not written yet"
	case m.Behind:
		return "behind, last written " + moment(m.MirroredAt)
	default:
		return "up to date"
	}
}

type retryCommand struct {
	onLedger

	ID     string `arg:"" help:"The migration's id."`
	Failed bool   `help:"Put the entries that failed back first, with all their attempts before them."`
	JSON   bool   `name:"json" help:"Print the migration as one JSON object."`
}

// Help says what the one line can't.
func (*retryCommand) Help() string {
	return "A migration that waits for its next try is due now. One that failed, or completed with failed entries, is opened again " +
		"under the same id: its tracking document goes back to running, and the one-per-instance rule holds. " +
		"A canceled migration never runs again, nor does one whose document was withdrawn or whose source is being deleted: " +
		"where the settings of the stack are there too, that is said at once, else its worker waits for the end."
}

// documents opens the instances where the settings are those of a worker.
func (*retryCommand) documents() (operate.Documents, error) {
	if os.Getenv("INSTANCE_SUFFIXES") == "" {
		return nil, nil
	}
	var cfg SidesConfig
	if err := config.Load("", &cfg); err != nil {
		return nil, err
	}
	return openSides(&cfg, unobserved, slog.New(slog.DiscardHandler))
}

// Run implements the command.
func (c *retryCommand) Run(ctx context.Context, stdout io.Writer) error {
	return c.operate(ctx, func(o operate.Operator) (err error) {
		if o.Documents, err = c.documents(); err != nil {
			return err
		}
		m, entries, err := o.Retry(ctx, c.ID, c.Failed)
		if err != nil {
			return err
		}
		return acted(stdout, c.JSON, m, fmt.Sprintf("is due now, with %s put back; %s", operate.Count(entries, "entry", "entries"), m.Status))
	})
}

type cancelCommand struct {
	onLedger

	ID   string `arg:"" help:"The migration's id."`
	JSON bool   `name:"json" help:"Print the migration as one JSON object."`
}

// Run implements the command.
func (c *cancelCommand) Run(ctx context.Context, stdout io.Writer) error {
	return c.operate(ctx, func(o operate.Operator) error {
		m, err := o.Cancel(ctx, c.ID)
		if err != nil {
			return err
		}
		return acted(stdout, c.JSON, m, "is "+m.Status)
	})
}

func acted(stdout io.Writer, asJSON bool, m operate.Migration, what string) error {
	if asJSON {
		return json.NewEncoder(stdout).Encode(m)
	}
	_, err := fmt.Fprintf(stdout, "migration %s of %s %s\n", printable(m.ID), printable(m.Instance), what)
	return err
}

type purgeCommand struct {
	onLedger

	OlderThan age  `required:"" placeholder:"90d" help:"How long ago a migration has to have ended: 90d, 12h."`
	DryRun    bool `help:"Only say what would be removed."`
	JSON      bool `name:"json" help:"Print the result as one JSON object."`
}

// Help says what the one line can't.
func (*purgeCommand) Help() string {
	return "Only migrations are removed that are over, whose tracking document says so and whose app password is given back (RETURN_PASSWORD_AFTER). Rows go in transactions of 10,000; " +
		"a purge that was cut short is completed by the next. A purged migration can't be retried."
}

// Run implements the command.
func (c *purgeCommand) Run(ctx context.Context, stdout io.Writer) error {
	return c.operate(ctx, func(o operate.Operator) error {
		var p operate.Purged
		var err error
		verb := "removed"
		if c.DryRun {
			verb = "would remove"
			p.Migrations, p.Entries, err = o.Ledger.Expired(ctx, time.Duration(c.OlderThan))
		} else {
			p, err = o.Purge(ctx, time.Duration(c.OlderThan))
		}
		if err != nil {
			return err
		}
		if c.JSON {
			return json.NewEncoder(stdout).Encode(p)
		}
		_, err = fmt.Fprintf(stdout, "%s %s with %s, %s\n", verb, operate.Count(p.Migrations, "migration", "migrations"),
			operate.Count(p.Entries, "entry", "entries"), operate.Count(p.Cancellations, "stray cancellation", "stray cancellations"))
		return err
	})
}

// atMost is how many of something a command is about.
type atMost int

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *atMost) UnmarshalText(text []byte) error {
	n, err := strconv.ParseInt(string(text), 10, 32)
	if err != nil || n < 1 {
		return errors.New("not a number from 1 on")
	}
	*m = atMost(n)
	return nil
}

// age is a duration that may be given in days.
type age time.Duration

// UnmarshalText implements encoding.TextUnmarshaler.
func (a *age) UnmarshalText(text []byte) error {
	d, err := time.ParseDuration(string(text))
	if days, ok := strings.CutSuffix(string(text), "d"); ok {
		const day, most = 24 * time.Hour, int(math.MaxInt64 / (24 * time.Hour))
		var n int
		if n, err = strconv.Atoi(days); n > most { // it would come out as a short time, and remove nearly all
			err = strconv.ErrRange
		}
		d = time.Duration(n) * day
	}
	if err != nil || d <= 0 {
		return errors.New("not an age such as 90d or 12h")
	}
	*a = age(d)
	return nil
}

func encodeEach[T any](w io.Writer, all []T) error {
	encoder := json.NewEncoder(w)
	for _, v := range all {
		if err := encoder.Encode(v); err != nil {
			return err
		}
	}
	return nil
}
