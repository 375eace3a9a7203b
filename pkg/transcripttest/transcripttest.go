// Package transcripttest reads the recordings of real servers that lie beside the
// repository, in shared/transcripts. They are texts in two forms: of a Cozy stack,
// and of a Nextcloud.
package transcripttest

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Exchange is one recorded request with its answer, in either form.
type Exchange struct {
	Title string

	Method, Target string // of the request line; empty: no request was recorded
	Header         http.Header
	Body           string

	Status int // 0: the client left without an answer
	Answer http.Header
	Text   string // the answer's body
	Cut    bool   // only the beginning of it was recorded
}

// Files gives the recordings of one server, "cozy" or "nextcloud", whose names match
// a pattern, in order. It skips the test where there are no recordings.
func Files(t *testing.T, server, pattern string) []string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		folder := filepath.Join(dir, "shared", "transcripts", server)
		if _, err := os.Stat(folder); err != nil {
			continue
		}
		found, err := filepath.Glob(filepath.Join(folder, pattern))
		if err != nil || len(found) == 0 {
			t.Fatalf("no recording %s in %s: %v", pattern, folder, err)
		}
		return found
	}
	t.Skipf("the recordings in shared/transcripts/%s are not beside this repository", server)
	return nil
}

// Text gives one recording as it is; the pattern has to match one file.
func Text(t *testing.T, server, pattern string) string {
	t.Helper()
	found := Files(t, server, pattern)
	if len(found) != 1 {
		t.Fatalf("%s matches %q", pattern, found)
	}
	text, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// blocks cuts a recording at the lines that begin with a mark, which is taken away.
// What is before the first is none.
func blocks(text, mark string) []string { return strings.Split("\n"+text, "\n"+mark)[1:] }
