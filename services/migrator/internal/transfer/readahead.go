package transfer

import (
	"io"
	"net/http"
	"sync"
)

// What is read ahead of a large file: enough for the source to be read while the
// bytes before are summed and sent, little enough for many such files at once.
const (
	aheadBlocks = 3
	aheadBlock  = 64 << 10 // bytes
)

// readahead reads a body while what came before is summed and sent, which one goroutine
// would do in turns. One large file is as quick as the slowest of these then, instead
// of as all of them together. Read by one goroutine; Close is safe beside that.
type readahead struct {
	body io.ReadCloser
	free chan []byte
	full chan block // in order; closed when nothing more will come
	over chan struct{}
	once sync.Once

	now  []byte // the block that is handed out, to be given back
	left []byte // of it
	err  error  // after it
}

// block is what one read brought.
type block struct {
	bytes []byte
	err   error
}

func readAhead(body io.ReadCloser) *readahead {
	a := &readahead{
		body: body,
		free: make(chan []byte, aheadBlocks), full: make(chan block, aheadBlocks),
		over: make(chan struct{}),
	}
	for range aheadBlocks {
		a.free <- make([]byte, aheadBlock)
	}
	go a.fill()
	return a
}

// fill reads into free blocks until the body ends. There are as many places in full
// as blocks, so that only a free block is ever waited for.
func (a *readahead) fill() {
	defer close(a.full)
	for {
		select {
		case <-a.over:
			return
		case buf := <-a.free:
			n, err := a.body.Read(buf)
			a.full <- block{buf[:n], err}
			if err != nil {
				return
			}
		}
	}
}

// Read implements io.Reader. What came before an error is handed out before it.
func (a *readahead) Read(p []byte) (int, error) {
	for len(a.left) == 0 {
		if a.err != nil {
			return 0, a.err
		}
		if a.now != nil {
			a.free <- a.now[:aheadBlock]
			a.now = nil
		}
		next, ok := <-a.full
		if !ok {
			return 0, http.ErrBodyReadAfterClose
		}
		a.now, a.left, a.err = next.bytes, next.bytes, next.err
	}
	n := copy(p, a.left)
	a.left = a.left[n:]
	return n, nil
}

// Close ends a read that waits for the source, and returns when nobody reads the
// body any more.
func (a *readahead) Close() (err error) {
	a.once.Do(func() {
		close(a.over)
		err = a.body.Close()
		for range a.full { //nolint:revive // until it is closed
		}
	})
	return err
}
