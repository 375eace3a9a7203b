package httpapi_test

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// exchange is one recorded request with its answer.
type exchange struct {
	title        string
	method, path string
	header       http.Header
	body         string

	status  int
	answer  http.Header
	text    string
	message string // what the broker got after it, "" nothing
}

const transcripts = "../../../../../shared/transcripts/cozy"

// readTranscript gives the exchanges of a recording.
func readTranscript(t *testing.T, name string) []exchange {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(transcripts, name))
	if os.IsNotExist(err) {
		t.Skipf("the recordings are not here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(text), "\n=== ")[1:]
	exchanges := make([]exchange, 0, len(blocks))
	for _, block := range blocks {
		exchanges = append(exchanges, parseExchange(block))
	}
	if len(exchanges) == 0 {
		t.Fatalf("%s holds no exchange", name)
	}
	return exchanges
}

var (
	tookMark    = regexp.MustCompile(`\s+\[\d+ ms\]$`)
	messageMark = regexp.MustCompile(`(?m)^body=(\{.*\})$`)
)

func parseExchange(block string) exchange {
	title, rest, _ := strings.Cut(block, "\n")
	request, rest, _ := strings.Cut(strings.TrimPrefix(rest, ">>> request\n"), "\n<<< response")
	_, response, _ := strings.Cut(rest, "\n")
	x := exchange{title: tookMark.ReplaceAllString(title, "")}
	var line, status string
	line, x.header, x.body = parseHead(request)
	fields := strings.Fields(line)
	x.method, x.path = fields[0], fields[1]
	x.body = x.body[:min(len(x.body), contentLength(x.header))]
	status, x.answer, x.text = parseHead(response)
	x.status, _ = strconv.Atoi(strings.Fields(status)[1])
	if found := messageMark.FindStringSubmatch(x.text); found != nil {
		x.message = found[1]
	}
	x.text = x.text[:min(len(x.text), contentLength(x.answer))]
	return x
}

// parseHead splits the first line, the header and the body of one side.
func parseHead(text string) (first string, header http.Header, body string) {
	head, body, _ := strings.Cut(text, "\n\n")
	lines := strings.Split(head, "\n")
	header = http.Header{}
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ": ")
		header.Add(name, value)
	}
	return lines[0], header, body
}

func contentLength(header http.Header) int {
	length, _ := strconv.Atoi(header.Get("Content-Length"))
	return length
}
