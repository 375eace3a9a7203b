package instance

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/pkg/cozy"
	"example.org/ncm/services/trigger/internal/request"
)

// document is a tracking document as it is stored by triggers. What is added is
// theirs alone: other services keep it without a meaning.
type document struct {
	contract.Tracking
	CreatedAt   *time.Time `json:"created_at,omitempty"`
	RequestedAt *time.Time `json:"requested_at,omitempty"`
	SourceURL   string     `json:"source_url,omitempty"`
	SourceUser  string     `json:"source_user_id,omitempty"`
}

func (d document) domain(ref cozy.Ref) request.Document {
	return request.Document{
		ID:          ref.ID,
		Rev:         ref.Rev,
		Tracking:    d.Tracking,
		CreatedAt:   d.CreatedAt,
		RequestedAt: d.RequestedAt,
		Source:      request.Source{URL: d.SourceURL, UserID: d.SourceUser},
	}
}

func stored(d request.Document) document {
	return document{
		Tracking: d.Tracking, CreatedAt: d.CreatedAt, RequestedAt: d.RequestedAt,
		SourceURL: d.Source.URL, SourceUser: d.Source.UserID,
	}
}

// brief are the fields of a list: a migration may have megabytes of errors.
func brief() []string {
	return []string{
		"_id", "_rev", "status", "source_path", "target_dir", "progress",
		"created_at", "requested_at", "started_at", "finished_at", "last_heartbeat_at",
		"cancel_requested", "canceled_at", "source_deleted_at", "source_deleting_at",
		"schema_version", "errors_truncated_count", "skipped_truncated_count", "failure_reason", "pause_reason",
		"report", "report_missing",
	}
}

// Active implements request.Documents. One look has to show both kinds, so the
// completed ones, of which an instance has few, are read too.
func (s *Store) Active(ctx context.Context, instance string) ([]request.Document, error) {
	found, err := s.withStatus(ctx, instance, contract.StatusPending, contract.StatusRunning, contract.StatusCompleted)
	return slices.DeleteFunc(found, func(d request.Document) bool {
		return d.Status.Final() && d.SourceDeletingAt == nil
	}), err
}

// List implements request.Documents.
func (s *Store) List(ctx context.Context, instance string) ([]request.Document, error) {
	return s.withStatus(ctx, instance, contract.StatusPending, contract.StatusRunning,
		contract.StatusCompleted, contract.StatusFailed, contract.StatusCanceled)
}

// withStatus lists documents by the one index that the stack has for them.
func (s *Store) withStatus(ctx context.Context, instance string, statuses ...contract.Status) ([]request.Document, error) {
	found, err := s.stack.Instance(instance).FindDocs(ctx, contract.DoctypeMigrations, cozy.Query{
		Selector: map[string]any{"status": map[string]any{"$in": statuses}},
		UseIndex: "_design/by-status",
		Fields:   brief(),
	})
	if err != nil {
		return nil, err //nolint:wrapcheck // names its operation
	}
	documents := make([]request.Document, 0, len(found))
	for _, doc := range found {
		var d document
		if err := doc.Decode(&d); err != nil {
			return nil, err //nolint:wrapcheck // names its operation
		}
		documents = append(documents, d.domain(doc.Ref))
	}
	return documents, nil
}

// Get implements request.Documents.
func (s *Store) Get(ctx context.Context, instance, id string) (request.Document, error) {
	var d document
	ref, err := s.stack.Instance(instance).GetDoc(ctx, contract.DoctypeMigrations, id, &d)
	if cozy.IsNotFound(err) {
		return request.Document{}, fmt.Errorf("%w: %w", request.ErrNotFound, err)
	}
	return d.domain(ref), err //nolint:wrapcheck // names its operation
}

// Create implements request.Documents.
func (s *Store) Create(ctx context.Context, instance string, new request.Document) (request.Document, error) {
	ref, err := s.stack.Instance(instance).CreateDoc(ctx, contract.DoctypeMigrations, stored(new))
	if err != nil {
		return request.Document{}, err //nolint:wrapcheck // names its operation
	}
	new.ID, new.Rev = ref.ID, ref.Rev
	return new, nil
}

// Change implements request.Documents.
func (s *Store) Change(
	ctx context.Context, instance, id string, change func(*request.Document) error,
) (request.Document, error) {
	for range maxTries {
		changed, err := s.changeOnce(ctx, instance, id, change)
		switch {
		case cozy.IsConflict(err):
			continue
		case cozy.IsNotFound(err):
			return request.Document{}, fmt.Errorf("%w: %w", request.ErrNotFound, err)
		default:
			return changed, err
		}
	}
	return request.Document{}, errContended
}

func (s *Store) changeOnce(
	ctx context.Context, instance, id string, change func(*request.Document) error,
) (request.Document, error) {
	in := s.stack.Instance(instance)
	var raw json.RawMessage
	ref, err := in.GetDoc(ctx, contract.DoctypeMigrations, id, &raw)
	if err != nil {
		return request.Document{}, err //nolint:wrapcheck // names its operation
	}
	var d document
	if err := json.Unmarshal(raw, &d); err != nil {
		return request.Document{}, fmt.Errorf("decode tracking document: %w", err)
	}
	changed := d.domain(ref)
	if err := change(&changed); err != nil {
		return request.Document{}, err //nolint:wrapcheck // of the caller
	}
	merged, err := mergeDocument(raw, d, stored(changed))
	if err != nil {
		return request.Document{}, err
	}
	ref, err = in.PutDoc(ctx, contract.DoctypeMigrations, ref, merged)
	if err != nil {
		return request.Document{}, err //nolint:wrapcheck // names its operation
	}
	changed.ID, changed.Rev = ref.ID, ref.Rev
	return changed, nil
}

// mergeDocument writes what changed into the document as it was read, so that
// everything else in it stays as its writers left it.
func mergeDocument(raw json.RawMessage, before, after document) (fields, error) {
	merged, err := fieldsOf(raw)
	if err != nil {
		return nil, err
	}
	old, err := fieldsOf(before)
	if err != nil {
		return nil, err
	}
	now, err := fieldsOf(after)
	if err != nil {
		return nil, err
	}
	merged.lay(now.changedFrom(old))
	for name := range old {
		if _, still := now[name]; !still {
			delete(merged, name)
		}
	}
	return merged, nil
}
