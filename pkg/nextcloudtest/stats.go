package nextcloudtest

import (
	"io"
	"maps"
	"net/http"
	"sync"
)

// Stats counts what a server has answered, without the calls under /_sim/.
type Stats struct {
	Requests    map[string]int64 `json:"requests"` // by method
	Statuses    map[int]int64    `json:"statuses"` // by HTTP status; 0: no answer
	Sent        int64            `json:"sent"`     // bytes of answer bodies
	InFlight    int64            `json:"in_flight"`
	MaxInFlight int64            `json:"max_in_flight"`
}

type stats struct {
	mu  sync.Mutex
	now Stats
}

func newStats() stats {
	return stats{now: Stats{Requests: make(map[string]int64), Statuses: make(map[int]int64)}}
}

// Stats since the start or the last ResetStats.
func (s *Server) Stats() Stats {
	s.stats.mu.Lock()
	defer s.stats.mu.Unlock()
	out := s.stats.now
	out.Requests = maps.Clone(out.Requests)
	out.Statuses = maps.Clone(out.Statuses)
	return out
}

// ResetStats starts the counts again; running requests stay counted as such.
func (s *Server) ResetStats() {
	s.stats.mu.Lock()
	defer s.stats.mu.Unlock()
	running := s.stats.now.InFlight
	s.stats.now = newStats().now
	s.stats.now.InFlight, s.stats.now.MaxInFlight = running, running
}

func (st *stats) begin(w http.ResponseWriter) *countingWriter {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.now.InFlight++
	st.now.MaxInFlight = max(st.now.MaxInFlight, st.now.InFlight)
	return &countingWriter{ResponseWriter: w}
}

func (st *stats) end(w *countingWriter, r *http.Request) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.now.InFlight--
	st.now.Requests[r.Method]++
	st.now.Statuses[w.status]++
	st.now.Sent += w.bytes
}

// countingWriter notes the status and the bytes of an answer and keeps the quick
// way from a file to a socket open.
type countingWriter struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (w *countingWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *countingWriter) Write(b []byte) (int, error) {
	n, err := w.ResponseWriter.Write(b)
	w.bytes += int64(n)
	return n, err
}

func (w *countingWriter) ReadFrom(r io.Reader) (int64, error) {
	n, err := io.Copy(w.ResponseWriter, r)
	w.bytes += n
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (w *countingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
