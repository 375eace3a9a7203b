package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"example.org/ncm/pkg/config"
	"example.org/ncm/pkg/cozy"
	"example.org/ncm/pkg/queue"
	"example.org/ncm/services/migrator/internal/operate"
	"example.org/ncm/services/migrator/internal/postgres"
)

// doctorConfig holds the settings of `migrator doctor`: those of the worker that
// is to be checked, and one more.
type doctorConfig struct {
	RunConfig

	ManagementURL string `envconfig:"RABBITMQ_MANAGEMENT_URL" desc:"management API of the broker, http://host:15672/, asked with the user of RABBITMQ_URL; without it doctor can't see bindings"`
}

// Validate reports what no single field can know.
func (c *doctorConfig) Validate() error {
	faults := []error{c.RunConfig.Validate()}
	if u, err := url.Parse(c.ManagementURL); c.ManagementURL != "" && (err != nil || u.Host == "" || u.User != nil) {
		faults = append(faults, errors.New("RABBITMQ_MANAGEMENT_URL: not a URL such as http://host:15672/, without a user"))
	}
	return errors.Join(faults...)
}

// doctorCommand checks the dependencies of a worker with its own settings.
type doctorCommand struct {
	Instance string `help:"Check the rights of the tokens for this instance; default: that of the newest migration."`
	JSON     bool   `name:"json" help:"One JSON object a line instead of a table."`
}

func (*doctorCommand) settings() any { return new(doctorConfig) }

// Help says what the one line can't.
func (*doctorCommand) Help() string {
	return "Run it where a migrator runs, with its settings: in its pod, say. It only reads. The exit status is 1 when something is wrong; " +
		"warnings leave it 0."
}

// errUnhealthy: the findings said what is wrong.
var errUnhealthy = errors.New("something is wrong, see above")

// Run implements the command.
func (c *doctorCommand) Run(ctx context.Context, stdout io.Writer) error {
	healthy, err := operate.Examine(ctx, c.checks(time.Now), func(f operate.Finding) error { return c.print(stdout, f) })
	if err == nil && !healthy {
		err = errUnhealthy
	}
	return err
}

func (c *doctorCommand) print(stdout io.Writer, f operate.Finding) error {
	if c.JSON {
		return json.NewEncoder(stdout).Encode(f)
	}
	_, err := fmt.Fprintf(stdout, "%-8s %-12s %s\n", strings.ToUpper(string(f.Verdict)), f.Check, printable(f.Detail))
	if err == nil && f.Advice != "" {
		_, err = fmt.Fprintf(stdout, "%21s → %s\n", "", f.Advice)
	}
	return err
}

// patient is one worker's settings under examination.
type patient struct {
	cfg      doctorConfig
	instance string
	now      func() time.Time

	health postgres.Health
}

// checks are in the order in which a worker needs things. now is this machine's
// clock.
func (c *doctorCommand) checks(now func() time.Time) []operate.Check {
	p := &patient{instance: c.Instance, now: now}
	return []operate.Check{
		{Name: "settings", Run: p.settings},
		{Name: "postgres", Needs: "settings", Run: p.postgres},
		{Name: "schema", Needs: "postgres", Run: p.schema},
		{Name: "rights", Needs: "schema", Run: p.rights},
		{Name: "clock", Needs: "rights", Run: p.clock},
		{Name: "work", Needs: "rights", Run: p.work},
		{Name: "mirror", Needs: "rights", Run: p.mirror},
		{Name: "rabbitmq", Needs: "settings", Run: p.rabbitmq},
		{Name: "bindings", Needs: "rabbitmq", Run: p.bindings},
		{Name: "token", Needs: "settings", Run: p.token},
	}
}

func wrong(detail, advice string) operate.Finding {
	return operate.Finding{Verdict: operate.Wrong, Detail: detail, Advice: advice}
}

func warning(detail, advice string) operate.Finding {
	return operate.Finding{Verdict: operate.Warning, Detail: detail, Advice: advice}
}

func ok(detail string) operate.Finding {
	return operate.Finding{Verdict: operate.OK, Detail: detail}
}

func (p *patient) settings(context.Context) operate.Finding {
	if err := config.Load("", &p.cfg); err != nil {
		return wrong(strings.Replace(strings.ReplaceAll(err.Error(), "\n  ", "; "), ":; ", ": ", 1), "correct them; migrator run --help describes each")
	}
	return ok("complete")
}

// aboutLedger is a finding from an error of the database.
func aboutLedger(err error) operate.Finding {
	if explained := postgres.Explain(err); errors.Is(explained, postgres.ErrAdvice) {
		return wrong("the ledger can't be used", strings.TrimPrefix(explained.Error(), postgres.ErrAdvice.Error()+": "))
	}
	return wrong("the ledger can't be used", "see the database's log")
}

