package page

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

const (
	every = time.Second
	// quiet is how long a stream may say nothing, lest something between takes it
	// for dead.
	quiet = 15 * time.Second
	// writeTime is how long a browser may take to read an event.
	writeTime = 10 * time.Second
)

// stream sends the answer of a question as server-sent events, whenever it has
// changed, until the browser leaves or the process stops.
func (p *Page) stream(w http.ResponseWriter, r *http.Request, ask func(context.Context) (any, error)) {
	select {
	case p.streams <- struct{}{}:
		defer func() { <-p.streams }()
	default:
		w.Header().Set("Retry-After", "10")
		p.refuse(w, http.StatusServiceUnavailable, "Too many browsers look at this process.")
		return
	}
	s := &events{w: w, control: http.NewResponseController(w)}
	// The server's limits are for answers that end.
	if err := s.control.SetReadDeadline(time.Time{}); err != nil {
		p.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if err := p.tell(r.Context(), s, ask); err != nil {
			return // the browser went away
		}
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		case <-p.cfg.Stopping:
			return
		}
	}
}

// tell asks once. A question that fails is told too, and asked again.
func (p *Page) tell(ctx context.Context, s *events, ask func(context.Context) (any, error)) error {
	asking, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	answer, err := ask(asking)
	kind := "state"
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		_, message := p.inWords(ctx, err)
		kind, answer = "trouble", map[string]string{"error": message}
	}
	data, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	return s.send(kind, data)
}

// events writes one stream.
type events struct {
	w       http.ResponseWriter
	control *http.ResponseController
	last    []byte
	sent    time.Time
}

func (s *events) send(kind string, data []byte) error {
	same := bytes.Equal(data, s.last)
	if same && time.Since(s.sent) < quiet {
		return nil
	}
	if err := s.control.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return err
	}
	s.last, s.sent = data, time.Now()
	if same {
		fmt.Fprint(s.w, ": still here\n\n")
	} else {
		fmt.Fprintf(s.w, "event: %s\ndata: %s\n\n", kind, data)
	}
	return s.control.Flush()
}
