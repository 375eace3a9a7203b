package main

import (
	"fmt"
	"path"

	"example.org/ncm/pkg/contract"
)

func asTree(files entries) tree {
	t := make(tree, len(files))
	for _, f := range files {
		t[f.Path] = content{Size: f.Size, MD5: f.MD5}
	}
	return t
}

// flat is the tree as the pipe copies it: without folders.
func (t tree) flat() tree {
	f := make(tree, len(t))
	for p, c := range t {
		f[path.Base(p)] = c
	}
	return f
}

// checkSame compares what arrived with what was to arrive.
func checkSame(want, got tree) error {
	for p, c := range want {
		if there, ok := got[p]; !ok {
			return fmt.Errorf("%d files of %d arrived: %s is missing", len(got), len(want), p)
		} else if there != c {
			return fmt.Errorf("%s is %+v, its source %+v", p, there, c)
		}
	}
	if len(got) != len(want) {
		return fmt.Errorf("%d files arrived instead of %d", len(got), len(want))
	}
	return nil
}

// checkTracking holds a tracking document to the load that it tells about.
func checkTracking(doc contract.Tracking, l load) error {
	want := contract.Progress{
		FilesImported: int64(l.files), FilesTotal: int64(l.files),
		BytesImported: l.total(), BytesTotal: l.total(),
	}
	if l.listed {
		skipped := len(doc.Skipped) + int(doc.SkippedTruncatedCount)
		if doc.Status != contract.StatusCompleted || skipped != l.files || doc.StartedAt == nil || doc.FinishedAt == nil {
			return fmt.Errorf("the migration is %s and skipped %d files: %s", doc.Status, skipped, doc.FailureReason)
		}
		return nil
	}
	switch {
	case doc.Status != contract.StatusCompleted:
		return fmt.Errorf("the migration is %s: %s", doc.Status, doc.FailureReason)
	case doc.Progress != want:
		return fmt.Errorf("the tracking document counts %+v instead of %+v", doc.Progress, want)
	case len(doc.Errors)+len(doc.Skipped) > 0:
		return fmt.Errorf("%d errors and %d skipped entries", len(doc.Errors), len(doc.Skipped))
	case doc.StartedAt == nil || doc.FinishedAt == nil:
		return fmt.Errorf("the tracking document has no times")
	}
	return nil
}

// forPipe is the order in which the pipe moves the files of a folder.
func (e entries) forPipe(folder string) []pipeFile {
	files := make([]pipeFile, 0, len(e))
	for _, f := range e {
		files = append(files, pipeFile{
			Path: path.Join(folder, f.Path), Name: path.Base(f.Path), Size: f.Size, MTime: f.MTime,
		})
	}
	return files
}