func (p *patient) postgres(ctx context.Context) operate.Finding {
	ledger, err := postgres.Open(ctx, p.cfg.DatabaseURL.Reveal(), 1)
	if err != nil {
		return wrong(err.Error(), "correct DATABASE_URL: postgres://user:password@host:port/database")
	}
	err = ledger.Ping(ctx)
	ledger.Close()
	if err != nil {
		return aboutLedger(err)
	}
	return ok("answers")
}

func (p *patient) schema(ctx context.Context) operate.Finding {
	files, newest, err := postgres.Schema(ctx, p.cfg.DatabaseURL.Reveal())
	if err != nil {
		return aboutLedger(err)
	}
	known := files[len(files)-1].Version
	switch {
	case newest < known:
		return wrong(fmt.Sprintf("the ledger is at version %d, this program needs %d", newest, known), "run: migrator schema")
	case newest > known:
		return warning(fmt.Sprintf("the ledger is at version %d, this program knows %d", newest, known), "this program is older than the schema, which works; upgrade it when the rollout is done")
	}
	return ok(fmt.Sprintf("version %d, up to date", newest))
}

// withLedger opens the ledger for one question.
func (p *patient) withLedger(ctx context.Context, do func(*postgres.Ledger) error) error {
	ledger, err := postgres.Open(ctx, p.cfg.DatabaseURL.Reveal(), 1)
	if err != nil {
		return err
	}
	defer ledger.Close()
	return do(ledger)
}

func (p *patient) rights(ctx context.Context) operate.Finding {
	err := p.withLedger(ctx, func(l *postgres.Ledger) (err error) {
		p.health, err = l.Health(ctx)
		return err
	})
	switch {
	case err != nil:
		return aboutLedger(err)
	case p.health.ReadOnly:
		return wrong("the database is read-only", "a standby, or a fail-over under way; point DATABASE_URL at the primary (target_session_attrs=read-write)")
	case !p.health.Writable:
		return wrong("the role may not write the ledger's tables", "make it their owner, as the role that runs migrator schema is")
	}
	return ok("PostgreSQL " + p.health.Version + ", the ledger's tables can be written")
}

func (p *patient) clock(ctx context.Context) operate.Finding {
	asked := p.now()
	err := p.withLedger(ctx, func(l *postgres.Ledger) (err error) {
		p.health, err = l.Health(ctx)
		return err
	})
	if err != nil {
		return aboutLedger(err)
	}
	return operate.JudgeClock(p.now(), p.health.Now, p.now().Sub(asked))
}

// longWait is when work that is due should have been taken: a lease, and a slice
// of each migration before it.
const longWait = 5 * time.Minute

func (p *patient) work(context.Context) operate.Finding {
	detail := fmt.Sprintf("%d migrations are worked on, %d wait", p.health.Held, p.health.Waiting)
	switch {
	case p.health.Waiting > 0 && p.health.Held == 0 && p.health.Longest > p.cfg.LeaseTTL:
		return wrong(detail+", the first for "+p.health.Longest.Round(time.Second).String(),
			"no worker takes them: is a migrator running, and does its /readyz say ok? Its log says \"no claim\" with the reason")
	case p.health.Longest > longWait:
		return warning(detail+", the first for "+p.health.Longest.Round(time.Second).String(), "start more migrators, or raise SLOTS")
	}
	return ok(detail)
}

func (p *patient) mirror(context.Context) operate.Finding {
	if p.health.Behind > 0 && p.health.BehindFor > longWait {
		return warning(fmt.Sprintf("%d tracking documents do not show their migration's end, the first for %s", p.health.Behind, p.health.BehindFor.Round(time.Second)),
			"the stack refuses or does not answer; migrators keep trying, their log says \"tracking document not written\" with the reason")
	}
	return ok("tracking documents show the ends of their migrations")
}

func (p *patient) inspect() (queue.InspectConfig, error) {
	authorities, err := p.cfg.TLS()
	return queue.InspectConfig{
		URL: p.cfg.RabbitMQURL.Reveal(), TLS: authorities,
		Topology:   queue.NewTopology(p.cfg.DeliveryLimit, p.cfg.PassiveTopology),
		Management: p.cfg.ManagementURL,
		HTTP:       &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
	}, err
}

func (p *patient) rabbitmq(ctx context.Context) operate.Finding {
	cfg, err := p.inspect()
	if err != nil {
		return wrong(err.Error(), "correct RABBITMQ_CA_FILE")
	}
	queues, err := queue.Inspect(ctx, cfg)
	switch advice := queue.Advice(err); {
	case errors.Is(err, queue.ErrMissing):
		return wrong(err.Error(), advice)
	case err != nil && advice != "":
		return wrong("the broker can't be used", advice)
	case err != nil:
		return wrong("the broker can't be used", "see the broker's log")
	}
	var details, idle []string
	dead := queues[len(queues)-1]
	for _, q := range queues[:len(queues)-1] {
		details = append(details, fmt.Sprintf("%s: %d messages, %d consumers", q.Queue, q.Messages, q.Consumers))
		if q.Consumers == 0 {
			idle = append(idle, q.Queue)
		}
	}
	detail := strings.Join(append(details, fmt.Sprintf("%d dead letters", dead.Messages)), "; ")
	switch {
	case len(idle) > 0:
		return warning(detail, "nobody consumes "+strings.Join(idle, " and ")+": start a migrator, or look at its /readyz")
	case dead.Messages > 0:
		return warning(detail, "look at them: migrator dead-letters list")
	}
	return ok(detail)
}

