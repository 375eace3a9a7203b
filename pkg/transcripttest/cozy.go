package transcripttest

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// CozyExchange is what was recorded at a Cozy stack.
type CozyExchange struct {
	Exchange
	Lines    []string // the request's header as it was sent
	Messages []Message
}

// Message is what the broker got after an exchange.
type Message struct {
	Properties string // in one line
	Body       string
}

// Cozy gives the exchanges of the one recording whose name matches a pattern.
func Cozy(t *testing.T, pattern string) []CozyExchange {
	t.Helper()
	return ParseCozy(Text(t, "cozy", pattern))
}

// ParseCozy gives the exchanges in a part of a recording.
func ParseCozy(text string) []CozyExchange {
	var all []CozyExchange
	for _, block := range blocks(text, "=== ") {
		all = append(all, parseCozy(block))
	}
	return all
}

// Elision is what the recorder left of a long body after its beginning: how many
// bytes it had.
var Elision = regexp.MustCompile(`…\((\d+) bytes\)`)

var tookMark = regexp.MustCompile(`\s+\[\d+ ms\]$`)

func parseCozy(block string) CozyExchange {
	title, rest, _ := strings.Cut(block, "\n")
	x := CozyExchange{Exchange: Exchange{Title: tookMark.ReplaceAllString(title, ""), Header: http.Header{}, Answer: http.Header{}}}
	request, rest, _ := strings.Cut(rest, "\n<<< response")
	_, answer, _ := strings.Cut(rest, "\n")
	answer, messages, _ := strings.Cut(answer, "\n--- AMQP messages received ---\n")
	x.parseRequest(strings.TrimPrefix(request, ">>> request\n"))
	x.parseAnswer(strings.TrimPrefix(answer, "HTTP/1.1 100 Continue\n\n"))
	x.parseMessages(messages)
	return x
}

func (x *CozyExchange) parseRequest(text string) {
	head, body, _ := strings.Cut(text, "\n\n")
	lines := strings.Split(head, "\n")
	x.Method, x.Target, _ = strings.Cut(strings.TrimSuffix(lines[0], " HTTP/1.1"), " ")
	x.Lines, x.Body = lines[1:], body
	addAll(x.Header, x.Lines)
}

func (x *CozyExchange) parseAnswer(text string) {
	if at := Elision.FindStringIndex(text); at != nil {
		x.Cut = true
		text = text[:at[0]]
	}
	head, body, _ := strings.Cut(text, "\n\n")
	lines := strings.Split(strings.TrimSpace(head), "\n")
	fields := strings.Fields(lines[0])
	if len(fields) < 2 || !strings.HasPrefix(fields[0], "HTTP/") {
		return
	}
	x.Status, _ = strconv.Atoi(fields[1])
	addAll(x.Answer, lines[1:])
	if x.Status == http.StatusNoContent {
		return // what follows is the recording's own
	}
	x.Text = body
	if x.Answer.Get("Transfer-Encoding") == "chunked" {
		x.Text = dechunk(body)
	} else if length, err := strconv.Atoi(x.Answer.Get("Content-Length")); err == nil {
		x.Text = body[:min(length, len(body))]
	}
}

func (x *CozyExchange) parseMessages(text string) {
	properties := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "exchange=") {
			properties = line
		}
		if body, found := strings.CutPrefix(line, "body="); found {
			x.Messages = append(x.Messages, Message{properties, body})
		}
	}
}

func addAll(header http.Header, lines []string) {
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ":")
		header.Add(name, strings.TrimSpace(value))
	}
}

// dechunk takes a chunked body apart, which may be cut anywhere.
func dechunk(text string) string {
	var whole strings.Builder
	for text != "" {
		line, rest, _ := strings.Cut(strings.TrimLeft(text, "\r\n"), "\n")
		size, err := strconv.ParseInt(strings.TrimSpace(line), 16, 64)
		if err != nil || size == 0 {
			break
		}
		n := min(int(size), len(rest))
		whole.WriteString(rest[:n])
		text = rest[n:]
	}
	return whole.String()
}
