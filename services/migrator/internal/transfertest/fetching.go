package transfertest

import (
	"context"
	"sync/atomic"

	"example.org/ncm/services/migrator/internal/transfer"
)

// Fetching is a source whose files the target fetches by itself. Set the fields
// before it is used.
type Fetching struct {
	*Source
	Target *Target

	// Listed changes what a listing says of an entry.
	Listed func(e *transfer.Entry)
	// FetchFault is asked before each Fetch; an error is its answer.
	FetchFault func(file string) error
	// Lost is asked when the target has the file; an error loses the answer.
	Lost func(ctx context.Context, file string) error
	// Spoil changes what the target gets.
	Spoil func(file, content string) string

	fetched atomic.Int64
}

var _ transfer.Fetcher = (*Fetching)(nil)

// Fetched is how many files the target took by itself.
func (s *Fetching) Fetched() int64 { return s.fetched.Load() }

// List implements transfer.Source.
func (s *Fetching) List(ctx context.Context, folder string, yield func(transfer.Entry) error) (transfer.Entry, error) {
	return s.Source.List(ctx, folder, func(e transfer.Entry) error {
		if s.Listed != nil {
			s.Listed(&e)
		}
		return yield(e)
	})
}

// Fetch implements transfer.Fetcher.
func (s *Fetching) Fetch(ctx context.Context, f transfer.File) (transfer.Stored, error) {
	if s.FetchFault != nil {
		if err := s.FetchFault(f.Path()); err != nil {
			return transfer.Stored{}, err
		}
	}
	content := s.Files[f.Path()]
	if s.Spoil != nil {
		content = s.Spoil(f.Path(), content)
	}
	stored, err := s.Target.take(f, content)
	if err != nil {
		return transfer.Stored{}, err
	}
	s.fetched.Add(1)
	if s.Lost != nil {
		if err := s.Lost(ctx, f.Path()); err != nil {
			return transfer.Stored{}, err
		}
	}
	return stored, nil
}

// take stores a file that the target fetched.
func (t *Target) take(f transfer.File, content string) (transfer.Stored, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.parentGone(f.FolderTarget) != nil:
		return transfer.Stored{}, t.parentGone(f.FolderTarget)
	case t.named(f.FolderTarget, f.Name) != nil:
		return transfer.Stored{}, refused(transfer.ReasonNameTaken, transfer.ErrNameTaken)
	}
	return t.add(f.FolderTarget, f.Name, false, []byte(content)).Stored, nil
}
