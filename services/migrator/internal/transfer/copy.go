package transfer

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"example.org/ncm/pkg/failpoint"
)

const (
	// cleanup bounds the removal of a bad copy, also while the slice ends.
	cleanup = 10 * time.Second
	// slowTransfer is from when on a file's ETag is compared once more after it
	// was read. Asking costs the source as much as a small file does, so where
	// there was hardly time for a change nobody asks.
	slowTransfer = 2 * time.Second
	// heldBytes is up to which size, in bytes, a file is read before it is sent: its
	// MD5 goes ahead then, and one packet takes all of it.
	heldBytes = 64 << 10
	// answerGrace is how long a target may take to answer a body that was sent
	// whole when the slice was cut short, and the source to confirm it.
	answerGrace = 2 * time.Second
)

// transfer copies files until there are none left.
func (r *run) transfer(ctx context.Context, largeFirst bool) error {
	for {
		j, ok := r.next(largeFirst)
		if !ok {
			return nil
		}
		f := j.File
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		started := time.Now()
		res := Result{File: f, Outcome: Done}
		failure, err := r.retry(ctx, func() error { return r.attempt(ctx, &j, &res) })
		if failure == nil && err == nil && res.Outcome == Done {
			failure, err = r.mark(ctx, res.File, &res)
		}
		r.held.Release(j.held)
		if err != nil {
			return r.noteDrained(err) // what is left in the channels is in the ledger
		}
		took := res.took
		if failure != nil {
			res = Result{File: f, Outcome: r.outcome(failure, f.Attempts), Reason: failure.Reason}
		} else {
			r.progress.Store(true)
			res.explainName()
		}
		took.Whole = time.Since(started)
		if res.recognized {
			r.cfg.Metrics.Recognized(1)
		} else {
			r.cfg.Metrics.Transferred(res.Outcome, res.Reason, res.Size, took)
		}
		r.results <- res // the recorder empties it to the end
	}
}

// attempt is copy with a place at the target. That at the source comes later: a
// body must not be open and wait, since its owner can't change the file meanwhile.
func (r *run) attempt(ctx context.Context, j *job, res *Result) error {
	place, err := r.place(ctx, r.targetPace, j.Size)
	if err != nil {
		return err
	}
	before := res.took.Target
	err = r.copy(ctx, j, res)
	place.release(answered(err, res.took.Target-before))
	return err
}

// copy streams one file into the target and fills in its result.
func (r *run) copy(ctx context.Context, j *job, res *Result) error {
	if err := r.removeSuspects(ctx, j); err != nil {
		return err
	}
	if settled, err := r.changed(ctx, j, res); settled || err != nil {
		return err
	}
	size, err := r.create(ctx, j, j.Name, res)
	if reasonOf(err) == ReasonParentGone {
		if j.FolderTarget, err = r.restore(ctx, j.FolderID, j.FolderTarget, err); err != nil {
			return err
		}
		size, err = r.create(ctx, j, j.Name, res)
	}
	switch {
	case errors.Is(err, ErrNameTaken):
		return r.resolve(ctx, j, size, res)
	case reasonOf(err) == ReasonQuota:
		// A full target says so before it looks at the name: this file may be
		// what filled it, in a try whose result was lost.
		if same, findErr := r.same(ctx, *j, j.Name, size, res); findErr == nil && same {
			return nil
		}
	}
	return err
}

func reasonOf(err error) Reason {
	var e *Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return ""
}

// create brings one file into the target under a name. It gives the size that
// the source has now, also with ErrNameTaken.
func (r *run) create(ctx context.Context, j *job, name string, res *Result) (int64, error) {
	if r.fetcher != nil && name == j.Name {
		size, err := r.fetch(ctx, j, res)
		if !errors.Is(err, ErrNotFetched) {
			return size, err
		}
	}
	return r.put(ctx, j, res, place{
		put: func(ctx context.Context, n NewFile) (Stored, error) {
			n.ParentID, n.Name = j.FolderTarget, name
			return r.cfg.Target.Create(ctx, n)
		},
		find: func(ctx context.Context) (Stored, error) { return r.cfg.Target.Find(ctx, j.FolderTarget, name) },
		bad:  func(ctx context.Context, stored Stored) { r.discard(ctx, j, stored.ID) },
	})
}

