package request_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/services/trigger/internal/request"
)

// errUntilTheEnd makes a deletion last until its context ends.
var errUntilTheEnd = errors.New("until the end")

// fakeSources is a home with entries and a trashbin. The hooks run before a call
// takes effect and may fail it.
type fakeSources struct {
	onList    func() error
	onDelete  func(path string) error
	onTrash   func() error
	onMeasure func(path string) (request.Amount, error)

	mu      sync.Mutex
	entries []string
	trash   []string
	calls   []string
}

func newFakeSources(entries ...string) *fakeSources {
	return &fakeSources{
		onList:    func() error { return nil },
		onDelete:  func(string) error { return nil },
		onTrash:   func() error { return nil },
		onMeasure: func(string) (request.Amount, error) { return request.Amount{}, nil },
		entries:   entries,
	}
}

func (f *fakeSources) note(call string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, call)
}

func (f *fakeSources) Children(ctx context.Context, _ contract.Account) ([]string, error) {
	f.note("list")
	if err := f.onList(); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.entries), ctx.Err()
}

func (f *fakeSources) Delete(ctx context.Context, _ contract.Account, path string) error {
	f.note("delete " + path)
	err := f.onDelete(path)
	if errors.Is(err, errUntilTheEnd) {
		<-ctx.Done()
		return ctx.Err()
	}
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	name, _, _ := strings.Cut(path, "/")
	f.entries = slices.DeleteFunc(f.entries, func(e string) bool { return e == name })
	f.trash = append(f.trash, path)
	return ctx.Err()
}

func (f *fakeSources) EmptyTrash(context.Context, contract.Account) error {
	f.note("trash")
	if err := f.onTrash(); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.trash = nil
	return nil
}

func (f *fakeSources) Measure(_ context.Context, _ contract.Account, path string) (request.Amount, error) {
	return f.onMeasure(path)
}

type fakeTargets struct {
	space  request.Space
	folder request.Folder
	err    error
}

func (f *fakeTargets) Space(context.Context, string) (request.Space, error) { return f.space, f.err }

func (f *fakeTargets) Folder(context.Context, string, string) (request.Folder, error) {
	return f.folder, f.err
}

// account is the one that order makes.
func account() contract.Account {
	return contract.Account{
		AccountType: contract.AccountTypeNextcloud, Name: "joe", WebDAVUserID: "joe_uid",
		Auth: contract.AccountAuth{URL: "https://cloud.example/", Login: "joe", Password: "pw"},
	}
}
