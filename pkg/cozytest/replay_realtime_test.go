package cozytest_test

import (
	"context"
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"example.org/ncm/pkg/transcripttest"
)

var stepMark = regexp.MustCompile(`(?m)^(=== |>>> ws handshake|>>> TEXT |<<< op=1|<<< \(nothing|<<< EOF)`)

// TestReplayRealtime goes through the recorded websocket conversations, with
// the requests that cause their events.
func TestReplayRealtime(t *testing.T) {
	t.Parallel()
	r := newReplay(t)
	steps := realtimeSteps(transcripttest.Text(t, "cozy", "09-*.txt"))
	c := &conversation{replay: r}
	defer c.hangUp()
	for i, step := range steps {
		c.take(step, steps[i+1:])
	}
	t.Logf("09  %d steps: %d requests, %d conversations, %d frames compared", len(steps), c.requests, c.calls, c.frames)
	if c.frames == 0 || c.calls == 0 || c.requests == 0 {
		t.Error("nothing was replayed")
	}
}

func realtimeSteps(text string) []string {
	marks := stepMark.FindAllStringIndex(text, -1)
	steps := make([]string, len(marks))
	for i, mark := range marks {
		end := len(text)
		if i+1 < len(marks) {
			end = marks[i+1][0]
		}
		steps[i] = text[mark[0]:end]
	}
	return steps
}

type conversation struct {
	*replay
	conn   *websocket.Conn
	frame  chan string
	cancel context.CancelFunc
	token  string

	requests, calls, frames int
}

func (c *conversation) take(step string, rest []string) {
	c.t.Helper()
	switch {
	case strings.HasPrefix(step, "=== "):
		for _, x := range transcripttest.ParseCozy(step) {
			c.requests++
			c.play(&exchange{CozyExchange: x, file: "09", text: strings.TrimRight(x.Text, "\n")}, nil)
		}
	case strings.HasPrefix(step, ">>> ws"):
		c.dial(rest)
	case strings.HasPrefix(step, ">>> TEXT "):
		text := strings.TrimSpace(strings.TrimPrefix(step, ">>> TEXT "))
		text = c.world.translate(strings.ReplaceAll(text, "<TOKEN>", c.token))
		if err := c.conn.Write(c.t.Context(), websocket.MessageText, []byte(text)); err != nil {
			c.t.Errorf("send %s: %v", text, err)
		}
	case strings.HasPrefix(step, "<<< op=1"):
		c.expectFrame(step[strings.Index(step, "{"):])
	case strings.HasPrefix(step, "<<< (nothing"):
		c.expectSilence()
	case strings.HasPrefix(step, "<<< EOF"):
		if text, open := <-c.frame; open {
			c.t.Errorf("recorded the end, simulated %s", text)
		}
	}
}

// dial opens the next conversation with the token that what follows tells.
func (c *conversation) dial(rest []string) {
	c.t.Helper()
	c.hangUp()
	kind := "app"
	for _, step := range rest {
		if strings.HasPrefix(step, ">>> ws") {
			break
		}
		switch {
		case strings.Contains(step, "401 Unauthorized"):
			kind = "expired app"
		case strings.Contains(step, "can't subscribe to io.cozy.nextcloud.migrations"):
			kind = "noperm app"
		}
	}
	c.token = c.mint(alice, kind)
	ctx, cancel := context.WithCancel(c.t.Context())
	conn, _, err := websocket.Dial(ctx, c.server.URL+"/realtime/", &websocket.DialOptions{
		Host: alice, Subprotocols: []string{"io.cozy.websocket"}, HTTPClient: c.server.Client(),
	})
	if err != nil {
		c.t.Fatal(err)
	}
	if conn.Subprotocol() != "io.cozy.websocket" {
		c.t.Errorf("subprotocol %q", conn.Subprotocol())
	}
	c.conn, c.cancel, c.frame = conn, cancel, make(chan string, 16)
	c.calls++
	go readFrames(ctx, conn, c.frame)
}

func readFrames(ctx context.Context, conn *websocket.Conn, frames chan<- string) {
	defer close(frames)
	for {
		_, text, err := conn.Read(ctx)
		if err != nil {
			return
		}
		frames <- string(text)
	}
}

func (c *conversation) hangUp() {
	if c.conn == nil {
		return
	}
	c.cancel()
	c.conn.CloseNow()
	for range c.frame {
	}
}

func (c *conversation) expectFrame(recorded string) {
	c.t.Helper()
	c.frames++
	recorded = strings.ReplaceAll(strings.TrimSpace(recorded), "<jwt>", c.token)
	select {
	case simulated := <-c.frame:
		var left, right any
		if err := json.Unmarshal([]byte(recorded), &left); err != nil {
			c.t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(simulated), &right); err != nil {
			c.t.Fatalf("%v: %q", err, simulated)
		}
		if d := c.world.difference("$", left, right, false); d != "" {
			c.t.Errorf("frame: %s", d)
		}
	case <-time.After(5 * time.Second):
		c.t.Fatalf("no frame, recorded %s", recorded)
	}
}

func (c *conversation) expectSilence() {
	c.t.Helper()
	select {
	case text := <-c.frame:
		c.t.Errorf("recorded nothing, simulated %q", text)
	case <-time.After(30 * time.Millisecond):
	}
}
