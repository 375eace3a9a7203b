package transfertest

import (
	"cmp"
	"context"
	"math"
	"slices"
	"sync"

	"example.org/ncm/services/migrator/internal/transfer"
)

// Ledger is a ledger in memory whose root is RootID. Set the fields before it is
// used.
type Ledger struct {
	// Fault is asked before each call ("folders", "files", "page", "folder",
	// "copied", "suspect", "record"); an error is the call's answer.
	Fault func(call string) error
	// Over: the migration has ended.
	Over bool
	// Before is the ledger of an earlier migration of the same account.
	Before *Ledger

	mu      sync.Mutex
	folders []*folder
	files   []*file
}

type folder struct {
	transfer.Folder
	parent int64
	etag   string
	state  string
	reason transfer.Reason
}

type file struct {
	transfer.File
	folder int64
	Result transfer.Result
}

var _ transfer.Ledger = (*Ledger)(nil)

// NewLedger has a root to be listed.
func NewLedger() *Ledger {
	return &Ledger{folders: []*folder{{Folder: transfer.Folder{ID: 1, TargetID: RootID}, state: "pending"}}}
}

// Results gives the last result of each file by its path; a file without one has
// an empty outcome.
func (l *Ledger) Results() map[string]transfer.Result {
	l.mu.Lock()
	defer l.mu.Unlock()
	results := map[string]transfer.Result{}
	for _, f := range l.files {
		results[f.Path()] = f.Result
	}
	return results
}

// FolderState gives the state ("pending", "listed", "failed", "skipped") and reason of a folder.
func (l *Ledger) FolderState(path string) (string, transfer.Reason) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range l.folders {
		if f.Path == path {
			return f.state, f.reason
		}
	}
	return "", ""
}

func (l *Ledger) fault(call string) error {
	if l.Fault != nil {
		return l.Fault(call)
	}
	return nil
}

func (l *Ledger) byID(id int64) *folder { return l.folders[id-1] }

// Folders implements transfer.Ledger.
func (l *Ledger) Folders(_ context.Context, after int64, limit int) ([]transfer.Folder, error) {
	if err := l.fault("folders"); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []transfer.Folder
	for _, f := range l.folders {
		if f.ID > after && f.state == "pending" && len(out) < limit {
			out = append(out, l.row(f))
		}
	}
	return out, nil
}

