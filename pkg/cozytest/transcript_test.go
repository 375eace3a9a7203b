package cozytest_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// exchange is one recorded request and its answer.
type exchange struct {
	file  string
	title string

	method, target string // of the request line
	headers        []string
	body           string

	status   int // 0: the client left without an answer
	answer   map[string]string
	text     string // the answer's body, de-chunked
	elided   bool   // the transcript holds only the beginning of the text
	halfEnds bool   // the client closed its sending side
	leaves   bool   // the client closed altogether
}

func (x *exchange) String() string { return x.file + ": " + x.title }

func (x *exchange) header(name string) string {
	for _, line := range x.headers {
		if key, value, _ := strings.Cut(line, ":"); strings.EqualFold(key, name) {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// transcriptFolder finds the recordings beside the repository.
func transcriptFolder(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		candidate := filepath.Join(dir, "shared", "transcripts", "cozy")
		if _, err := os.Stat(candidate); err == nil {
			return candidate
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Skip("no folder shared/transcripts/cozy beside the repository")
		}
		dir = parent
	}
}

func readTranscript(t *testing.T, folder, prefix string) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(folder, prefix+"-*.txt"))
	if err != nil || len(names) != 1 {
		t.Fatalf("transcript %s: %v, %v", prefix, names, err)
	}
	text, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func parseTranscript(prefix, text string) []exchange {
	var all []exchange
	for _, block := range splitBefore(text, "=== ") {
		if strings.HasPrefix(block, "=== ") {
			all = append(all, parseExchange(prefix, block))
		}
	}
	return all
}

// splitBefore cuts a text before each line that starts with mark.
func splitBefore(text, mark string) []string {
	var blocks []string
	for {
		at := strings.Index(text, "\n"+mark)
		if at < 0 {
			return append(blocks, text)
		}
		blocks = append(blocks, text[:at+1])
		text = text[at+1:]
	}
}

var (
	titleTail   = regexp.MustCompile(`\s+\[\d+ ms\]$`)
	elisionMark = regexp.MustCompile(`…\((\d+) bytes\)`)
)

func parseExchange(file, block string) exchange {
	head, rest, _ := strings.Cut(block, "\n")
	x := exchange{file: file, title: titleTail.ReplaceAllString(strings.TrimPrefix(head, "=== "), "")}
	request, response, _ := strings.Cut(rest, "\n<<< response")
	request = strings.TrimPrefix(request, ">>> request\n")
	x.parseRequest(request)
	_, response, _ = strings.Cut(response, "\n")
	x.parseAnswer(response)
	x.leaves = strings.Contains(x.title, "disconnect")
	x.halfEnds = strings.Contains(x.title, "half close") || strings.Contains(x.title, "short .cozy-note")
	return x
}

func (x *exchange) parseRequest(text string) {
	head, body, _ := strings.Cut(text, "\n\n")
	lines := strings.Split(head, "\n")
	x.method, x.target, _ = strings.Cut(strings.TrimSuffix(lines[0], " HTTP/1.1"), " ")
	x.headers = lines[1:]
	x.body = body
}

func (x *exchange) parseAnswer(text string) {
	text = strings.TrimPrefix(text, "HTTP/1.1 100 Continue\n\n")
	if at := elisionMark.FindStringIndex(text); at != nil {
		x.elided = true
		text = text[:at[0]]
	}
	head, body, _ := strings.Cut(text, "\n\n")
	lines := strings.Split(strings.TrimSpace(head), "\n")
	fields := strings.Fields(lines[0])
	if len(fields) < 2 || !strings.HasPrefix(fields[0], "HTTP/") {
		return
	}
	x.status, _ = strconv.Atoi(fields[1])
	x.answer = make(map[string]string)
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ":")
		x.answer[name] = strings.TrimSpace(value)
	}
	if x.answer["Transfer-Encoding"] == "chunked" {
		x.text = dechunk(body)
		return
	}
	x.text = strings.TrimRight(body, "\n")
	if length, err := strconv.Atoi(x.answer["Content-Length"]); err == nil && length < len(body) {
		x.text = strings.TrimRight(body[:length], "\n")
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

// completeJSON closes what a cut text left open, at the last place where an
// element was whole.
func completeJSON(text string) string {
	var open []byte
	var safe int
	var closers []byte
	inString, escaped := false, false
	note := func(end int) {
		safe, closers = end, slices.Clone(open)
	}
	for i := range len(text) {
		c := text[i]
		switch {
		case escaped:
			escaped = false
		case inString:
			escaped = c == '\\'
			inString = c != '"'
		case c == '"':
			inString = true
		case c == '{' || c == '[':
			open = append(open, c+2)
			note(i + 1)
		case c == '}' || c == ']':
			open = open[:len(open)-1]
			note(i + 1)
		case c == ',':
			note(i)
		}
	}
	slices.Reverse(closers)
	return text[:safe] + string(bytes.TrimSpace(closers))
}
