package nextcloudtest

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// instead says whether the fault has an answer of its own.
func (f *Fault) instead() bool {
	return f.Status != 0 || f.RedirectTo != "" || f.Hang || f.Drop ||
		f.MalformedMultistatus || f.EndlessMultistatus || f.HostileHrefs || f.XMLBomb
}

// answerInstead gives the fault's own answer.
func (s *Server) answerInstead(w http.ResponseWriter, r *http.Request, f *Fault) {
	setCommonHeaders(w.Header(), s.requestID(), s.cfg.Version)
	f.setHeaders(w.Header())
	switch {
	case f.Hang:
		_, _ = io.Copy(io.Discard, r.Body) // net/http only notices a client that leaves once the body is read
		<-r.Context().Done()
	case f.Drop:
		reset(w)
	case f.RedirectTo != "":
		w.Header().Set("Location", f.RedirectTo)
		writeChunked(w, max(f.Status, http.StatusFound), typeHTML, "")
	case f.MalformedMultistatus, f.EndlessMultistatus, f.HostileHrefs, f.XMLBomb:
		s.answerHostile(w, r, f)
	case f.Page:
		writeNginx(w, f.Status)
	case f.Exception != "":
		writeError(w, &davError{status: f.Status, exception: f.Exception, message: f.Message})
	default:
		if w.Header().Get("Content-Type") == "" {
			w.Header().Set("Content-Type", typeHTML)
		}
		w.WriteHeader(f.Status)
		_, _ = io.WriteString(w, f.Body)
		flush(w)
	}
}

func (f *Fault) setHeaders(h http.Header) {
	for k, v := range f.Header {
		h.Set(k, v)
	}
	if f.RetryAfter > 0 {
		h.Set("Retry-After", strconv.FormatInt(int64(f.RetryAfter/time.Second), 10))
	}
}

// errSpoiled ends the copying of a body that a fault has cut.
var errSpoiled = errors.New("answer spoiled on order")

// spoiledWriter changes the true answer on its way out.
type spoiledWriter struct {
	http.ResponseWriter
	r       *http.Request
	fault   *Fault
	wrote   bool
	sent    int64 // bytes of the body so far
	limit   int64 // what fits into a Content-Length that is too small; 0: no limit
	stalled bool
	cut     bool
}

// Unwrap is not offered: a flush in the true answer must not pass by a fault.

func (w *spoiledWriter) WriteHeader(status int) {
	if w.wrote {
		return
	}
	w.wrote = true
	h := w.Header()
	w.fault.setHeaders(h)
	if n, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64); err == nil {
		switch {
		case w.fault.Overlong > 0:
			delete(h, "Content-Length")
		case w.fault.WrongContentLength != 0:
			w.limit = max(n+w.fault.WrongContentLength, 1)
			h.Set("Content-Length", strconv.FormatInt(w.limit, 10))
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *spoiledWriter) Write(b []byte) (int, error) {
	if !w.wrote {
		w.WriteHeader(http.StatusOK)
	}
	if w.cut {
		return 0, errSpoiled
	}
	if at := w.fault.CorruptByte - 1 - w.sent; w.fault.CorruptByte > 0 && at >= 0 && at < int64(len(b)) {
		b = bytes.Clone(b)
		b[at] ^= 0xff
	}
	if over := w.sent + int64(len(b)) - w.limit; w.limit > 0 && over > 0 {
		b = b[:max(int64(len(b))-over, 0)]
	}
	end, act := w.next()
	if act == nil || w.sent+int64(len(b)) < end {
		n, err := w.ResponseWriter.Write(b)
		w.sent += int64(n)
		return n, err
	}
	head := b[:max(end-w.sent, 0)]
	n, err := w.ResponseWriter.Write(head)
	w.sent += int64(n)
	if err != nil {
		return n, err
	}
	if err := act(); err != nil {
		return n, err
	}
	rest, err := w.Write(b[len(head):])
	return n + rest, err
}

// next is where something happens to the body, and what.
func (w *spoiledWriter) next() (end int64, act func() error) {
	f := w.fault
	switch {
	case f.StallAfter > 0 && !w.stalled:
		return f.StallAfter, w.stall
	case f.ResetAfter > 0:
		return f.ResetAfter, func() error {
			w.cut = true
			flush(w.ResponseWriter)
			reset(w.ResponseWriter)
			return errSpoiled
		}
	case f.TruncateAfter > 0:
		return f.TruncateAfter, func() error {
			w.cut = true
			return errSpoiled
		}
	default:
		return 0, nil
	}
}

func (w *spoiledWriter) stall() error {
	w.stalled = true
	flush(w.ResponseWriter)
	if w.fault.StallFor > 0 {
		if pause(w.r, w.fault.StallFor) {
			return nil
		}
	} else {
		<-w.r.Context().Done()
	}
	w.cut = true
	return errSpoiled
}

// Flush passes on what is allowed to be sent.
func (w *spoiledWriter) Flush() {
	if !w.cut {
		flush(w.ResponseWriter)
	}
}

// finish adds what is too much.
func (w *spoiledWriter) finish() {
	if w.fault.Overlong > 0 && !w.cut {
		_, _ = w.ResponseWriter.Write(bytes.Repeat([]byte{'x'}, int(w.fault.Overlong)))
	}
}

// reset takes the connection away and ends it with a TCP reset.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	if t, ok := conn.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
		_ = t.Close()
	}
}

// slowWriter spreads a body over time.
type slowWriter struct {
	http.ResponseWriter
	r         *http.Request
	perSecond int64
}

func (w *slowWriter) Write(b []byte) (int, error) {
	done := 0
	for len(b) > 0 {
		n := min(int64(len(b)), max(w.perSecond/50, 1))
		k, err := w.ResponseWriter.Write(b[:n])
		done += k
		if err != nil {
			return done, err
		}
		flush(w.ResponseWriter)
		if !pause(w.r, time.Duration(n)*time.Second/time.Duration(w.perSecond)) {
			return done, errSpoiled
		}
		b = b[n:]
	}
	return done, nil
}

// Unwrap lets http.ResponseController reach the connection.
func (w *slowWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// discardWriter takes the answer of a request that is only carried out.
type discardWriter struct{ header http.Header }

func (w *discardWriter) Header() http.Header         { return w.header }
func (w *discardWriter) WriteHeader(int)             {}
func (w *discardWriter) Write(b []byte) (int, error) { return len(b), nil }