// place is where a file is streamed to.
type place struct {
	put  func(ctx context.Context, n NewFile) (Stored, error)
	find func(ctx context.Context) (Stored, error) // what is there now
	bad  func(ctx context.Context, stored Stored)  // deals with a copy that the target mangled
}

// put streams one file to its place. It gives the size that the source has now.
//
// A file whose bytes are not what its uploader claimed is read once more: a source
// stores such claims unchecked, and the same bytes again are its true content.
func (r *run) put(ctx context.Context, j *job, res *Result, to place) (int64, error) {
	size, err := r.send(ctx, j, res, to)
	var doubted *doubtError
	if !errors.As(err, &doubted) {
		return size, err
	}
	j.content, j.md5 = nil, nil // it is the source that has to say it again
	size, err = r.stream(ctx, j, to, doubted.md5, res)
	if err == nil {
		res.note("checksum of the source differs from its content")
	}
	return size, err
}

// doubtError tells that the source's claim contradicts what was read.
type doubtError struct{ md5 []byte }

func (e *doubtError) Error() string {
	return fmt.Sprintf("md5 %x is not what the source claims", e.md5)
}

// stream is put for one reading of the file. Where an earlier one is doubted, it
// has to give the same sum.
func (r *run) stream(ctx context.Context, j *job, to place, doubted []byte, res *Result) (int64, error) {
	f := j.File
	began := time.Now()
	body, err := r.body(ctx, f)
	res.took.Source += time.Since(began)
	if err != nil {
		return 0, err
	}
	defer body.Close()
	opened := time.Now()
	size := body.Size
	if size < 0 {
		size = f.Size
	}
	claimed := claimsOf(f, body)
	sums := newDigest(claimed)
	upload, done := cutting(ctx, func() bool { return sums.Cut(size) })
	defer done()
	check := func() error {
		switch {
		case doubted != nil && !bytes.Equal(sums.MD5(), doubted):
			return &Error{Side: SideSource, Class: Again, Reason: ReasonChanged, Err: errors.New("two reads differ")}
		case doubted == nil && !sums.Confirms():
			return &Error{Side: SideSource, Class: Again, Reason: ReasonChanged, Err: &doubtError{sums.MD5()}}
		case time.Since(opened) <= slowTransfer:
			return nil
		}
		return r.unchanged(upload, f, body.ETag)
	}
	if size == 0 { // nobody reads the body then
		if err := check(); err != nil {
			return size, err
		}
	}
	n := NewFile{
		Size:      size,
		ModTime:   modTime(body, f),
		CreatedAt: f.CreatedAt,
		MIME:      cmp.Or(body.MIME, f.MIME),
		Marks:     f.Marks,
		MD5:       ahead(f, claimed, doubted),
		Body:      tee{body, sums, size, check},
	}
	if body.Size > 0 && size <= heldBytes {
		n.Content = make([]byte, size)
		if _, err := io.ReadFull(n.Body, n.Content); err != nil {
			res.took.Source += sums.Waited()
			return size, err
		}
		n.Body = nil
		if f.Attempts == 0 {
			n.MD5 = sums.MD5()
		}
	}
	stored, err := to.put(upload, n)
	res.took.Source += sums.Waited()
	res.took.Target += time.Since(opened) - sums.Waited()
	return size, r.verify(ctx, j, res, to, sent{size, sums.Count(), sums.MD5()}, stored, err)
}

