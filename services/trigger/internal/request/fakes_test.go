package request_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/services/trigger/internal/request"
)

const instance = "alice.cozy.example"

type permissionsFunc func(ctx context.Context, instance, token string) error

func (f permissionsFunc) May(ctx context.Context, instance, token string, _ request.Right) error {
	return f(ctx, instance, token)
}

type limitsFunc func(instance, url, login string) time.Duration

func (f limitsFunc) Take(instance, url, login string) time.Duration { return f(instance, url, login) }

type loginsFunc func(ctx context.Context, account contract.AccountAuth) (string, error)

func (f loginsFunc) Check(ctx context.Context, account contract.AccountAuth) (string, error) {
	return f(ctx, account)
}

// fakeAccounts answers by its functions.
type fakeAccounts struct {
	find  func() (string, error)
	login func() (contract.Account, error)
	save  func(account contract.Account) (string, error)
}

func (f *fakeAccounts) Find(context.Context, string) (string, error) { return f.find() }

func (f *fakeAccounts) Login(context.Context, string) (contract.Account, error) { return f.login() }

func (f *fakeAccounts) Save(_ context.Context, _ string, account contract.Account) (string, error) {
	return f.save(account)
}

// fakeQueue keeps what is published, unless a function refuses it.
type fakeQueue struct {
	ready   func() error
	publish func(message contract.Requested) error

	mu       sync.Mutex
	sent     []contract.Requested
	canceled []contract.Canceled
}

func (f *fakeQueue) Cancel(_ context.Context, message contract.Canceled) error {
	if err := f.publish(contract.Requested{}); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.canceled = append(f.canceled, message)
	return nil
}

func (f *fakeQueue) Ready() error { return f.ready() }

func (f *fakeQueue) Publish(ctx context.Context, message contract.Requested) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := f.publish(message); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sent = append(f.sent, message)
	return nil
}

// fakeDocuments behaves like the stack's database. The hooks run outside of its
// lock, before a call takes effect, and may fail it or use the documents.
type fakeDocuments struct {
	onActive func() error
	onCreate func() error
	onRead   func() error          // of a Change
	onWrite  func(id string) error // between reading and storing of a Change
	created  func(id string)       // after a creation

	mu   sync.Mutex
	docs map[string]request.Document
	name func() string // of the next document
}

func (f *fakeDocuments) Active(context.Context, string) ([]request.Document, error) {
	if err := f.onActive(); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var active []request.Document
	for _, d := range f.docs {
		if !d.Status.Final() || d.SourceDeletingAt != nil {
			active = append(active, d)
		}
	}
	return active, nil
}

func (f *fakeDocuments) List(context.Context, string) ([]request.Document, error) {
	if err := f.onActive(); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Collect(maps.Values(f.docs)), nil
}

func (f *fakeDocuments) Get(_ context.Context, _, id string) (request.Document, error) {
	if err := f.onRead(); err != nil {
		return request.Document{}, err
	}
	d, ok := f.get(id)
	if !ok {
		return request.Document{}, request.ErrNotFound
	}
	return d, nil
}

func (f *fakeDocuments) Create(ctx context.Context, _ string, d request.Document) (request.Document, error) {
	if err := errors.Join(f.onCreate(), ctx.Err()); err != nil {
		return request.Document{}, err
	}
	f.mu.Lock()
	d.ID, d.Rev = f.name(), "1"
	f.docs[d.ID] = d
	f.mu.Unlock()
	f.created(d.ID)
	return d, nil
}

func (f *fakeDocuments) Change(
	ctx context.Context, _, id string, change func(*request.Document) error,
) (request.Document, error) {
	for {
		if err := f.onRead(); err != nil {
			return request.Document{}, err
		}
		d, ok := f.get(id)
		if !ok {
			return request.Document{}, request.ErrNotFound
		}
		if err := change(&d); err != nil {
			return request.Document{}, err
		}
		if err := errors.Join(f.onWrite(id), ctx.Err()); err != nil {
			return request.Document{}, err
		}
		if stored, ok := f.put(d); ok {
			return stored, nil
		}
	}
}