func (p *patient) bindings(ctx context.Context) operate.Finding {
	cfg, err := p.inspect()
	if err != nil || cfg.Management == "" {
		return operate.Finding{
			Verdict: operate.Skipped, Detail: "AMQP has no question for bindings",
			Advice: "set RABBITMQ_MANAGEMENT_URL, or look at: rabbitmqctl list_bindings",
		}
	}
	missing, err := queue.Unbound(ctx, cfg)
	if err != nil {
		return warning("the management API can't be asked", "check RABBITMQ_MANAGEMENT_URL, and that the user has the tag monitoring or management")
	}
	if len(missing) > 0 {
		var names []string
		for _, b := range missing {
			names = append(names, b.Queue+" by "+b.Key)
		}
		return wrong("not bound to "+cfg.Topology.Exchange+": "+strings.Join(names, ", "),
			"triggers answer 503 for want of a receiver; restart a migrator, which binds its queues at connect, or bind them where PASSIVE_TOPOLOGY=true")
	}
	return ok("the queues get their messages from " + cfg.Topology.Exchange)
}

func (p *patient) token(ctx context.Context) operate.Finding {
	host, err := p.examined(ctx)
	if err != nil || host == "" {
		return operate.Finding{Verdict: operate.Skipped, Detail: "no instance is known yet", Advice: "name one: migrator doctor --instance HOST"}
	}
	stack, hosts, err := p.cfg.Settings.Open(p.cfg.Mode.scope(), 1, unobserved, slog.New(slog.DiscardHandler))
	if err != nil {
		return wrong(err.Error(), "correct the settings of the stack")
	}
	if host, err = hosts.Check(host); err != nil {
		return wrong("the instance is not one of INSTANCE_SUFFIXES", "add its suffix, in the triggers too, or check its name")
	}
	rules, err := stack.Instance(host).OwnPermissions(ctx)
	if err != nil {
		return aboutToken(host, err)
	}
	var missing []string
	for item := range strings.FieldsSeq(p.cfg.Mode.scope()) {
		doctype, verbs, _ := strings.Cut(item, ":")
		for verb := range strings.SplitSeq(verbs, ",") {
			if !cozy.AllowsType(rules, verb, doctype) {
				missing = append(missing, doctype+":"+verb)
			}
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return wrong("the token for "+host+" lacks "+strings.Join(missing, " "),
			"have the issuer grant the scope \""+p.cfg.Mode.scope()+"\" to the audience app, subject settings")
	}
	return ok("the token for " + host + " has all rights")
}

// examined is the instance whose token is looked at.
func (p *patient) examined(ctx context.Context) (string, error) {
	if p.instance != "" {
		return p.instance, nil
	}
	var newest []operate.Migration
	err := p.withLedger(ctx, func(l *postgres.Ledger) (err error) {
		newest, err = l.Migrations(ctx, operate.Filter{Limit: 1})
		return err
	})
	if err != nil || len(newest) == 0 {
		return "", err
	}
	return newest[0].Instance, nil
}

func aboutToken(host string, err error) operate.Finding {
	var answer *cozy.Error
	switch {
	case cozy.IsInstanceGone(err):
		return wrong("there is no instance "+host, "check its name; a migration of it fails with that reason")
	case errors.Is(err, cozy.ErrToken) && errors.As(err, &answer):
		return wrong(fmt.Sprintf("the issuer of tokens answers %d", answer.Status), "check CLOUDERY_TOKEN, or STACK_ADMIN_USER and STACK_ADMIN_PASSWORD")
	case errors.Is(err, cozy.ErrToken):
		return wrong("the issuer of tokens does not answer", "check CLOUDERY_URL or STACK_ADMIN_URL, and that the network lets this place reach it")
	case cozy.IsTokenRefused(err), cozy.IsForbidden(err):
		return wrong("the stack refuses the token for "+host, "stack and issuer do not belong together, or the app settings is not installed there")
	case cozy.IsBlocked(err):
		return warning("the instance "+host+" is blocked", "try another: --instance HOST")
	}
	return wrong("the instance "+host+" does not answer", "check STACK_ADDRESS and INSTANCE_SCHEME, and that the network lets this place reach the stack")
}

// unobserved leaves a transport as it is.
func unobserved(_ string, next http.RoundTripper) http.RoundTripper { return next }
