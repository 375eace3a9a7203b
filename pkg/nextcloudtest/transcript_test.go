package nextcloudtest_test

import (
	"bufio"
	"bytes"
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
	title   string
	curl    string
	method  string
	target  string
	sent    http.Header
	status  int
	got     http.Header
	size    int    // of the answer's body, as the recorder counted it
	body    string // often cut by the recorder
	unusual bool   // no answer was recorded
}

func (x exchange) cut() bool { return len(x.body) < x.size }

var bodyMark = regexp.MustCompile(`^--- body \((\d+) bytes\)$`)

// transcripts finds the recordings beside the repository.
func transcripts(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		found := filepath.Join(filepath.Dir(dir), "shared", "transcripts", "nextcloud")
		if _, err := os.Stat(found); err == nil {
			return found
		}
	}
	t.Skip("the folder shared/transcripts/nextcloud is not beside this repository: nothing to replay")
	return ""
}

func readTranscript(t *testing.T, name string) []exchange {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(transcripts(t), name))
	if err != nil {
		t.Fatal(err)
	}
	var all []exchange
	for _, chunk := range bytes.Split(raw, []byte("\n########## "))[1:] {
		all = append(all, parseExchange(string(chunk)))
	}
	return all
}

func parseExchange(chunk string) exchange {
	head, body, hasBody := cutBody(chunk)
	x := exchange{sent: http.Header{}, got: http.Header{}}
	sc := bufio.NewScanner(strings.NewReader(head))
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		line := sc.Text()
		switch {
		case x.title == "":
			x.title = line
		case strings.HasPrefix(line, "$ curl "):
			x.curl = line
		case strings.HasPrefix(line, "> "):
			x.request(line[2:])
		case strings.HasPrefix(line, "< "):
			x.answer(line[2:])
		}
	}
	x.unusual = x.method == "" || x.status == 0
	if hasBody {
		x.size, x.body = body.size, body.text
	}
	return x
}

func (x *exchange) request(line string) {
	if k, v, ok := strings.Cut(line, ": "); ok && x.method != "" {
		x.sent.Add(k, v)
	} else if f := strings.Fields(line); len(f) == 3 {
		x.method, x.target = f[0], f[1]
	}
}

func (x *exchange) answer(line string) {
	if f := strings.Fields(line); strings.HasPrefix(line, "HTTP/") && len(f) > 1 {
		x.status, _ = strconv.Atoi(f[1])
		x.got = http.Header{} // forget 100 Continue
	} else if k, v, ok := strings.Cut(line, ":"); ok {
		x.got.Add(k, strings.TrimSpace(v))
	}
}

type recordedBody struct {
	size int
	text string
}

func cutBody(chunk string) (head string, body recordedBody, ok bool) {
	lines := strings.SplitAfter(chunk, "\n")
	at := 0
	for i, line := range lines {
		if m := bodyMark.FindStringSubmatch(strings.TrimRight(line, "\n")); m != nil {
			body.size, _ = strconv.Atoi(m[1])
			body.text = strings.Join(lines[i+1:], "")
			if len(body.text) > body.size {
				body.text = body.text[:body.size]
			}
			// the recorder took long runs of letters for secrets
			body.text = strings.ReplaceAll(body.text, "<app-password>", "redacted")
			return chunk[:at], body, true
		}
		at += len(line)
	}
	return chunk, body, false
}
