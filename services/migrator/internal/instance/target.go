package instance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"example.org/ncm/pkg/cozy"
	"example.org/ncm/services/migrator/internal/transfer"
)

var _ transfer.Target = (*Target)(nil)

// Target writes the files and folders of one instance.
//
// Names are changed by TargetName where the stack does not take them as they are.
// A vanished or trashed parent is ReasonParentGone, a name that the stack refuses
// all the same ReasonNameRefused, a name that something has wraps ErrNameTaken: all
// three only fail the entry.
type Target struct {
	cozy *cozy.Instance
	pace transfer.Pace
}

// NewTarget makes the target of an instance, at a pace that may be nil. Nothing is
// sent yet.
func NewTarget(i *cozy.Instance, pace transfer.Pace) *Target { return &Target{i, pace} }

// Pace implements transfer.Paced.
func (t *Target) Pace() transfer.Pace { return t.pace }

// TargetRoot gives the id of the folder that the migration goes into and makes
// what is missing on the way to it. What only fails an entry elsewhere stops the
// migration here.
func (t *Target) TargetRoot(ctx context.Context, targetDir string) (id string, err error) {
	id = cozy.RootDirID
	for name := range strings.SplitSeq(targetDir, "/") {
		if name == "" {
			continue
		}
		if name == "." || name == ".." {
			return "", stops(transfer.ReasonNameRefused, errTargetDir)
		}
		folder, err := t.EnsureFolder(ctx, transfer.NewFolder{ParentID: id, Name: name})
		if err != nil {
			return "", rootError(err)
		}
		id = folder.ID
	}
	return id, nil
}

var errTargetDir = errors.New("target folder is not a clean path")

func rootError(err error) error {
	var e *transfer.Error
	if !errors.As(err, &e) || e.Class != transfer.EntryFails {
		return err
	}
	if e.Reason == transfer.ReasonParentGone {
		return again(e.Reason, e.Err) // moved away since the step before
	}
	return stops(e.Reason, e.Err)
}

// Room is how many bytes the instance takes on; limited is false when it has no
// quota.
func (t *Target) Room(ctx context.Context) (bytes int64, limited bool, err error) {
	usage, err := t.cozy.DiskUsage(ctx)
	if err != nil {
		return 0, false, classify(ctx, err)
	}
	if usage.Quota == 0 {
		return 0, false, nil
	}
	return max(0, usage.Quota-usage.Used), true, nil
}

// EnsureFolder implements transfer.Target.
func (t *Target) EnsureFolder(ctx context.Context, f transfer.NewFolder) (transfer.Stored, error) {
	name := TargetName(f.Name, true)
	// Twice, because what had the name may go away between the two requests.
	for range 2 {
		made, err := t.makeFolder(ctx, name, f)
		if !errors.Is(err, transfer.ErrNameTaken) {
			return made, err
		}
		found, findErr := t.find(ctx, f.ParentID, name)
		switch {
		case findErr == nil && found.Folder:
			return found, nil
		case findErr == nil:
			return transfer.Stored{}, err
		case !errors.Is(findErr, transfer.ErrNotFound):
			return transfer.Stored{}, findErr
		}
	}
	// Not as a name that is taken: the folder would get a number for nothing.
	return transfer.Stored{}, again(transfer.ReasonNameTaken, errNameUnclear)
}

var errNameUnclear = errors.New("the name is refused as taken, and nothing has it")

func (t *Target) makeFolder(ctx context.Context, name string, f transfer.NewFolder) (transfer.Stored, error) {
	tags, _ := plainTags(f.Tags)
	made, err := t.cozy.MakeDir(ctx, f.ParentID, name, times(f.CreatedAt, f.ModTime), tags...)
	if err != nil {
		return transfer.Stored{}, createError(ctx, err)
	}
	if made.Trashed {
		return transfer.Stored{}, fails(transfer.ReasonParentGone, errParentTrashed)
	}
	return stored(made), nil
}

// errParentTrashed: the stack makes folders in the trash as everywhere else.
var errParentTrashed = errors.New("parent folder is in the trash")

// Create implements transfer.Target.
func (t *Target) Create(ctx context.Context, f transfer.NewFile) (transfer.Stored, error) {
	tags, _ := plainTags(f.Tags)
	made, err := t.cozy.Upload(ctx, cozy.Upload{
		DirID: f.ParentID,
		Name:  TargetName(f.Name, false),
		Size:  f.Size,
		MD5:   f.MD5,
		Times: times(f.CreatedAt, f.ModTime),
		MIME:  saneMIME(f.MIME),
		Tags:  tags,
		Body:  f.Body, Content: f.Content,
	})
	switch {
	case err == nil:
		return stored(made), nil
	case cozy.IsTooLarge(err):
		return transfer.Stored{}, t.tooLarge(ctx, f.Size, err)
	}
	return transfer.Stored{}, createError(ctx, err)
}

// Mark implements transfer.Target. The dates of the entry stay as they are.
func (t *Target) Mark(ctx context.Context, id string, m transfer.Marks) error {
	patch := cozy.Marks{Favorite: m.Favorite}
	if _, plain := plainTags(m.Tags); !plain {
		patch.Tags = m.Tags
	}
	if !patch.Favorite && patch.Tags == nil {
		return nil
	}
	_, err := t.cozy.PatchMarks(ctx, id, patch)
	return createError(ctx, err)
}

