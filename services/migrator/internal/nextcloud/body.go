package nextcloud

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// body reads an answer and fails unless it is exactly as long as announced.
// Its errors are classified and stay.
type body struct {
	io.Reader
	call   *call
	closer io.Closer
	size   int64 // -1 unknown
	read   int64
	err    error
}

func (c *call) body(stream io.ReadCloser) *body {
	return &body{Reader: stream, call: c, closer: stream, size: c.length}
}

// measure finds the size of a body that was announced without: an empty file has
// no Content-Length. Where only the end of the connection ends the body, empty
// and cut are the same, and the size stays unknown.
func (b *body) measure() error {
	if b.size >= 0 || !b.call.framed {
		return nil
	}
	first := make([]byte, 1)
	_, err := io.ReadFull(b, first)
	if errors.Is(err, io.EOF) {
		b.size = 0
		return nil
	}
	b.Reader = io.MultiReader(bytes.NewReader(first), b.Reader)
	b.read = 0
	return err
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	b.call.watchdog.arm()
	n, err := b.Reader.Read(p)
	b.call.watchdog.disarm()
	b.read += int64(n)
	if err = b.check(err); err != nil && !errors.Is(err, io.EOF) {
		err = b.call.fail(err)
	}
	b.err = err
	return n, err
}

// check compares what came with what was announced.
func (b *body) check(err error) error {
	switch {
	case b.size >= 0 && b.read > b.size:
		return fmt.Errorf("%w: more than %d bytes", errCut, b.size)
	case errors.Is(err, io.ErrUnexpectedEOF), b.size >= 0 && b.read < b.size && errors.Is(err, io.EOF):
		return fmt.Errorf("%w: ended after %d of %d bytes", errCut, b.read, b.size)
	}
	return err
}

// Close gives the connection up unless the body was read to its end.
func (b *body) Close() error {
	err := b.closer.Close()
	b.call.watchdog.release()
	return err
}
