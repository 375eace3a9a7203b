package transcripttest

import (
	"bufio"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// Nextcloud gives the exchanges of the one recording whose name matches a pattern.
func Nextcloud(t *testing.T, pattern string) []NextcloudExchange {
	t.Helper()
	var all []NextcloudExchange
	for _, block := range blocks(Text(t, "nextcloud", pattern), "########## ") {
		all = append(all, parseNextcloud(block))
	}
	return all
}

// NextcloudExchange is what was recorded at a Nextcloud, with curl.
type NextcloudExchange struct {
	Exchange
	Curl string // how it was called
	Size int    // of the answer's body, as the recorder counted it
}

// Secret is what the recorder wrote for what it took for a secret.
const Secret = "<app-password>"

var bodyMark = regexp.MustCompile(`(?m)^--- body \((\d+) bytes\)\n`)

func parseNextcloud(block string) NextcloudExchange {
	x := NextcloudExchange{Exchange: Exchange{Header: http.Header{}, Answer: http.Header{}}}
	head := block
	if at := bodyMark.FindStringSubmatchIndex(block); at != nil {
		head = block[:at[0]]
		x.Size, _ = strconv.Atoi(block[at[2]:at[3]])
		x.Text = block[at[1]:]
		x.Text = x.Text[:min(x.Size, len(x.Text))]
	}
	x.Cut = len(x.Text) < x.Size
	lines := bufio.NewScanner(strings.NewReader(head))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		switch {
		case x.Title == "":
			x.Title = line
		case strings.HasPrefix(line, "$ curl "):
			x.Curl = line
		case strings.HasPrefix(line, "> "):
			x.sent(line[2:])
		case strings.HasPrefix(line, "< "):
			x.got(line[2:])
		}
	}
	return x
}

func (x *NextcloudExchange) sent(line string) {
	if name, value, ok := strings.Cut(line, ": "); ok && x.Method != "" {
		x.Header.Add(name, value)
	} else if fields := strings.Fields(line); len(fields) == 3 {
		x.Method, x.Target = fields[0], fields[1]
	}
}

func (x *NextcloudExchange) got(line string) {
	if fields := strings.Fields(line); strings.HasPrefix(line, "HTTP/") && len(fields) > 1 {
		x.Status, _ = strconv.Atoi(fields[1])
		x.Answer = http.Header{} // forget 100 Continue
	} else if name, value, ok := strings.Cut(line, ":"); ok {
		x.Answer.Add(name, strings.TrimSpace(value))
	}
}
