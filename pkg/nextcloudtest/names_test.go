package nextcloudtest_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"example.org/ncm/pkg/nextcloudtest"
	"example.org/ncm/pkg/transcripttest"
)

var nameLine = regexp.MustCompile(`^(.*) \((\d+), (\d+)\)$`)

func TestNamesAreFoundAsRecorded(t *testing.T) {
	t.Parallel()
	recorded := transcripttest.Text(t, "nextcloud", "09-names-get.txt")
	w := newWorld(t, nextcloudtest.Config{})
	w.listed(readTranscript(t, "09-names.txt"))
	w.zero()
	w.file("alice", "Odd names/dir trailing space /inner.txt", 33, "")
	for line := range strings.Lines(recorded) {
		if m := nameLine.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			what, target := nameTarget(m[1])
			w.check(what, target, m[2], m[3])
		}
	}
}

// nameTarget reads "what it is 'the name'" or "what it is the/encoded/name".
func nameTarget(line string) (what, target string) {
	if what, rest, ok := strings.Cut(line, " Odd%"); ok {
		return what, "Odd%" + rest
	}
	what, name, _ := strings.Cut(line, " '")
	name = strings.ReplaceAll(strings.TrimSuffix(name, "'"), `\\`, `\`)
	return what, (&url.URL{Path: name}).EscapedPath()
}

func (w *world) check(what, target, status, size string) {
	x := exchange{Exchange: transcripttest.Exchange{Method: "GET", Target: files + target, Header: http.Header{
		"Host": {"127.0.0.1:8090"}, "Authorization": {""},
	}}}
	a := w.send(x)
	if strconv.Itoa(a.status) != status || (a.status == http.StatusOK && strconv.Itoa(len(a.body)) != size) {
		w.t.Errorf("%s, %s: (%d, %d), recorded (%s, %s)", what, target, a.status, len(a.body), status, size)
	}
}
