package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/pkg/cozy"
	"example.org/ncm/pkg/egress"
)

const (
	instanceSuffix = ".bench.test"
	targetDir      = "/Nextcloud"

	lapLimit   = 30 * time.Minute
	readyLimit = time.Minute
	// lookEvery is how often the tracking document is read for its end, and poll does so
	// less often later: the time of a lap is too long by half of it, or by 0.25 %.
	lookEvery = 10 * time.Millisecond
)

// lap is one measurement.
type lap struct {
	Rate    float64 `json:"rate"`    // units a second, everything included
	Seconds float64 `json:"seconds"` // from the message to the final document; of the pipe, from start to end
	CPU     float64 `json:"cpu"`     // µs a unit, of the process that moves them
	PeakRSS int64   `json:"peak_rss"`

	// What the same units cost others on this machine, in µs each: the simulated
	// servers together, and the database where the bench has started it.
	ServersCPU  float64 `json:"servers_cpu"`
	DatabaseCPU float64 `json:"database_cpu"`

	// Of a migration, in seconds: until started_at of the tracking document, from
	// there to its finished_at, and from there until the document says so.
	Before    float64 `json:"before,omitempty"`
	Slice     float64 `json:"slice,omitempty"`
	After     float64 `json:"after,omitempty"`
	SliceRate float64 `json:"slice_rate,omitempty"`
}

func newLap(l load, took time.Duration, before, after usage) lap {
	return lap{
		Rate:    l.units() / took.Seconds(),
		Seconds: took.Seconds(),
		CPU:     l.each(after.cpu - before.cpu),
		PeakRSS: after.peakRSS,
	}
}

// each is what one unit cost, in µs.
func (l load) each(cpu time.Duration) float64 { return float64(cpu.Microseconds()) / l.units() }

// phases adds what the tracking document says about a migration.
func (x *lap) phases(l load, sent, started, finished time.Time) {
	x.Before = started.Sub(sent).Seconds()
	x.Slice = finished.Sub(started).Seconds()
	x.After = x.Seconds - x.Before - x.Slice
	x.SliceRate = l.units() / x.Slice
}

