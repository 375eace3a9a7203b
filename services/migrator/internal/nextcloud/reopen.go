package nextcloud

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/studio-b12/gowebdav"

	"example.org/ncm/services/migrator/internal/transfer"
)

const (
	// worthReopening is how many bytes have to be read before a body that broke off
	// is opened again: to read fewer of them twice costs less than it is worth. It is
	// also what a body has to bring before its failures count anew.
	worthReopening = 1 << 20
	// maxReopenings is how often in a row that may bring less.
	maxReopenings = 3
	// reopenPause is before the first of them, and doubles. The target waits as long.
	reopenPause = 200 * time.Millisecond
)

// errNotThere: the source did not give the part that was asked for.
var errNotThere = errors.New("the rest of the file was not given")

// lasting is the body of a file. Where it breaks off late, the source is asked for
// what is left of the very content that it announced, by its ETag; whatever else
// it has to say to that, the body ends with the error it had.
//
// Whether the bytes are right is for the transfer to find out, as of any body.
type lasting struct {
	ctx      context.Context // ends with the caller's, and when it is closed
	cancel   context.CancelFunc
	resource string
	etag     string // as the source wrote it; empty: it can't be asked for a part
	size     int64
	read     int64 // of the file
	counted  int64 // where read stood when barren began
	barren   int   // openings since
	err      error // for good

	mu   sync.Mutex // held while Read sets body and Close uses it
	body *body
}

// lasting gives a body that is opened again where that is possible.
func (c *call) lasting(b *body, resource string) *lasting {
	l := &lasting{body: b, resource: resource, size: b.size}
	l.ctx, l.cancel = context.WithCancel(c.watchdog.parent)
	if etag := c.header.Get("ETag"); strings.HasPrefix(etag, `"`) && len(etag) > 2 { // no weak one
		l.etag = etag
	}
	return l
}

// Read implements io.Reader.
func (l *lasting) Read(p []byte) (int, error) {
	for l.err == nil {
		n, err := l.body.Read(p)
		l.read += int64(n)
		if err == nil || errors.Is(err, io.EOF) {
			l.err = err
			return n, err
		}
		if !l.mayReopen(err) {
			l.err = err
			return n, err
		}
		if n > 0 {
			return n, nil // the error stays, for the next call
		}
		l.err = l.reopen(err)
	}
	return 0, l.err
}

func (l *lasting) mayReopen(err error) bool {
	var e *transfer.Error
	return l.etag != "" && l.read >= worthReopening && l.read < l.size && l.ctx.Err() == nil &&
		errors.As(err, &e) && e.Class == transfer.Again
}

// reopen goes on where the body broke off, or gives the error to end it with.
func (l *lasting) reopen(broke error) error {
	_ = l.body.Close() // it is broken
	if l.read-l.counted >= worthReopening {
		l.counted, l.barren = l.read, 0
	}
	for ; l.barren < maxReopenings; l.barren++ {
		timer := time.NewTimer(reopenPause << l.barren)
		select {
		case <-timer.C:
		case <-l.ctx.Done():
			timer.Stop()
			return l.ctx.Err()
		}
		source := l.body.call.source
		c := source.newCall(l.ctx, l.body.call.root)
		b, err := c.rest(l.resource, l.etag, l.read, l.size)
		if err == nil {
			source.logger.DebugContext(l.ctx, "a body that broke off goes on", "path", c.url.Path, "offset", l.read, "size", l.size)
			l.barren++
			return l.goOn(b)
		}
		c.watchdog.release()
		e := transfer.AsError(err)
		switch {
		case l.ctx.Err() != nil:
			return l.ctx.Err()
		case e.Reason == transfer.ReasonLoginRefused, e.Reason == transfer.ReasonChanged:
			return err
		case e.Class != transfer.Again, e.RetryAfter > 0, errors.Is(err, errNotThere):
			return broke
		}
	}
	return broke
}

// goOn takes the rest for the body, unless that was closed.
func (l *lasting) goOn(b *body) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx.Err() != nil {
		_ = b.Close()
		return l.ctx.Err()
	}
	l.body = b
	return nil
}

// Close gives the connection up unless the body was read to its end. It may be called
// beside Read, which then ends.
func (l *lasting) Close() error {
	l.cancel()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.body.Close()
}

// rest asks for a file from an offset on. gowebdav's own way takes the whole file
// for an empty rest, where a server knows no ranges.
func (c *call) rest(resource, etag string, offset, size int64) (*body, error) {
	address := url.URL{Path: gowebdav.Join(c.source.files, resource)}
	req, err := http.NewRequestWithContext(c.watchdog.ctx, http.MethodGet, placeholder+address.EscapedPath(), http.NoBody)
	if err != nil {
		return nil, c.failed()
	}
	req.Header.Set("Range", fmt.Sprintf("bytes=%d-", offset))
	req.Header.Set("If-Match", etag)
	if err := c.source.auth.Authorize(nil, req, ""); err != nil {
		return nil, c.fail(err)
	}
	resp, err := c.RoundTrip(req) //nolint:bodyclose // the body closes it
	var status statusError
	switch {
	case errors.As(err, &status) && status == http.StatusOK:
		return nil, c.fail(errNotThere)
	case err != nil:
		return nil, err
	}
	b := c.body(resp.Body)
	want := fmt.Sprintf("bytes %d-%d/%d", offset, size-1, size)
	told := c.header.Get("ETag")
	if c.header.Get("Content-Range") != want || told != "" && told != etag {
		_ = b.Close()
		return nil, c.fail(errNotThere)
	}
	b.size = size - offset
	return b, nil
}
