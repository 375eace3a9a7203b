package cozytest

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/coder/websocket"
)

// Events that subscribers are told of.
const (
	eventCreated = "CREATED"
	eventUpdated = "UPDATED"
	eventDeleted = "DELETED"
)

// hub hands an instance's events to its subscribers.
type hub struct {
	count atomic.Int32
	mu    sync.Mutex
	subs  map[*subscriber]bool
}

// subscriber is one websocket connection. One that does not read is cut.
type subscriber struct {
	conn   *websocket.Conn
	queue  chan []byte
	cancel context.CancelFunc

	mu     sync.Mutex
	topics map[topic]bool
}

type topic struct {
	Type string `json:"type"`
	ID   string `json:"id"`
}

type command struct {
	Method  string          `json:"method"`
	Payload json.RawMessage `json:"payload"`
}

type message struct {
	Event   string `json:"event"`
	Payload any    `json:"payload"`
}

type eventPayload struct {
	Type string `json:"type"`
	ID   string `json:"id"`
	Doc  any    `json:"doc,omitempty"`
}

const subscriberQueue = 4096

// announce tells of a node's change. Needs the lock.
func (inst *Instance) announce(event string, n *node) {
	inst.hub.publish(event, doctypeFiles, n.id, n.event)
}

// publish makes the document only when somebody listens, and never waits.
func (h *hub) publish(event, doctype, id string, doc func() any) {
	if h.count.Load() == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	var text []byte
	for sub := range h.subs {
		if !sub.wants(doctype, id) {
			continue
		}
		if text == nil {
			text, _ = json.Marshal(message{event, eventPayload{doctype, id, doc()}})
		}
		select {
		case sub.queue <- text:
		default:
			sub.cancel()
		}
	}
}

func (h *hub) add(sub *subscriber) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.subs == nil {
		h.subs = make(map[*subscriber]bool)
	}
	h.subs[sub] = true
	h.count.Add(1)
}

func (h *hub) remove(sub *subscriber) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.subs, sub)
	h.count.Add(-1)
}

func (s *subscriber) wants(doctype, id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.topics[topic{Type: doctype}] || s.topics[topic{doctype, id}]
}

func (s *subscriber) set(t topic, wanted bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if wanted {
		s.topics[t] = true
	} else {
		delete(s.topics, t)
	}
}

func (c *call) realtime(rest string) routed {
	switch {
	case rest == "" && c.r.Method == http.MethodGet:
		return routed{"GET /realtime/", (*call).serveRealtime}
	case c.r.Method == http.MethodPost && strings.Count(rest, "/") == 1:
		return routed{"POST /realtime/:doctype/:id", (*call).notify}
	}
	return routed{routeUnknown, func(*call) error { return noRoute() }}
}

// notify passes a client's own event on.
func (c *call) notify() error {
	doctype, id, _ := strings.Cut(strings.TrimPrefix(c.r.URL.Path, "/realtime/"), "/")
	var body struct {
		Data map[string]any `json:"data"`
	}
	if err := decodeJSON(c.r.Body, &body); err != nil {
		return jsonapiError(http.StatusBadRequest, err.Error())
	}
	if _, err := c.allow(verbPost, doctype); err != nil {
		return err
	}
	c.inst.hub.publish("NOTIFIED", doctype, id, func() any { return body.Data })
	c.writer().WriteHeader(http.StatusNoContent)
	return nil
}

// serveRealtime runs a websocket until either side ends it.
func (c *call) serveRealtime() error {
	clear(c.w.Header()) // the real answer has none of the usual headers
	conn, err := websocket.Accept(c.writer(), c.r, &websocket.AcceptOptions{
		Subprotocols: []string{"io.cozy.websocket"}, InsecureSkipVerify: true,
	})
	if err != nil {
		return nil
	}
	defer conn.CloseNow() //nolint:errcheck // nothing can be done
	ctx, cancel := context.WithCancel(c.inst.stack.life)
	sub := &subscriber{
		conn: conn, cancel: cancel, queue: make(chan []byte, subscriberQueue), topics: make(map[topic]bool),
	}
	c.inst.hub.add(sub)
	var writer sync.WaitGroup
	writer.Go(func() { sub.write(ctx) })
	c.converse(ctx, sub)
	c.inst.hub.remove(sub)
	cancel()
	writer.Wait()
	return nil
}

func (s *subscriber) write(ctx context.Context) {
	defer s.cancel()
	for {
		select {
		case text := <-s.queue:
			if s.conn.Write(ctx, websocket.MessageText, text) != nil {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// converse obeys the client's commands until one cannot be read.
func (c *call) converse(ctx context.Context, sub *subscriber) {
	var bearer *grant
	for {
		_, text, err := sub.conn.Read(ctx)
		if err != nil {
			return
		}
		var cmd command
		if json.Unmarshal(text, &cmd) != nil {
			return
		}
		if bearer == nil {
			if bearer = c.introduce(ctx, sub, cmd); bearer == nil {
				return
			}
			continue
		}
		c.subscribe(ctx, sub, cmd, bearer)
	}
}

// introduce handles the first command, which has to bring a token.
func (c *call) introduce(ctx context.Context, sub *subscriber, cmd command) *grant {
	if cmd.Method != "AUTH" {
		sub.refuse(ctx, http.StatusMethodNotAllowed, "method not allowed",
			"The "+cmd.Method+" method is not supported", cmd.Method, "")
		return nil
	}
	var text string
	_ = json.Unmarshal(cmd.Payload, &text)
	g, err := c.inst.grantOf(text)
	if err != nil {
		sub.refuse(ctx, http.StatusUnauthorized, "unauthorized", "The authentication has failed", cmd.Method, text)
		return nil
	}
	return g
}

func (c *call) subscribe(ctx context.Context, sub *subscriber, cmd command, g *grant) {
	var t topic
	_ = json.Unmarshal(cmd.Payload, &t)
	switch {
	case cmd.Method == "UNSUBSCRIBE":
		sub.set(t, false)
	case cmd.Method != "SUBSCRIBE":
		sub.refuse(ctx, http.StatusMethodNotAllowed, "method not allowed",
			"The "+cmd.Method+" method is not supported", cmd.Method, t)
	case !g.allows(verbGet, t.Type):
		sub.refuse(ctx, http.StatusForbidden, "forbidden",
			"The application can't subscribe to "+t.Type, cmd.Method, t)
	default:
		sub.set(t, true)
	}
}

func (s *subscriber) refuse(ctx context.Context, status int, code, title, method string, payload any) {
	text, _ := json.Marshal(message{"error", map[string]any{
		"status": itoa(status) + " " + http.StatusText(status), "code": code, "title": title,
		"source": map[string]any{"method": method, "payload": payload},
	}})
	_ = s.conn.Write(ctx, websocket.MessageText, text)
}