// pipe moves a load by the floor.
func (b *bench) pipe(ctx context.Context, l load, host, token string) (_ lap, err error) {
	order, err := json.Marshal(pipeOrder{
		Source: "http://" + b.simulators.nextcloud + "/remote.php/dav/files/" + sourceUser,
		Login:  sourceUser, Password: sourcePassword,
		Target: host, Address: b.simulators.cozy, Token: token,
		Parallel: l.parallel, Files: b.sources[l.folder].files,
	})
	if err != nil {
		return lap{}, err
	}
	p, err := startTalking(ctx, b.log, b.self, pipeCommand)
	if err != nil {
		return lap{}, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	if err := errors.Join(p.say(order), p.expect(lineReady)); err != nil {
		return lap{}, err
	}
	return b.timed(p, l, func() error {
		return errors.Join(p.say([]byte("go")), p.expect(lineDone))
	})
}

// timed measures what a process does for a load.
func (b *bench) timed(p *process, l load, do func() error) (lap, error) {
	before, err := p.usage()
	if err != nil {
		return lap{}, err
	}
	servers, database, err := b.othersCPU()
	if err != nil {
		return lap{}, err
	}
	start := time.Now()
	if err := do(); err != nil {
		return lap{}, err
	}
	took := time.Since(start)
	after, err := p.usage()
	if err != nil {
		return lap{}, err
	}
	x := newLap(l, took, before, after)
	serversNow, databaseNow, err := b.othersCPU()
	x.ServersCPU, x.DatabaseCPU = l.each(serversNow-servers), l.each(databaseNow-database)
	return x, err
}

// othersCPU is what the simulators and the database have cost so far.
func (b *bench) othersCPU() (servers, database time.Duration, err error) {
	u, err := b.simulators.process.usage()
	if err == nil && b.backends.databasePID != 0 {
		database, err = familyCPU(b.backends.databasePID)
	}
	return u.cpu, database, err
}

// migrate moves a load by a migrator of its own, which a message sets going.
func (b *bench) migrate(ctx context.Context, l load, host, token string) (_ lap, err error) {
	instance := b.instance(host, token)
	message, err := b.ask(ctx, instance, l, host)
	if err != nil {
		return lap{}, err
	}
	p, err := b.startMigrator(ctx, l)
	if err != nil {
		return lap{}, fmt.Errorf("start the migrator: %w", err)
	}
	defer func() { err = errors.Join(err, p.stop()) }()

	var doc contract.Tracking
	var sent time.Time
	measured, err := b.timed(p, l, func() error {
		sent = time.Now()
		if err := b.publish(ctx, message); err != nil {
			return err
		}
		doc, err = awaitFinal(ctx, instance, message.MigrationID)
		return err
	})
	if err == nil {
		err = checkTracking(doc, l)
	}
	if err != nil {
		return lap{}, err
	}
	measured.phases(l, sent, *doc.StartedAt, *doc.FinishedAt)
	return measured, nil
}

func (b *bench) instance(host, token string) *cozy.Instance {
	transport := egress.NewTransport(egress.Options{
		AllowPrivate: true, Addresses: egress.AddressMap{host: b.simulators.cozy},
	})
	return cozy.New(cozy.Config{
		HTTP: &http.Client{Transport: transport}, Scheme: "http", Tokens: cozy.Static(token),
	}).Instance(host)
}

// ask writes the documents of a migration, as the trigger does, and gives the
// message about it.
func (b *bench) ask(ctx context.Context, instance *cozy.Instance, l load, host string) (contract.Requested, error) {
	account, err := instance.CreateDoc(ctx, contract.DoctypeAccounts, contract.Account{
		AccountType: contract.AccountTypeNextcloud, WebDAVUserID: sourceUser,
		Auth: contract.AccountAuth{URL: "http://" + b.simulators.nextcloud + "/", Login: sourceUser, Password: sourcePassword},
	})
	if err != nil {
		return contract.Requested{}, fmt.Errorf("write the account: %w", err)
	}
	tracking, err := instance.CreateDoc(ctx, contract.DoctypeMigrations, contract.NewTracking(l.folder, targetDir))
	if err != nil {
		return contract.Requested{}, fmt.Errorf("write the tracking document: %w", err)
	}
	return contract.Requested{
		MigrationID: tracking.ID, WorkplaceFQDN: host, AccountID: account.ID,
		SourcePath: l.folder, Timestamp: time.Now().Unix(),
	}, nil
}

func (b *bench) publish(ctx context.Context, message contract.Requested) error {
	body, err := json.Marshal(message)
	if err != nil {
		return err
	}
	return b.backends.publisher.Publish(ctx, contract.KeyRequested, message.MigrationID, body)
}

// startMigrator starts one and waits until it is ready for messages.
func (b *bench) startMigrator(ctx context.Context, l load) (*process, error) {
	ops, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	p, err := startService(ctx, b.log, b.settings(l, ops), b.migrator, "run")
	if err != nil {
		return nil, err
	}
	if err := awaitOK(ctx, "http://"+ops+"/readyz"); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	return p, nil
}

// awaitOK asks a service until it is ready.
func awaitOK(ctx context.Context, address string) error {
	return poll(ctx, readyLimit, lookEvery, func() error {
		return order(ctx, http.MethodGet, address, nil, nil)
	})
}

// settings are the migrator's environment: nothing but what its defaults can't know,
// and the parallelism.
func (b *bench) settings(l load, ops string) []string {
	settings := []string{
		"DATABASE_URL=" + b.backends.databaseURL,
		"RABBITMQ_URL=" + b.backends.amqpURL,
		"OPS_ADDR=" + ops,
		"TRANSFERS=" + fmt.Sprint(l.parallel),
		"ARCHIVES=" + fmt.Sprint(l.whole),
		"WHOLE_TREES=" + fmt.Sprint(l.whole),
		"INSTANCE_SUFFIXES=" + instanceSuffix,
		"INSTANCE_SCHEME=http",
		"STACK_ADDRESS=" + instanceSuffix + "=" + b.simulators.cozy,
		"STACK_ADMIN_URL=http://" + b.simulators.admin,
		"STACK_ADMIN_USER=" + adminUser,
		"STACK_ADMIN_PASSWORD=" + adminPassword,
		"ALLOW_HTTP_NEXTCLOUD=true",
		"ALLOWED_PRIVATE_RANGES=127.0.0.0/8",
	}
	if l.listed {
		settings = append(settings, "REPORT=never") // all that is skipped would be in it
	}
	if l.traced {
		settings = append(settings, b.collector.settings()...)
	}
	return settings
}

// freeAddress is one of the loopback that nobody listens on.
func freeAddress(ctx context.Context) (string, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

// awaitFinal reads a tracking document until it is final.
func awaitFinal(ctx context.Context, instance *cozy.Instance, id string) (contract.Tracking, error) {
	var doc contract.Tracking
	err := poll(ctx, lapLimit, lookEvery, func() error {
		doc = contract.Tracking{}
		if _, err := instance.GetDoc(ctx, contract.DoctypeMigrations, id, &doc); err != nil {
			return err
		}
		if !doc.Status.Final() {
			return fmt.Errorf("the migration is still %s", doc.Status)
		}
		return nil
	})
	return doc, err
}
