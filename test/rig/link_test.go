package rig_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"example.org/ncm/test/rig"
)

func TestALinkBreaksWhatIsConnectedAndComesBackWhereItWas(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "here")
	}))
	t.Cleanup(server.Close)
	link := rig.MakeLink(t, strings.TrimPrefix(server.URL, "http://"))
	answers := func() bool {
		res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get("http://" + link.Addr)
		if err != nil {
			return false
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		return err == nil && string(body) == "here"
	}
	if !answers() {
		t.Fatal("no answer through the link")
	}
	open, err := net.Dial("tcp", link.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	if _, err := io.WriteString(open, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := open.Read(make([]byte, 1)); err != nil {
		t.Fatalf("read through the link: %v", err)
	}

	link.Cut()
	if answers() {
		t.Error("an answer came through a link that is cut")
	}
	// The end of what was connected, in whatever form: the server keeps such
	// connections open for minutes.
	if err := open.SetReadDeadline(time.Now().Add(rig.Patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, open); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("what was connected is still connected")
	}

	link.Restore(t)
	if !answers() {
		t.Error("no answer through the link that was restored")
	}
}
