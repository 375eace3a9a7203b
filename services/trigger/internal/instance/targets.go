package instance

import (
	"context"
	"fmt"

	"example.org/ncm/pkg/cozy"
	"example.org/ncm/services/trigger/internal/request"
)

// Space implements request.Targets.
func (s *Store) Space(ctx context.Context, instance string) (request.Space, error) {
	usage, err := s.stack.Instance(instance).DiskUsage(ctx)
	return request.Space(usage), err //nolint:wrapcheck // names its operation
}

// Folder implements request.Targets. What is in the trash does not have the path
// any more.
func (s *Store) Folder(ctx context.Context, instance, path string) (request.Folder, error) {
	in := s.stack.Instance(instance)
	found, err := in.FileByPath(ctx, path)
	switch {
	case cozy.IsNotFound(err):
		return request.Folder{Empty: true}, nil
	case err != nil:
		return request.Folder{}, fmt.Errorf("find target: %w", err)
	case !found.Folder:
		return request.Folder{Exists: true, File: true}, nil
	}
	empty, err := in.EmptyDir(ctx, found.ID)
	if cozy.IsNotFound(err) { // removed meanwhile
		return request.Folder{Empty: true}, nil
	}
	return request.Folder{Exists: true, Empty: empty}, err //nolint:wrapcheck // names its operation
}
