package e2e_test

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// exchange is one recorded request with its answer and the messages that followed.
type exchange struct {
	name     string
	request  *http.Request
	body     string
	answer   *http.Response
	answered string
	messages []message
}

// message is one recorded message: its properties in one line, and its body.
type message struct {
	properties, body string
}

// readTranscript reads a recording, or skips the test where there is none.
func readTranscript(t *testing.T, root, name string) []exchange {
	t.Helper()
	path := filepath.Join(root, "..", "shared", "transcripts", name)
	content, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		t.Skipf("the recording %s is not on this machine", path)
	}
	if err != nil {
		t.Fatal(err)
	}
	var all []exchange
	for _, text := range strings.Split("\n"+string(content), "\n=== ")[1:] {
		all = append(all, parseExchange(t, text))
	}
	return all
}

func parseExchange(t *testing.T, text string) exchange {
	t.Helper()
	heading, text, _ := strings.Cut(text, "\n")
	name, _, _ := strings.Cut(heading, "   [")
	e := exchange{name: name}
	_, text, _ = strings.Cut(text, ">>> request\n")
	request, text, found := strings.Cut(text, "\n<<< response \n")
	if !found {
		t.Fatalf("the recording of %q has no answer", name)
	}
	answer, messages, _ := strings.Cut(text, "\n--- AMQP messages received ---\n")
	e.messages = parseMessages(messages)

	var err error
	if e.request, err = http.ReadRequest(bufio.NewReader(strings.NewReader(request))); err != nil {
		t.Fatalf("read the recorded request of %q: %v", name, err)
	}
	e.body = readBody(e.request.Body)
	if e.answer, err = http.ReadResponse(bufio.NewReader(strings.NewReader(answer)), e.request); err != nil {
		t.Fatalf("read the recorded answer of %q: %v", name, err)
	}
	e.answered = readBody(e.answer.Body)
	return e
}

// readBody reads what there is: recordings cut long answers.
func readBody(body io.Reader) string {
	content, _ := io.ReadAll(body)
	return string(content)
}

func parseMessages(text string) []message {
	var all []message
	var properties string
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "exchange=") {
			properties = line
		}
		if body, found := strings.CutPrefix(line, "body="); found {
			all = append(all, message{properties, body})
		}
	}
	return all
}
