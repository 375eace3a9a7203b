package cozy

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Upload is a file to be created, or the content that replaces another.
type Upload struct {
	DirID      string // to create
	Name       string // to create
	Size       int64  // bytes, exact
	Times      Times
	MD5        []byte // 16 bytes when it is known before: the stack then checks it
	MIME       string // empty: the stack goes by the name
	Executable bool
	Tags       []string // without comma, and without space at either end
	MetadataID string   // of AddMetadata
	// Body is read once, up to Size bytes, and not any more after Upload has
	// returned. It is closed when it is an io.Closer.
	Body io.Reader
	// Content is the file instead of Body where all of it is at hand. It must never
	// be changed again.
	Content []byte
}

// Upload creates a file. An answer that comes before the body is sent ends the
// upload and is reported like any other. A refused token is replaced, but the
// body is gone: the error then wraps ErrTokenRefreshed. Errors of the body are
// wrapped. Nothing of a broken upload remains in the instance, but after a lost
// answer the file may be there.
func (i *Instance) Upload(ctx context.Context, u Upload) (File, error) {
	path := append([]byte(filePath(u.DirID)), "?Type=file&Name="...)
	path = append(appendEscaped(path, u.Name), '&')
	return i.upload(ctx, sending{op: "upload file", method: http.MethodPost, path: string(path), Upload: u})
}

// Replace gives a file another content, as Upload does; the one before becomes a
// version. Executable, tags and metadata become those of u, the dates as well but
// for the creation's. rev is what the file has to be at still: IsStale tells that
// it is not, IsNotFound that it is gone or in the trash.
func (i *Instance) Replace(ctx context.Context, id, rev string, u Upload) (File, error) {
	return i.upload(ctx, sending{op: "replace file", method: http.MethodPut, path: filePath(id) + "?", rev: rev, Upload: u})
}

// sending is an upload and where it goes.
type sending struct {
	Upload
	op, method, path string // the path with the beginning of its query
	rev              string // for If-Match; empty: whatever it is
}

func (i *Instance) upload(ctx context.Context, s sending) (File, error) {
	token, err := i.token(ctx, s.op, "")
	if err != nil {
		return File{}, err
	}
	var answer struct {
		Data fileJSON `json:"data"`
	}
	err = i.stream(ctx, s, token, &answer)
	if IsTokenRefused(err) {
		if _, err := i.token(ctx, s.op, token); err != nil {
			return File{}, err
		}
		return File{}, fmt.Errorf("%s: %w", s.op, ErrTokenRefreshed)
	}
	if err != nil {
		return File{}, err
	}
	return answer.Data.file(s.op)
}

// stream sends the file and reads the answer.
func (i *Instance) stream(ctx context.Context, s sending, token string, into any) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	body := newUploadBody(s.Body, s.Size, i.stack.stall, cancel)
	defer body.release()

	req, err := i.uploadRequest(ctx, s, token, body)
	if err != nil {
		return fmt.Errorf("%s: %w", s.op, err)
	}
	res, err := i.stack.http.Do(req)
	if err != nil {
		return fmt.Errorf("%s: %w", s.op, body.causeOf(ctx, withoutURL(err)))
	}
	defer res.Body.Close()
	err = i.stack.readAnswer(s.op, res, maxFiles, into)
	if err != nil && errors.Is(context.Cause(ctx), ErrStalled) {
		return fmt.Errorf("%s: %w", s.op, ErrStalled)
	}
	return err
}

func (i *Instance) uploadRequest(ctx context.Context, u sending, token string, body *uploadBody) (*http.Request, error) {
	target := make([]byte, 0, 256)
	target = append(target, i.stack.scheme+"://"+i.host+u.path+"Size="...)
	target = strconv.AppendInt(target, u.Size, 10)
	target = appendTimes(target, u.Times)
	if u.Executable {
		target = append(target, "&Executable=true"...)
	}
	target = appendTags(target, u.Tags)
	if u.MetadataID != "" {
		target = appendEscaped(append(target, "&MetadataID="...), u.MetadataID)
	}
	var content io.Reader = http.NoBody
	if u.Content != nil {
		content = bytes.NewReader(u.Content) // goes into one packet with the head, which any other reader does not
	}
	req, err := http.NewRequestWithContext(ctx, u.method, string(target), content)
	if err != nil {
		return nil, withoutURL(err)
	}
	if u.Size > 0 && u.Content == nil {
		req.Body = body
		// Always announced: of a chunked upload that is cut off the stack keeps
		// what it got.
		req.ContentLength = u.Size
	}
	req.Header["Authorization"] = []string{"Bearer " + token}
	if u.rev != "" {
		req.Header["If-Match"] = []string{u.rev} // quotes would be part of it
	}
	if len(u.MD5) > 0 {
		req.Header["Content-Md5"] = []string{base64.StdEncoding.EncodeToString(u.MD5)}
	}
	if u.MIME != "" {
		req.Header["Content-Type"] = []string{u.MIME}
	}
	return req, nil
}

// uploadBody gives a body to net/http, which may read on after it has answered,
// and takes it away again. It also watches for the stack to stall.
type uploadBody struct {
	source io.Reader // nil where the whole content was handed over
	stall  time.Duration
	cancel context.CancelCauseFunc
	timer  *time.Timer
	start  time.Time
	closed atomic.Bool
	turn   atomic.Int64 // when the stack was last given the turn, after start; sourceTurn while source is read

	mu   sync.Mutex // held while source is read
	left int64
	err  error // what the source failed with
}

// sourceTurn is the value of turn while the source is waited for.
const sourceTurn = -1

func newUploadBody(source io.Reader, size int64, stall time.Duration, cancel context.CancelCauseFunc) *uploadBody {
	b := &uploadBody{source: source, stall: stall, cancel: cancel, start: time.Now(), left: size}
	b.timer = time.AfterFunc(math.MaxInt64, b.watch)
	b.timer.Reset(stall)
	return b
}

// watch gives the upload up when it is the stack that is waited for, and looks
// again later otherwise. Setting the timer anew at each read costs more than all
// the rest of an upload.
func (b *uploadBody) watch() {
	if b.closed.Load() {
		return
	}
	wait := b.stall
	if turn := b.turn.Load(); turn != sourceTurn {
		if wait = time.Duration(turn) + b.stall - time.Since(b.start); wait <= 0 {
			b.cancel(ErrStalled)
			return
		}
	}
	b.timer.Reset(wait)
}

func (b *uploadBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	if b.left == 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	b.turn.Store(sourceTurn)
	n, err := b.source.Read(p)
	b.turn.Store(int64(time.Since(b.start)))
	b.left -= int64(n)
	switch {
	case b.left == 0:
		err = nil
	case errors.Is(err, io.EOF):
		err = ErrBodyShort
	}
	if !b.closed.Load() {
		b.err = err // what a read fails with after the end was our own doing
	}
	return n, err
}

// Close is called by net/http when it is done with the body. The time that the
// stack needs for its answer is still watched.
func (b *uploadBody) Close() error { return nil }

// release takes the body back: the source is not read any more.
func (b *uploadBody) release() {
	b.closed.Store(true)
	b.timer.Stop()
	// The source is closed first: that wakes up a Read that waits for bytes.
	if closer, ok := b.source.(io.Closer); ok {
		_ = closer.Close()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
}

// causeOf finds what made a request fail: the body, a stall or the connection.
func (b *uploadBody) causeOf(ctx context.Context, err error) error {
	b.release()
	if errors.Is(context.Cause(ctx), ErrStalled) {
		return ErrStalled
	}
	if b.err != nil {
		return b.err
	}
	return err
}
