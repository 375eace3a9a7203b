package cozytest_test

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"example.org/ncm/pkg/cozytest"
)

const (
	alice = "alice.localhost:8080"
	bob   = "bob.localhost:8080"

	adminUser     = "admin"
	adminPassword = "secret"
)

// deviation is an exchange that the simulator answers in another way, or not
// at all, on purpose.
type deviation struct {
	file   string // prefix; empty: any
	title  string // part of it; empty: any
	target string // part of the request's target
	// partly: status and headers are still compared, the body is not.
	partly bool
	reason string
}

// deviations is the whole list. An entry that matches nothing fails the test.
var deviations = []deviation{
	{target: "/remote/nextcloud/migration", reason: "the trigger's own routes, not cozytest's; what they do to documents is put in place by hand"},
	{file: "07", title: "[cli scope GET only] GET data", partly: true, reason: "the generated name of an index is a hash and sorts elsewhere"},
	{target: ".cozy-note", partly: true, reason: "notes are stored as they come and not turned into the editor's schema"},
}

func deviationOf(x *exchange, used []bool) *deviation {
	for i := range deviations {
		d := &deviations[i]
		if strings.HasPrefix(x.file, d.file) && strings.Contains(x.Title, d.title) && strings.Contains(x.Target, d.target) {
			// A note that is refused is refused like any file.
			if d.partly && x.Status >= 400 {
				continue
			}
			used[i] = true
			return d
		}
	}
	return nil
}

// TestReplay sends the recorded requests, in the order of their recording, and
// compares the answers.
func TestReplay(t *testing.T) {
	t.Parallel()
	r := newReplay(t)
	used := make([]bool, len(deviations))
	var total, deviating int
	for _, file := range []string{"01", "02", "04", "05", "06", "06b", "07", "08", "03", "11"} {
		var here, aside, cut int
		for _, x := range readTranscript(t, file) {
			here++
			d := deviationOf(&x, used)
			if d != nil {
				aside++
			}
			if x.Cut && d == nil {
				cut++
			}
			r.play(&x, d)
		}
		t.Logf("%-3s %3d exchanges: %3d replayed (%d compared as far as the transcript holds the body), %2d deviate on purpose",
			file, here, here-aside, cut, aside)
		total, deviating = total+here, deviating+aside
	}
	t.Logf("%d exchanges: %d replayed, %d deviate on purpose", total, total-deviating, deviating)
	for i, ok := range used {
		if !ok {
			t.Errorf("deviation %+v matches nothing any more", deviations[i])
		}
	}
}

// replay is a simulator in the state that the recording started from.
type replay struct {
	t      *testing.T
	stack  *cozytest.Stack
	server *httptest.Server
	world  *world
	tokens map[string]string
}

func newReplay(t *testing.T) *replay {
	stack := cozytest.New(cozytest.Config{
		Dir: t.TempDir(), AdminUser: adminUser, AdminPassword: adminPassword, AdminHost: "admin.localhost",
	})
	noperm := cozytest.App{Slug: "noperm", Rules: []cozytest.Rule{
		{Title: "contacts", Type: "io.cozy.contacts", Verbs: []string{"GET"}},
	}}
	options := cozytest.InstanceOptions{PublicName: "Alice", DefaultDirs: true, Apps: []cozytest.App{noperm}}
	stack.AddInstance(alice, options)
	stack.AddInstance(bob, options)
	server := httptest.NewServer(stack)
	t.Cleanup(server.Close)
	t.Cleanup(stack.Close)
	return &replay{
		t: t, stack: stack, server: server,
		world: newWorld(), tokens: make(map[string]string),
	}
}

func (r *replay) play(x *exchange, d *deviation) {
	r.t.Helper()
	r.prepare(x)
	if d != nil && !d.partly {
		r.standIn(x)
		return
	}
	answer, body := r.send(x)
	if x.Status == 0 {
		return
	}
	if answer == nil {
		r.t.Errorf("%v: no answer, recorded %d", x, x.Status)
		return
	}
	if answer.StatusCode != x.Status {
		r.t.Errorf("%v: recorded %d, simulated %d: %.300s", x, x.Status, answer.StatusCode, body)
		return
	}
	for _, difference := range r.headerDifferences(x, answer) {
		r.t.Errorf("%v: %s", x, difference)
	}
	if d != nil {
		return
	}
	if difference := r.world.bodyDifference(x, body); difference != "" {
		r.t.Errorf("%v: %s", x, difference)
	}
}