// AddMarks implements transfer.Target. Tags can be written together only, so they go
// by the revision that was read.
func (t *Target) AddMarks(ctx context.Context, id string, m transfer.Marks) error {
	patch := cozy.Marks{Favorite: m.Favorite}
	if len(m.Tags) > 0 {
		now, err := t.cozy.FileByID(ctx, id)
		if err != nil {
			return createError(ctx, err)
		}
		all := slices.Clone(now.Tags)
		for _, tag := range m.Tags {
			if !slices.Contains(all, tag) {
				all = append(all, tag)
			}
		}
		if len(all) > len(now.Tags) {
			patch.Tags, patch.Rev = all, now.Rev
		}
	}
	if !patch.Favorite && patch.Tags == nil {
		return nil
	}
	_, err := t.cozy.PatchMarks(ctx, id, patch)
	return createError(ctx, err)
}

// Replace implements transfer.Target. What the owner and apps noted about the
// file stays, because it is sent again with the content.
func (t *Target) Replace(ctx context.Context, id string, was []byte, f transfer.NewFile) (transfer.Stored, error) {
	old, err := t.cozy.FileByID(ctx, id)
	switch {
	case cozy.IsNotFound(err) && !errors.Is(err, cozy.ErrToken):
		return transfer.Stored{}, modified(err)
	case err != nil:
		return transfer.Stored{}, classify(ctx, err)
	case old.Trashed || old.Folder || !bytes.Equal(old.MD5, was) || old.MIME == mimeNote:
		return transfer.Stored{}, modified(errOtherContent)
	}
	upload := cozy.Upload{
		Size:       f.Size,
		MD5:        f.MD5,
		Times:      newTimes(old.CreatedAt, f.ModTime),
		MIME:       saneMIME(f.MIME),
		Executable: old.Executable,
		Tags:       old.Tags,
		Body:       f.Body,
		Content:    f.Content,
	}
	if ownMetadata(old.Metadata) {
		if upload.MetadataID, err = t.cozy.AddMetadata(ctx, old.Metadata); err != nil {
			return transfer.Stored{}, classify(ctx, err)
		}
	}
	replaced, err := t.cozy.Replace(ctx, id, old.Rev, upload)
	switch {
	case err == nil:
		return stored(replaced), nil
	case cozy.IsStale(err), cozy.IsNotFound(err) && !errors.Is(err, cozy.ErrToken):
		return transfer.Stored{}, modified(err)
	case cozy.IsTooLarge(err):
		return transfer.Stored{}, t.tooLarge(ctx, f.Size, err)
	}
	return transfer.Stored{}, classify(ctx, err)
}

// errOtherContent: somebody changed the file, or it is a note, whose text the
// stack keeps beside the file.
var errOtherContent = errors.New("not the content that was copied, or not a plain file any more")

// modified lets the engine see that a file is not its own any more.
func modified(err error) error {
	return fails(transfer.ReasonEdited, fmt.Errorf("%w: %w", transfer.ErrModified, err))
}

// tooLarge finds out what the stack means: a full instance and a file beyond the
// stack's own limit get the same answer.
func (t *Target) tooLarge(ctx context.Context, size int64, refused error) error {
	switch room, limited, err := t.Room(ctx); {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return stops(transfer.ReasonQuota, refused)
	case !limited:
		return fails(transfer.ReasonTooLarge, refused)
	case room >= size:
		return again(transfer.ReasonTooLarge, refused) // unless room was just made
	}
	return stops(transfer.ReasonQuota, refused)
}

// createError classifies what the creation of a file or folder ended in, or its
// change.
func createError(ctx context.Context, err error) error {
	var answer *cozy.Error
	switch {
	case !errors.As(err, &answer) || errors.Is(err, cozy.ErrToken):
	case cozy.IsNotFound(err):
		return fails(transfer.ReasonParentGone, err)
	case cozy.IsConflict(err):
		return nameTaken(err)
	case answer.Status == http.StatusUnprocessableEntity:
		return fails(transfer.ReasonNameRefused, err)
	}
	return classify(ctx, err)
}

// Find implements transfer.Target.
func (t *Target) Find(ctx context.Context, parentID, name string) (transfer.Stored, error) {
	return t.find(ctx, parentID, TargetName(name, false))
}

// find looks for a name of the stack.
func (t *Target) find(ctx context.Context, parentID, name string) (transfer.Stored, error) {
	found, err := t.cozy.FindInDir(ctx, parentID, name)
	switch {
	case cozy.IsNotFound(err) && !errors.Is(err, cozy.ErrToken):
		return transfer.Stored{}, fails(transfer.ReasonNotFound, fmt.Errorf("%w: %w", transfer.ErrNotFound, err))
	case err != nil:
		return transfer.Stored{}, classify(ctx, err)
	case found.Trashed:
		return transfer.Stored{}, fails(transfer.ReasonParentGone, errParentTrashed)
	}
	return stored(found), nil
}

// FindAll implements transfer.Target.
func (t *Target) FindAll(ctx context.Context, ids []string) ([]transfer.Stored, error) {
	files, err := t.cozy.FilesByID(ctx, ids)
	if err != nil {
		return nil, classify(ctx, err)
	}
	found := make([]transfer.Stored, 0, len(files))
	for _, f := range files {
		if !f.Trashed {
			found = append(found, stored(f))
		}
	}
	return found, nil
}

// Remove implements transfer.Target. The file does not go to the trash, where it
// would count in the quota.
func (t *Target) Remove(ctx context.Context, id string) error {
	err := t.cozy.Destroy(ctx, id)
	if cozy.IsNotFound(err) && !errors.Is(err, cozy.ErrToken) {
		return nil
	}
	return classify(ctx, err)
}

// Check implements transfer.Target by reading the root folder.
func (t *Target) Check(ctx context.Context) error {
	_, err := t.cozy.FileByID(ctx, cozy.RootDirID)
	return classify(ctx, err)
}

func stored(f cozy.File) transfer.Stored {
	return transfer.Stored{ID: f.ID, ParentID: f.DirID, Name: f.Name, Folder: f.Folder, Size: f.Size, MD5: f.MD5}
}
