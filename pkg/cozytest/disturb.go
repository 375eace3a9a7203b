package cozytest

import (
	"io"
	"net/http"
	"strconv"
	"time"
)

// disturb lets a request through to next, with whatever latency and fault
// there is for it.
func (s *Stack) disturb(w http.ResponseWriter, r *http.Request, next http.HandlerFunc) {
	pause(r.Context(), time.Duration(s.latency.Load()))
	f := s.faults.pick(r)
	if f == nil {
		next(w, r)
		return
	}
	pause(r.Context(), f.Delay)
	if limit := newBandwidth(f.BytesPerSecond); limit != nil {
		r.Body = struct {
			io.Reader
			io.Closer
		}{&slowReader{ctx: r.Context(), src: r.Body, limit: limit}, r.Body}
	}
	if f.CorruptByte > 0 {
		r.Body = struct {
			io.Reader
			io.Closer
		}{&corruptReader{src: r.Body, left: f.CorruptByte}, r.Body}
	}
	switch {
	case f.Hang:
		s.hang(r)
		reset(w)
	case f.ResetBeforeBody:
		reset(w)
	case f.ResetMidBody:
		readHalf(r)
		reset(w)
	case f.AfterCommit:
		next(newAnswer(), r)
		f.lose(w)
	case f.CutAnswer:
		cutAnswer(w, r, next)
	case f.Status != 0:
		f.answer(w, r)
	default:
		next(w, r)
	}
}

// corruptReader flips the bits of one byte.
type corruptReader struct {
	src  io.Reader
	left int64 // bytes up to that one, and with it
}

func (c *corruptReader) Read(p []byte) (int, error) {
	n, err := c.src.Read(p)
	if at := c.left - 1; at >= 0 && at < int64(n) {
		p[at] ^= 0xff
	}
	c.left -= int64(n)
	return n, err
}

// hang ends with the request or the stack. The body is read in the meantime:
// the server notices a client that left only when it can read.
func (s *Stack) hang(r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	select {
	case <-r.Context().Done():
	case <-s.life.Done():
	}
}

func readHalf(r *http.Request) {
	const unknown = 4 << 10
	half := int64(unknown)
	if r.ContentLength >= 0 {
		half = r.ContentLength / 2
	}
	_, _ = io.CopyN(io.Discard, r.Body, half)
}

func (f *Fault) answer(w http.ResponseWriter, r *http.Request) {
	if !f.AnswerEarly {
		_, _ = io.Copy(io.Discard, r.Body)
		f.write(w)
		return
	}
	// Without these the server reads on before it sends the answer.
	controller := http.NewResponseController(w)
	_ = controller.EnableFullDuplex()
	w.Header().Set("Connection", "close")
	f.write(w)
	_ = controller.Flush()
}

func (f *Fault) write(w http.ResponseWriter) {
	contentType := f.ContentType
	if contentType == "" {
		contentType = typePlain
	}
	w.Header().Set("Content-Type", contentType)
	if f.RetryAfter != "" {
		w.Header().Set("Retry-After", f.RetryAfter)
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(f.Body)))
	w.WriteHeader(f.Status)
	_, _ = io.WriteString(w, f.Body)
}

func (f *Fault) lose(w http.ResponseWriter) {
	if f.Status != 0 {
		f.write(w)
		return
	}
	reset(w)
}

// cutAnswer promises the whole answer and sends half of it.
func cutAnswer(w http.ResponseWriter, r *http.Request, next http.HandlerFunc) {
	a := newAnswer()
	next(a, r)
	for name, values := range a.header {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body[:len(a.body)/2])
	_ = http.NewResponseController(w).Flush()
	reset(w)
}

// answer keeps what a handler answers. It is for small answers only.
type answer struct {
	header http.Header
	status int
	body   []byte
}

func newAnswer() *answer { return &answer{header: make(http.Header), status: http.StatusOK} }

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) { a.status = status }

func (a *answer) Write(p []byte) (int, error) {
	a.body = append(a.body, p...)
	return len(p), nil
}

// lingering is what both TCP and TLS connections may offer through NetConn.
type lingering interface{ SetLinger(seconds int) error }

// reset ends the connection with a TCP reset where the server allows it.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // the documented way to cut an answer off
	}
	if tcp, ok := conn.(lingering); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
