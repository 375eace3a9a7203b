package transfer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// maxNumbered is how many names are tried for an entry whose name is taken.
const maxNumbered = 100

// resolve answers a name that is taken: equal content is this very file (from an
// earlier try, or the user's own copy) and counts as copied, unless another file of the
// source counts as that one; different content stays, and the file gets a number.
func (r *run) resolve(ctx context.Context, j *job, size int64, res *Result) error {
	for n := 1; n <= maxNumbered; n++ {
		name := numbered(j.Name, n, false)
		if n > 1 { // the first name is known to be taken
			reserved, err := r.reserved(ctx, j.FolderPath, name)
			if err != nil {
				return err
			}
			if reserved {
				continue
			}
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

// reserved says whether the source has an entry of that name in a folder: the name is
// that one's in the target, or two files of equal content would end as one.
func (r *run) reserved(ctx context.Context, folder, name string) (bool, error) {
	_, err := r.cfg.Source.Stat(ctx, path.Join(folder, name))
	var e *Error
	switch {
	case err == nil:
		return true, nil
	case errors.As(err, &e) && e.Class == EntryFails:
		return false, nil // not there, or no name for this source
	}
	return false, err
}

// same says whether what the target has under a name is this very file, and
// fills in the result if so. Only where the sizes are equal is the source read.
func (r *run) same(ctx context.Context, j job, name string, size int64, res *Result) (bool, error) {
	existing, err := r.cfg.Target.Find(ctx, j.FolderTarget, name)
	if err != nil {
		return false, err
	}
	r.target.ok()
	if another, err := r.another(ctx, j.File, existing.ID); another || err != nil {
		return false, err
	}
	return r.equal(ctx, j, existing, size, res)
}

// another says whether what the target has is the copy of another file, which got a
// number before this file, whose own name that is, came into the source.
func (r *run) another(ctx context.Context, f File, id string) (bool, error) {
	for _, name := range unnumbered(f.Name) {
		copied, err := retryLedger(ctx, func() (bool, error) { return r.cfg.Ledger.Copied(ctx, f, name, id) })
		if err != nil {
			return false, &ledgerError{err}
		}
		if copied {
			return true, nil
		}
	}
	return false, nil
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
	if slices.Contains(unnumbered(res.TargetName), res.File.Name) {
		res.note(noteNumbered)
		return
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

var number = regexp.MustCompile(`^(.+) \(([0-9]{1,3})\)$`)

// unnumbered gives the names of files that may have got this one as their number.
func unnumbered(name string) (names []string) {
	ext := path.Ext(name)
	for _, split := range [][2]string{{strings.TrimSuffix(name, ext), ext}, {name, ""}} {
		parts := number.FindStringSubmatch(split[0])
		if parts == nil {
			continue
		}
		n, _ := strconv.Atoi(parts[2])
		if base := parts[1] + split[1]; n > 1 && n <= maxNumbered && numbered(base, n, false) == name && !slices.Contains(names, base) {
			names = append(names, base)
		}
	}
	return names
}