// storagePath was shortened when the recording was cleaned.
const storagePath = "/var/lib/cozy/storage/"

// headers that are compared, absence included.
var comparedHeaders = []string{
	"Content-Type", "Www-Authenticate", "Vary", "Etag", "Location", "Accept-Ranges", "Content-Range",
	"Content-Disposition", "Last-Modified", "Cache-Control", "Server", "X-Couchdb-Body-Time",
	"Content-Security-Policy", "X-Content-Type-Options",
}

func (r *replay) headerDifferences(x *exchange, answer *http.Response) (differences []string) {
	for _, name := range comparedHeaders {
		if recorded, simulated := x.Answer.Get(name), answer.Header.Get(name); !r.world.same(recorded, simulated) {
			differences = append(differences, fmt.Sprintf("header %s: recorded %q, simulated %q", name, recorded, simulated))
		}
	}
	// Refusals are compared to the byte, so their length has to agree too.
	if recorded := x.Answer.Get("Content-Length"); x.Status >= 400 && recorded != "" && !strings.Contains(x.text, storagePath) {
		if simulated := answer.Header.Get("Content-Length"); simulated != recorded && !volatile.MatchString(x.text) {
			differences = append(differences, fmt.Sprintf("length: recorded %s, simulated %s", recorded, simulated))
		}
	}
	return differences
}

// send writes the request as it was recorded: some are not what a well-behaved
// client would send.
func (r *replay) send(x *exchange) (*http.Response, string) {
	conn, err := net.Dial("tcp", r.server.Listener.Addr().String())
	if err != nil {
		r.t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(2 * time.Minute))
	before := r.stack.Count("POST /files/:id")
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_, _ = io.WriteString(conn, r.requestText(x))
		if tcp, ok := conn.(*net.TCPConn); ok && x.halfEnds {
			_ = tcp.CloseWrite()
		}
	}()
	if x.leaves {
		<-sent
		_ = conn.Close()
		waitFor(r.t, "the server to notice that the client left", func() bool {
			return r.stack.Count("POST /files/:id") > before
		})
		return nil, ""
	}
	answer, body := readAnswer(conn, x.Method)
	conn.Close()
	<-sent
	return answer, body
}

func readAnswer(conn net.Conn, method string) (*http.Response, string) {
	reader := bufio.NewReader(conn)
	for {
		answer, err := http.ReadResponse(reader, &http.Request{Method: method})
		if err != nil {
			return nil, ""
		}
		if answer.StatusCode < 200 {
			continue
		}
		body, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		if answer.ContentLength >= 0 {
			answer.Header.Set("Content-Length", fmt.Sprint(answer.ContentLength))
		}
		return answer, string(body)
	}
}

func (r *replay) requestText(x *exchange) string {
	body := r.restoreBody(x)
	const long = 100 << 10 // made by restoreBody, with the right names
	if len(body) < long {
		body = r.world.translate(body)
	}
	token := r.token(x)
	var b strings.Builder
	target := strings.ReplaceAll(r.world.translate(x.Target), "<jwt>", token)
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\n", x.Method, target)
	for _, line := range x.Lines {
		name, value, _ := strings.Cut(line, ": ")
		switch {
		case name == "Authorization" && strings.HasPrefix(value, "Basic "):
			value = "Basic " + base64.StdEncoding.EncodeToString([]byte(":"+token))
		case name == "Authorization":
			value = "Bearer " + token
		case name == "Content-Length" && value != "-1" && len(body) > len(x.Body):
			value = fmt.Sprint(len(body))
		}
		fmt.Fprintf(&b, "%s: %s\r\n", name, r.world.translate(value))
	}
	b.WriteString("\r\n")
	b.WriteString(body)
	return b.String()
}

func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !done() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
		<-time.After(time.Millisecond)
	}
}
