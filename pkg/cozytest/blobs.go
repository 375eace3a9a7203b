package cozytest

import (
	"crypto/md5"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
)

// blobStore takes in the contents of files. It holds one small buffer for each
// body under way and nothing else.
type blobStore struct {
	dir   string // empty: contents are dropped
	last  atomic.Uint64
	tools sync.Pool // *tools
}

type tools struct {
	buffer []byte
	hash   hash.Hash
}

// blob is a content that was received. The zero key means that only its size
// and digest are known.
type blob struct {
	key  uint64
	size int64
	md5  [md5.Size]byte
}

const bufferSize = 32 << 10

var errOverLimit = errors.New("more bytes than allowed")

// brokenBody wraps what ended a request body before its end.
type brokenBody struct{ cause error }

func (e *brokenBody) Error() string { return "read body: " + e.cause.Error() }
func (e *brokenBody) Unwrap() error { return e.cause }

func newBlobStore(dir string) *blobStore {
	return &blobStore{
		dir: dir,
		tools: sync.Pool{New: func() any {
			return &tools{buffer: make([]byte, bufferSize), hash: md5.New()}
		}},
	}
}

// receive reads a body to its end. A body that breaks off gives the blob of
// what came and a *brokenBody; one over the limit (negative: none) gives
// errOverLimit and keeps nothing.
func (b *blobStore) receive(body io.Reader, limit int64) (blob, error) {
	t, _ := b.tools.Get().(*tools)
	defer b.tools.Put(t)
	t.hash.Reset()
	if b.dir == "" {
		size, err := t.copy(io.Discard, body, limit)
		return t.blob(0, size), err
	}
	key := b.last.Add(1)
	file, err := b.create(key)
	if err != nil {
		return blob{}, fmt.Errorf("create content: %w", err)
	}
	size, err := t.copy(file, body, limit)
	if closeErr := file.Close(); err == nil && closeErr != nil {
		err = fmt.Errorf("close content: %w", closeErr)
	}
	var broken *brokenBody
	if err != nil && !errors.As(err, &broken) {
		b.remove(key)
		return blob{}, err
	}
	return t.blob(key, size), err
}

func (t *tools) blob(key uint64, size int64) blob {
	received := blob{key: key, size: size}
	t.hash.Sum(received.md5[:0])
	return received
}

func (t *tools) copy(dst io.Writer, body io.Reader, limit int64) (int64, error) {
	var size int64
	for {
		n, err := body.Read(t.buffer)
		size += int64(n)
		if limit >= 0 && size > limit {
			return size, errOverLimit
		}
		t.hash.Write(t.buffer[:n])
		if _, writeErr := dst.Write(t.buffer[:n]); writeErr != nil {
			return size, fmt.Errorf("write content: %w", writeErr)
		}
		if errors.Is(err, io.EOF) {
			return size, nil
		}
		if err != nil {
			return size, &brokenBody{err}
		}
	}
}

func (b *blobStore) path(key uint64) string {
	const folders = 256
	return filepath.Join(b.dir, strconv.FormatUint(key%folders, 16), strconv.FormatUint(key, 16))
}

func (b *blobStore) create(key uint64) (*os.File, error) {
	path := b.path(key)
	file, err := os.Create(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return nil, err
		}
		return os.Create(path)
	}
	return file, err
}

func (b *blobStore) open(key uint64) (*os.File, error) {
	if key == 0 {
		return nil, fs.ErrNotExist
	}
	return os.Open(b.path(key))
}

func (b *blobStore) remove(key uint64) {
	if key != 0 {
		_ = os.Remove(b.path(key))
	}
}

// duplicate gives a content a second home.
func (b *blobStore) duplicate(source blob) (blob, error) {
	if source.key == 0 {
		return source, nil
	}
	file, err := b.open(source.key)
	if err != nil {
		return blob{}, fmt.Errorf("open content: %w", err)
	}
	defer file.Close()
	return b.receive(file, -1)
}
