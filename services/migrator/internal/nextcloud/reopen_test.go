package nextcloud_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.org/ncm/pkg/nextcloudtest"
	"example.org/ncm/services/migrator/internal/nextcloud"
	"example.org/ncm/services/migrator/internal/transfer"
)

// big is a file that is worth opening again.
func big(t *testing.T) (c *cloud, content string) {
	t.Helper()
	c = newCloud(t)
	var b strings.Builder
	for line := 0; b.Len() < 6<<20; line++ {
		b.WriteString(strings.Repeat(string(rune('a'+line%26)), 61+line%7))
	}
	content = b.String()[:6<<20]
	c.write(t, "big.bin", content)
	return c, content
}

func TestABodyThatBreaksOffLateGoesOn(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	for name, tt := range map[string]struct {
		faults []nextcloudtest.Fault
		gets   int64
	}{
		"cut soon after":     {[]nextcloudtest.Fault{{TruncateAfter: mib + 1}}, 2},
		"cut before the end": {[]nextcloudtest.Fault{{TruncateAfter: 6*mib - 1}}, 2},
		"silent":             {[]nextcloudtest.Fault{{StallAfter: 3 * mib}}, 2},
		"again and again":    {[]nextcloudtest.Fault{{TruncateAfter: mib, Times: -1}}, 6},
		"busy meanwhile":     {[]nextcloudtest.Fault{{TruncateAfter: 2 * mib}, {Status: 503}, {Drop: true}}, 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, content := big(t)
			for _, f := range tt.faults {
				c.Inject(f)
			}
			got, _, err := read(t.Context(), c.source(t, func(cfg *nextcloud.Config) { cfg.Idle = 2 * time.Second }), "big.bin")
			if err != nil || got != content {
				t.Fatalf("%d of %d bytes, equal: %t, error %v", len(got), len(content), got == content, err)
			}
			stats := c.Stats()
			if gets := stats.Requests["GET"]; gets != tt.gets {
				t.Errorf("%d requests, want %d", gets, tt.gets)
			}
			if again := stats.Sent - int64(len(content)); again < 0 || again > 16<<10 {
				t.Errorf("%d bytes were sent again", again)
			}
		})
	}
}

// A reset takes along what the kernel had received, so here it comes from the
// transport.
func TestABodyWhoseConnectionIsResetGoesOn(t *testing.T) {
	t.Parallel()
	c, content := big(t)
	resets := 0
	source := c.source(t, func(cfg *nextcloud.Config) {
		next := cfg.HTTP
		cfg.HTTP = roundTrip(func(r *http.Request) (*http.Response, error) {
			resp, err := next.RoundTrip(r)
			if err == nil && resets < 3 {
				resets++
				resp.Body = &broken{ReadCloser: resp.Body, left: 3 << 19}
			}
			return resp, err
		})
	})
	got, _, err := read(t.Context(), source, "big.bin")
	if err != nil || got != content || resets != 3 {
		t.Errorf("%d of %d bytes after %d resets, error %v", len(got), len(content), resets, err)
	}
}

// broken is a body whose connection is reset after some bytes.
type broken struct {
	io.ReadCloser
	left int
}

func (b *broken) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, syscall.ECONNRESET
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

func TestABodyThatBreaksOffSoonIsNotOpenedAgain(t *testing.T) {
	t.Parallel()
	c, _ := big(t)
	c.Inject(nextcloudtest.Fault{TruncateAfter: 1<<20 - 1})
	_, _, err := read(t.Context(), c.source(t), "big.bin")
	wantError(t, err, transfer.Again, transfer.ReasonIncomplete)
	if gets := c.requests(t, "GET"); gets != 1 {
		t.Errorf("%d requests", gets)
	}
}

func TestABodyThatGetsNoFurtherEnds(t *testing.T) {
	t.Parallel()
	c, _ := big(t)
	c.Inject(nextcloudtest.Fault{TruncateAfter: 2 << 20})
	c.Inject(nextcloudtest.Fault{TruncateAfter: 10, Times: -1})
	_, _, err := read(t.Context(), c.source(t), "big.bin")
	wantError(t, err, transfer.Again, transfer.ReasonIncomplete)
	if gets := c.requests(t, "GET"); gets != 4 {
		t.Errorf("%d requests, want the first and three more", gets)
	}
}