// send is put for one try: of what an archive brought, or of a reading.
func (r *run) send(ctx context.Context, j *job, res *Result, to place) (int64, error) {
	if j.content == nil {
		return r.stream(ctx, j, to, nil, res)
	}
	size := int64(len(j.content))
	if ctx.Err() != nil {
		return size, context.Cause(ctx)
	}
	claimed := parseClaims(j.Checksums)
	kind, other := claimed.strongest()
	if other != nil {
		other.Write(j.content)
	}
	if !claimed.hold(j.md5, kind, other) {
		return size, &Error{Side: SideSource, Class: Again, Reason: ReasonChanged, Err: &doubtError{j.md5}}
	}
	// What is at hand leaves at once: when ctx ends it is too late to cut it.
	upload, done := cutting(ctx, func() bool { return true })
	defer done()
	began := time.Now()
	stored, err := to.put(upload, NewFile{
		Size: size, ModTime: j.ModTime, CreatedAt: j.CreatedAt, MIME: j.MIME, Marks: j.Marks, MD5: j.md5, Content: j.content,
	})
	res.took.Target += time.Since(began)
	return size, r.verify(ctx, j, res, to, sent{size, size, j.md5}, stored, err)
}

// sent is what went to the target of a file of size bytes.
type sent struct {
	size, count int64 // bytes
	md5         []byte
}

// verify holds what the target stored against what was sent, and fills in the
// result of the file.
func (r *run) verify(ctx context.Context, j *job, res *Result, to place, what sent, stored Stored, err error) error {
	if err != nil && ctx.Err() != nil && what.count == what.size {
		stored, err = r.arrived(ctx, to, what, err)
	}
	if err != nil {
		return blame(err)
	}
	r.target.ok()
	// If we stop here, the file is in the target, perhaps without its marks, and
	// not in the ledger: see doc.go.
	failpoint.Here(failpoint.FileCreated)
	if what.count != what.size || stored.Size != what.size || !bytes.Equal(stored.MD5, what.md5) {
		to.bad(ctx, stored)
		return &Error{
			Side: SideTarget, Class: Again, Reason: ReasonCorrupt,
			Err: fmt.Errorf("stored %d bytes, md5 %x; sent %d bytes, md5 %x", stored.Size, stored.MD5, what.count, what.md5),
		}
	}
	res.fill(j.File, stored, what.md5)
	return nil
}

// claimsOf is what the source claims of a body. What it claimed in the listing was
// about the content of then.
func claimsOf(f File, body *Body) claims {
	if body.Checksums == "" && (body.ETag == f.ETag || body.ETag == "") {
		return parseClaims(f.Checksums)
	}
	return parseClaims(body.Checksums)
}

// ahead is the MD5 that goes before a body whose own is not known yet, so that the
// target refuses any other: what an earlier reading gave, else what the source claims.
// A claim that is wrong gets as far as the body's last bytes, see put. The target may
// refuse a body all the same; after a pass of that the file goes without, and is
// compared when it is there.
func ahead(f File, claimed claims, doubted []byte) []byte {
	if doubted == nil && f.Attempts == 0 {
		return claimed["MD5"]
	}
	return doubted
}

// body opens a file.
func (r *run) body(ctx context.Context, f File) (*Body, error) {
	body, err := r.open(ctx, f)
	if err != nil {
		return nil, err
	}
	if err := wantListedSize(f, body); err != nil {
		_ = body.Close()
		return nil, err
	}
	r.source.ok()
	return body, nil
}

// arrived looks whether a body that was sent whole is in the target although its
// answer was cut off with the slice: what is there has to be counted. Otherwise it
// gives the error of the upload.
func (r *run) arrived(ctx context.Context, to place, what sent, cause error) (Stored, error) {
	if r.lost() {
		return Stored{}, cause
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerGrace)
	defer cancel()
	stored, err := to.find(ctx)
	if err != nil || stored.Size != what.size || !bytes.Equal(stored.MD5, what.md5) {
		return Stored{}, cause
	}
	return stored, nil
}

// wantListedSize refuses a body of another size than was listed, while the ETag is
// the listed one: the file did not change, so its answer is not whole.
func wantListedSize(f File, body *Body) error {
	if f.Size == 0 || body.Size < 0 || body.Size == f.Size || body.ETag == "" || body.ETag != f.ETag {
		return nil // a size of 0 may mean that the listing did not say
	}
	return &Error{
		Side: SideSource, Class: Again, Reason: ReasonIncomplete,
		Err: fmt.Errorf("%d bytes were listed, %d are sent, and the etag is the same", f.Size, body.Size),
	}
}