func (f *fakeDocuments) get(id string) (request.Document, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	d, ok := f.docs[id]
	d.Errors = slices.Clone(d.Errors)
	return d, ok
}

func (f *fakeDocuments) put(d request.Document) (request.Document, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.docs[d.ID].Rev != d.Rev {
		return request.Document{}, false
	}
	rev, _ := strconv.Atoi(d.Rev)
	d.Rev = strconv.Itoa(rev + 1)
	f.docs[d.ID] = d
	return d, true
}

func (f *fakeDocuments) add(d request.Document) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if d.Rev == "" {
		d.Rev = "1"
	}
	f.docs[d.ID] = d
}

func (f *fakeDocuments) status(id string) contract.Status {
	d, _ := f.get(id)
	return d.Status
}

// world is a desk and all that it works with; everything succeeds until a test
// says otherwise.
type world struct {
	accounts *fakeAccounts
	docs     *fakeDocuments
	queue    *fakeQueue
	sources  *fakeSources
	targets  *fakeTargets
	limits   limitsFunc
	login    loginsFunc
	deps     request.Deps
	saved    []contract.Account
	log      *bytes.Buffer
	desk     *request.Desk
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{log: &bytes.Buffer{}}
	w.login = func(context.Context, contract.AccountAuth) (string, error) { return "joe_uid", nil }
	var mu sync.Mutex
	w.accounts = &fakeAccounts{
		find:  func() (string, error) { return "acc1", nil },
		login: func() (contract.Account, error) { return account(), nil },
		save: func(a contract.Account) (string, error) {
			mu.Lock()
			defer mu.Unlock()
			w.saved = append(w.saved, a)
			return "acc1", nil
		},
	}
	w.queue = &fakeQueue{
		ready:   func() error { return nil },
		publish: func(contract.Requested) error { return nil },
	}
	w.docs = &fakeDocuments{
		onActive: func() error { return nil },
		onCreate: func() error { return nil },
		onRead:   func() error { return nil },
		onWrite:  func(string) error { return nil },
		created:  func(string) {},
		docs:     map[string]request.Document{},
	}
	w.docs.name = func() string { return "doc" + strconv.Itoa(len(w.docs.docs)+1) }
	w.sources, w.targets = newFakeSources(), &fakeTargets{}
	w.limits = func(string, string, string) time.Duration { return 0 }
	w.deps = request.Deps{
		Permissions: permissionsFunc(func(context.Context, string, string) error { return nil }),
		Logins: loginsFunc(func(ctx context.Context, a contract.AccountAuth) (string, error) {
			return w.login(ctx, a)
		}),
		Limits:    limitsFunc(func(instance, url, login string) time.Duration { return w.limits(instance, url, login) }),
		Sources:   w.sources,
		Targets:   w.targets,
		Accounts:  w.accounts,
		Documents: w.docs,
		Queue:     w.queue,
		Logger:    slog.New(slog.NewTextHandler(w.log, nil)),
	}
	w.desk = request.New(w.deps)
	return w
}

func (w *world) start(ctx context.Context) (request.Document, error) {
	return w.desk.Start(ctx, instance, order())
}

func order() request.Order {
	return request.Order{URL: "https://cloud.example", Login: "joe", Password: "pw"}
}

func wantCode(t *testing.T, err error, want request.Code) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want code %q", want)
	}
	if got := request.CodeOf(err); got != want {
		t.Fatalf("code %q, want %q (%v)", got, want, err)
	}
}

func ago(d time.Duration) *time.Time {
	at := time.Now().Add(-d).UTC()
	return &at
}

// pass lets time go by in a synctest bubble.
func pass(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // no real time
}