// Folder implements transfer.Ledger.
func (l *Ledger) Folder(_ context.Context, id int64) (transfer.Folder, error) {
	if err := l.fault("folders"); err != nil {
		return transfer.Folder{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.row(l.byID(id)), nil
}

// SetTarget implements transfer.Ledger.
func (l *Ledger) SetTarget(_ context.Context, f transfer.Folder) error {
	if err := l.fault("folder"); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.byID(f.ID).TargetID, l.byID(f.ID).TargetName = f.TargetID, f.TargetName
	return nil
}

func (l *Ledger) row(f *folder) transfer.Folder {
	row := f.Folder
	if row.ParentID = f.parent; f.parent > 0 {
		row.ParentTarget = l.byID(f.parent).TargetID
	}
	return row
}

// Files implements transfer.Ledger.
func (l *Ledger) Files(_ context.Context, after int64, limit int) ([]transfer.File, error) {
	if err := l.fault("files"); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []transfer.File
	for _, f := range l.files {
		if f.ID > after && pending(f.Result) && len(out) < limit {
			row := f.File
			row.FolderTarget, row.FolderETag = l.byID(f.folder).TargetID, l.byID(f.folder).etag
			row.Earlier = l.Before.earlier(row)
			out = append(out, row)
		}
	}
	return out, nil
}

// LargeFiles implements transfer.Ledger.
func (l *Ledger) LargeFiles(ctx context.Context, after int64, limit int) ([]transfer.File, error) {
	all, err := l.Files(ctx, after, math.MaxInt)
	large := slices.DeleteFunc(all, func(f transfer.File) bool { return f.Size < transfer.LargeFile })
	return large[:min(limit, len(large))], err
}

// LastFile implements transfer.Ledger.
func (l *Ledger) LastFile(context.Context) (int64, error) {
	if err := l.fault("files"); err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.files) == 0 {
		return 0, nil
	}
	return l.files[len(l.files)-1].ID, nil
}

// Underway implements transfer.Ledger.
func (l *Ledger) Underway(ctx context.Context, limit int) ([]transfer.File, error) {
	return l.Files(ctx, 0, limit)
}

// earlier is what this ledger knows of a file of a later migration.
func (l *Ledger) earlier(of transfer.File) *transfer.Earlier {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range l.files {
		if f.Result.Outcome == transfer.Done && f.Path() == of.Path() && l.byID(f.folder).TargetID == of.FolderTarget {
			return &transfer.Earlier{TargetID: f.Result.TargetID, MD5: f.Result.MD5, Unchanged: f.ETag == of.ETag, Marks: f.Marks}
		}
	}
	return nil
}

func pending(r transfer.Result) bool { return r.Outcome == "" || r.Outcome == transfer.Postponed }

// AddPage implements transfer.Ledger.
func (l *Ledger) AddPage(_ context.Context, p transfer.Page) error {
	if err := l.fault("page"); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	parent := l.byID(p.Folder.ID)
	parent.TargetID, parent.TargetName = p.Folder.TargetID, p.Folder.TargetName
	parent.etag = cmp.Or(parent.etag, p.ETag)
	if p.Complete {
		parent.state = "listed"
	}
	for _, e := range p.Entries {
		l.add(parent, e)
	}
	return nil
}

func (l *Ledger) add(parent *folder, e transfer.Entry) {
	path := e.Name
	if parent.Path != "" {
		path = parent.Path + "/" + e.Name
	}
	if e.Folder {
		for _, f := range l.folders {
			if f.Path == path {
				return
			}
		}
		l.folders = append(l.folders, &folder{
			Folder: transfer.Folder{ID: int64(len(l.folders) + 1), Name: e.Name, Path: path, Marks: e.Marks},
			parent: parent.ID, state: skippedOr(e, "pending"),
		})
		return
	}
	for _, f := range l.files {
		if f.Path() == path {
			return
		}
	}
	l.files = append(l.files, &file{
		File: transfer.File{
			ID: int64(len(l.files) + 1), Name: e.Name, FolderID: parent.ID, FolderPath: parent.Path,
			Size: e.Size, ETag: e.ETag, Checksums: e.Checksums, Marks: e.Marks,
		},
		folder: parent.ID,
		Result: transfer.Result{Outcome: transfer.Outcome(skippedOr(e, ""))},
	})
}

func skippedOr(e transfer.Entry, state string) string {
	if e.SkipReason != "" {
		return string(transfer.Skipped)
	}
	return state
}

// ETagAbove implements transfer.Ledger.
func (l *Ledger) ETagAbove(_ context.Context, folderID int64, path string) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.byID(folderID)
	for f.Path != path {
		f = l.byID(f.parent)
	}
	return f.etag, nil
}

// RecordFolder implements transfer.Ledger.
func (l *Ledger) RecordFolder(_ context.Context, r transfer.FolderResult) error {
	if err := l.fault("folder"); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.byID(r.Folder.ID)
	f.Attempts++
	f.reason = r.Reason
	if r.Outcome == transfer.Failed {
		f.state = "failed"
	}
	return nil
}

// Copied implements transfer.Ledger.
func (l *Ledger) Copied(_ context.Context, f transfer.File, name, targetID string) (bool, error) {
	if err := l.fault("copied"); err != nil {
		return false, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, other := range l.files {
		if other.folder != l.files[f.ID-1].folder || other.Name != name {
			continue
		}
		row := other.File
		row.FolderTarget = l.byID(other.folder).TargetID
		e := l.Before.earlier(row)
		return other.Result.TargetID == targetID || e != nil && e.TargetID == targetID, nil
	}
	return false, nil
}

// Suspect implements transfer.Ledger.
func (l *Ledger) Suspect(_ context.Context, fileID int64, targetID string) error {
	if err := l.fault("suspect"); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.files[fileID-1]
	f.Suspects = append(f.Suspects, targetID)
	return nil
}

// Record implements transfer.Ledger.
func (l *Ledger) Record(_ context.Context, results []transfer.Result) error {
	if err := l.fault("record"); err != nil {
		return err
	}
	l.record(results)
	return nil
}

// RecordLate implements transfer.Ledger.
func (l *Ledger) RecordLate(_ context.Context, results []transfer.Result) error {
	if !l.Over {
		return transfer.ErrLeaseLost
	}
	l.record(results)
	return nil
}

func (l *Ledger) record(results []transfer.Result) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range results {
		f := l.files[r.File.ID-1]
		if pending(f.Result) {
			f.Result = r
			f.Attempts = r.File.Attempts + 1
		}
	}
}