// cutting gives the context of an upload. When ctx ends, a body that is still on
// its way is cut, and nothing of it stays in the target. Where that is too late,
// it gets its answer: the file is there, and has to be recorded.
func cutting(ctx context.Context, late func() bool) (context.Context, func()) {
	upload, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		if late() {
			time.AfterFunc(answerGrace, func() { cancel(context.Cause(ctx)) })
			return
		}
		cancel(context.Cause(ctx))
	})
	return upload, func() {
		stop()
		cancel(nil)
	}
}

func (res *Result) fill(f File, stored Stored, md5 []byte) {
	res.Size, res.MD5, res.TargetID = stored.Size, md5, stored.ID
	if stored.Name != f.Name {
		res.TargetName = stored.Name
	}
}

// blame finds who cut a transfer short: an error of the source's body comes back
// wrapped in the target's.
func blame(err error) error {
	var e *Error
	if !errors.As(err, &e) {
		return err
	}
	var source *Error
	if e.Side == SideTarget && errors.As(e.Err, &source) && source.Side == SideSource {
		return source
	}
	return err
}

// unchanged makes sure that a file did not change while it was read: then its
// bytes may be a mixture that no checksum of ours can tell.
func (r *run) unchanged(ctx context.Context, f File, etag string) error {
	now, err := r.cfg.Source.Stat(ctx, f.Path())
	if err != nil {
		return err
	}
	if etag != "" && now.ETag != "" && now.ETag != etag {
		return &Error{Side: SideSource, Class: Again, Reason: ReasonChanged, Err: errors.New("etag changed during the transfer")}
	}
	return nil
}

// sum gives the MD5 of a file, from its content where it is at hand.
func (r *run) sum(ctx context.Context, j job) ([]byte, error) {
	if j.content != nil {
		return j.md5, nil
	}
	return r.read(ctx, j.File)
}

// read gives the MD5 of a source file.
func (r *run) read(ctx context.Context, f File) ([]byte, error) {
	body, err := r.open(ctx, f)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	sums := newDigest(nil)
	if _, err := io.Copy(sums, body); err != nil {
		return nil, err
	}
	r.source.ok()
	return sums.MD5(), nil
}

// discard removes a copy that is not what was sent, also when the slice is being
// cut short. The ledger is told first: from then on nobody counts this copy, and
// whoever copies the file next removes it before. It refuses a holder whose term is
// over, whatever that one believes, for the next one may have found this very copy.
func (r *run) discard(ctx context.Context, j *job, id string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanup)
	defer cancel()
	// If we stop here, a copy with wrong bytes has the name, and nobody knows whose
	// it is: the file gets a number.
	_, err := retryLedger(ctx, func() (struct{}, error) { return struct{}{}, r.cfg.Ledger.Suspect(ctx, j.ID, id) })
	if err == nil {
		j.Suspects = append(j.Suspects, id)
		// If we stop here, the next holder removes the copy.
		failpoint.Here(failpoint.BadCopy)
		err = r.removeSuspects(ctx, j)
	}
	if err != nil {
		r.cfg.Logger.WarnContext(ctx, "bad copy not removed", "target_id", id, "error", err)
	}
}

// removeSuspects removes the bad copies of a file that were left behind.
func (r *run) removeSuspects(ctx context.Context, j *job) error {
	for len(j.Suspects) > 0 {
		if err := r.cfg.Target.Remove(ctx, j.Suspects[0]); err != nil {
			return err
		}
		j.Suspects = j.Suspects[1:]
	}
	return nil
}

// note adds something that the report has to say of a file that did arrive.
func (res *Result) note(text string) {
	if res.Note != "" {
		text = res.Note + "; " + text
	}
	res.Note = text
}

// modTime is what the file's own answer says, else the listing.
func modTime(body *Body, f File) time.Time {
	if !body.ModTime.IsZero() {
		return body.ModTime
	}
	return f.ModTime
}
