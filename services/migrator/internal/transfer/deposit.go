package transfer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
)

// Deposit is a file of our own that goes into a folder of the target.
type Deposit struct {
	Target Target
	File   NewFile // without Body; the MD5 is required
	// Open gives the content anew for each try.
	Open func() io.ReadCloser
	// Note records a name before it is used, so that an earlier content of ours is
	// known by name and MD5 afterwards.
	Note func(ctx context.Context, name string) error

	// Before and BeforeMD5 are what was noted last, empty when nothing was. That file
	// gets the new content, unless its owner changed or moved it.
	Before    string
	BeforeMD5 []byte
}

// Store stores the file under its name or the first free number of it. It may be
// repeated: content that is there already is not stored again. Errors are *Error.
func (d Deposit) Store(ctx context.Context) (Stored, error) {
	if d.Before != "" {
		stored, err := d.renew(ctx)
		if !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrModified) {
			return stored, err
		}
	}
	for n := 1; n <= maxNumbered; n++ {
		f := d.File
		f.Name = numbered(d.File.Name, n, false)
		if err := d.Note(ctx, f.Name); err != nil {
			return Stored{}, err
		}
		stored, err := d.send(ctx, f, func(f NewFile) (Stored, error) { return d.Target.Create(ctx, f) })
		if !errors.Is(err, ErrNameTaken) {
			return stored, err
		}
		there, err := d.Target.Find(ctx, f.ParentID, f.Name)
		if err != nil {
			return Stored{}, untaken(err)
		}
		if d.has(there) {
			return there, nil
		}
	}
	return Stored{}, &Error{Side: SideTarget, Class: EntryFails, Reason: ReasonNameTaken, Err: fmt.Errorf("%d names taken", maxNumbered)}
}

// renew gives what was stored before the new content. It wraps ErrNotFound or
// ErrModified where that is not ours any more.
func (d Deposit) renew(ctx context.Context) (Stored, error) {
	there, err := d.Target.Find(ctx, d.File.ParentID, d.Before)
	switch {
	case err != nil:
		return Stored{}, err
	case d.has(there):
		return there, nil
	case there.Folder || !bytes.Equal(there.MD5, d.BeforeMD5):
		return Stored{}, ErrModified
	}
	stored, err := d.send(ctx, d.File, func(f NewFile) (Stored, error) { return d.Target.Replace(ctx, there.ID, d.BeforeMD5, f) })
	if err != nil {
		return Stored{}, err
	}
	// If we stop here, the new content is not noted: it is found by its MD5 as long
	// as the next one writes the same.
	return stored, d.Note(ctx, d.Before)
}

func (d Deposit) has(there Stored) bool {
	return !there.Folder && there.Size == d.File.Size && bytes.Equal(there.MD5, d.File.MD5)
}

func (d Deposit) send(ctx context.Context, f NewFile, send func(NewFile) (Stored, error)) (Stored, error) {
	body := d.Open()
	defer body.Close()
	f.Body = body
	stored, err := send(f)
	if err == nil && !d.has(stored) {
		err = errors.Join(errors.New("stored otherwise than it was sent"), d.Target.Remove(ctx, stored.ID))
		return Stored{}, &Error{Side: SideTarget, Class: Again, Reason: ReasonCorrupt, Err: err}
	}
	return stored, err
}