func TestABodyThatIsClosedWhileItIsOpenedAgainEnds(t *testing.T) {
	t.Parallel()
	c, _ := big(t)
	c.Inject(nextcloudtest.Fault{TruncateAfter: 2 << 20})
	c.Inject(nextcloudtest.Fault{Hang: true})
	asked := make(chan struct{}, 2)
	body, err := c.source(t, func(cfg *nextcloud.Config) {
		next := cfg.HTTP
		cfg.HTTP = roundTrip(func(r *http.Request) (*http.Response, error) {
			asked <- struct{}{}
			return next.RoundTrip(r)
		})
	}).Open(t.Context(), "big.bin")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, body)
		ended <- err
	}()
	<-asked
	<-asked
	if err := body.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	select {
	case err := <-ended:
		if err == nil {
			t.Error("the read ended well")
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the read goes on")
	}
}

func TestARefusedLoginIsTheEndOfABody(t *testing.T) {
	t.Parallel()
	c, _ := big(t)
	c.Inject(nextcloudtest.Fault{TruncateAfter: 2 << 20})
	c.Inject(nextcloudtest.Fault{Status: http.StatusUnauthorized, Times: -1})
	_, _, err := read(t.Context(), c.source(t), "big.bin")
	wantError(t, err, transfer.MigrationStops, transfer.ReasonLoginRefused)
	if gets := c.requests(t, "GET"); gets != 2 {
		t.Errorf("%d requests", gets)
	}
}

// answers changes what comes back of the requests for a rest.
func answers(change func(*http.Response)) func(*nextcloud.Config) {
	return func(cfg *nextcloud.Config) {
		next := cfg.HTTP
		cfg.HTTP = roundTrip(func(r *http.Request) (*http.Response, error) {
			if r.Header.Get("Range") == "" || change == nil {
				r.Header.Del("Range")
				return next.RoundTrip(r)
			}
			resp, err := next.RoundTrip(r)
			if err == nil {
				change(resp)
			}
			return resp, err
		})
	}
}

func TestOnlyTheRestOfTheSameContentIsTaken(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*http.Response){
		"no ranges":     nil,
		"another part":  func(r *http.Response) { r.Header.Set("Content-Range", "bytes 0-6291455/6291456") },
		"another size":  func(r *http.Response) { r.Header.Set("Content-Range", "bytes 2097152-6291459/6291460") },
		"several parts": func(r *http.Response) { r.Header.Del("Content-Range") },
		"another ETag":  func(r *http.Response) { r.Header.Set("ETag", `"other"`) },
		"past the end":  func(r *http.Response) { r.StatusCode = http.StatusRequestedRangeNotSatisfiable },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, content := big(t)
			c.Inject(nextcloudtest.Fault{TruncateAfter: 2 << 20})
			got, _, err := read(t.Context(), c.source(t, answers(change)), "big.bin")
			wantError(t, err, transfer.Again, transfer.ReasonIncomplete)
			if got != content[:len(got)] || len(got) != 2<<20 {
				t.Errorf("%d bytes came", len(got))
			}
			if gets := c.requests(t, "GET"); gets != 2 {
				t.Errorf("%d requests", gets)
			}
		})
	}
}

func TestWithoutAStrongETagNothingIsOpenedAgain(t *testing.T) {
	t.Parallel()
	for _, etag := range []string{"", `W/"weak"`} {
		c, _ := big(t)
		c.Inject(nextcloudtest.Fault{TruncateAfter: 2 << 20, Header: map[string]string{"ETag": etag}})
		_, _, err := read(t.Context(), c.source(t), "big.bin")
		wantError(t, err, transfer.Again, transfer.ReasonIncomplete)
		if gets := c.requests(t, "GET"); gets != 1 {
			t.Errorf("ETag %q: %d requests", etag, gets)
		}
	}
}

func TestAFileThatChangesBetweenTwoPartsIsNotMixed(t *testing.T) {
	t.Parallel()
	c, content := big(t)
	c.Inject(nextcloudtest.Fault{TruncateAfter: 2 << 20})
	body, err := c.source(t).Open(t.Context(), "big.bin")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = body.Close() }()
	first := make([]byte, 1<<20)
	if _, err := body.Read(first); err != nil {
		t.Fatal(err)
	}
	full := filepath.Join(c.Root(userID), "big.bin")
	if err := os.WriteFile(full, []byte(strings.ToUpper(content)), 0o644); err != nil {
		t.Fatal(err)
	}
	later := time.Now().Add(time.Minute)
	if err := os.Chtimes(full, later, later); err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = body.Read(first)
	}
	wantError(t, err, transfer.Again, transfer.ReasonChanged)
}
