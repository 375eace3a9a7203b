package transfer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
)

// maxNumbered is how many names are tried for an entry whose name is taken.
const maxNumbered = 100

// resolve answers a name that is taken: equal content is this very file (from an
// earlier try, or the user's own copy) and counts as copied; different content
// stays, and the file gets a number.
func (r *run) resolve(ctx context.Context, j *job, size int64, res *Result) error {
	for n := 1; n <= maxNumbered; n++ {
		name := numbered(j.Name, n, false)
		if n > 1 { // the first name is known to be taken
			var err error
			if size, err = r.create(ctx, j, name, res); !errors.Is(err, ErrNameTaken) {
				return err
			}
		}
		same, err := r.same(ctx, *j, name, size, res)
		if err != nil {
			return untaken(err)
		}
		if same {
			return nil
		}
	}
	return &Error{Side: SideTarget, Class: EntryFails, Reason: ReasonNameTaken, Err: fmt.Errorf("%d names taken", maxNumbered)}
}

// same says whether what the target has under a name is this very file, and
// fills in the result if so. Only where the sizes are equal is the source read.
func (r *run) same(ctx context.Context, j job, name string, size int64, res *Result) (bool, error) {
	existing, err := r.cfg.Target.Find(ctx, j.FolderTarget, name)
	if err != nil {
		return false, err
	}
	r.target.ok()
	return r.equal(ctx, j, existing, size, res)
}

// equal says whether what the target stored is the source's file of a size, and
// fills in the result if so.
func (r *run) equal(ctx context.Context, j job, existing Stored, size int64, res *Result) (bool, error) {
	if existing.Folder || existing.Size != size {
		return false, nil
	}
	md5, err := r.sum(ctx, j)
	if err != nil || !bytes.Equal(existing.MD5, md5) {
		return false, err
	}
	res.fill(j.File, existing, md5)
	return true, nil
}

// untaken is the error for a name that is refused as taken while nothing has it:
// somebody removed it in between.
func untaken(err error) error {
	if errors.Is(err, ErrNotFound) {
		return &Error{Side: SideTarget, Class: Again, Reason: ReasonNameTaken, Err: err}
	}
	return err
}

// Why a file has another name in the target, in words for the report.
const (
	noteNumbered = "renamed: its name was taken"
	noteRenamed  = "renamed: a character that the Cozy does not accept in a name is written as ‛ and its code, " +
		"what is too long is cut and gets … and a code"
)

// explainName notes why a copied file has another name in the target.
func (res *Result) explainName() {
	if res.TargetName == "" {
		return
	}
	for n := 2; n <= maxNumbered; n++ {
		if numbered(res.File.Name, n, false) == res.TargetName {
			res.note(noteNumbered)
			return
		}
	}
	res.note(noteRenamed)
}

// numbered gives the n-th name to try: "a.txt", "a (2).txt", "a (3).txt". The
// number of a folder, or of a file without extension, goes to the end.
func numbered(name string, n int, folder bool) string {
	if n == 1 {
		return name
	}
	ext := path.Ext(name)
	if folder || strings.TrimSuffix(name, ext) == "" {
		ext = ""
	}
	return fmt.Sprintf("%s (%d)%s", strings.TrimSuffix(name, ext), n, ext)
}
