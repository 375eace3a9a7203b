package transfer_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"

	"example.org/ncm/services/migrator/internal/transfer"
)

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{}).Read(b)
	return b
}

func TestWhatIsReadAheadIsTheBody(t *testing.T) {
	t.Parallel()
	content := randomBytes(5*transfer.AheadBlock + 77)
	for name, slow := range map[string]func(io.Reader) io.Reader{
		"whole blocks":       func(r io.Reader) io.Reader { return r },
		"byte by byte":       iotest.OneByteReader,
		"halves":             iotest.HalfReader,
		"end with last data": iotest.DataErrReader,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body := transfer.ReadAhead(io.NopCloser(slow(bytes.NewReader(content))))
			if err := iotest.TestReader(body, content); err != nil {
				t.Error(err)
			}
			if err := body.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestWhatCameBeforeAnErrorIsReadBeforeIt(t *testing.T) {
	t.Parallel()
	content, broken := randomBytes(transfer.AheadBlock+1), errors.New("broken")
	body := transfer.ReadAhead(io.NopCloser(io.MultiReader(bytes.NewReader(content), iotest.ErrReader(broken))))
	got, err := io.ReadAll(body)
	if !bytes.Equal(got, content) || !errors.Is(err, broken) {
		t.Errorf("%d bytes of %d, equal: %t; error %v", len(got), len(content), bytes.Equal(got, content), err)
	}
	if n, err := body.Read(make([]byte, 1)); n != 0 || !errors.Is(err, broken) {
		t.Errorf("then %d bytes and error %v", n, err)
	}
	if err := body.Close(); err != nil {
		t.Error(err)
	}
}

// counted is an endless body that counts what is read of it.
type counted struct{ n atomic.Int64 }

func (c *counted) Read(p []byte) (int, error) {
	c.n.Add(int64(len(p)))
	return len(p), nil
}

func (c *counted) Close() error { return nil }

func TestNoMoreIsReadAheadThanThereIsRoomFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		source := &counted{}
		body := transfer.ReadAhead(source)
		defer body.Close()
		const room = transfer.AheadBlocks * transfer.AheadBlock
		if _, err := body.Read(make([]byte, 1)); err != nil { // the first byte of a block gives the one before back
			t.Fatal(err)
		}
		for taken := range int64(3) {
			synctest.Wait()
			if got := source.n.Load(); got != room+taken*transfer.AheadBlock {
				t.Errorf("%d bytes were read with %d blocks taken, and there is room for %d", got, taken, int64(room))
			}
			if _, err := io.CopyN(io.Discard, body, transfer.AheadBlock); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// silent is a body that brings nothing until it is closed.
type silent struct{ closed chan struct{} }

func (s silent) Read([]byte) (int, error) {
	<-s.closed
	return 0, io.ErrClosedPipe
}

func (s silent) Close() error {
	close(s.closed)
	return io.ErrUnexpectedEOF
}

func TestClosingEndsAReadThatWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		body := transfer.ReadAhead(silent{make(chan struct{})})
		ended := make(chan error, 1)
		go func() {
			_, err := body.Read(make([]byte, 1))
			ended <- err
		}()
		synctest.Wait()
		if err := body.Close(); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("close: %v", err)
		}
		if err := <-ended; err == nil {
			t.Error("the read ended well")
		}
		if err := body.Close(); err != nil {
			t.Errorf("closed again: %v", err)
		}
		if n, err := body.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("%d bytes after the end, error %v", n, err)
		}
	})
}
