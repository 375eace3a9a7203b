package nextcloudtest_test

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.org/ncm/pkg/nextcloudtest"
)

const hello = "/remote.php/dav/files/alice/hello.txt"

func withHello(t *testing.T) *client {
	t.Helper()
	c := newClient(t, nextcloudtest.Config{})
	c.write("hello.txt", strings.Repeat("hello ", 10_000))
	return c
}

func TestFaultActsAsOftenAsOrdered(t *testing.T) {
	t.Parallel()
	c := withHello(t)
	f := c.srv.Inject(nextcloudtest.Fault{
		Method: "GET", PathPrefix: hello, Skip: 1, Times: 2,
		Status: http.StatusServiceUnavailable, RetryAfter: 7 * time.Second,
		Exception: nextcloudtest.ExceptionUnavailable, Message: "RedisException: Redis server went away",
	})
	var got []int
	for range 5 {
		a := c.must("GET", hello, "")
		got = append(got, a.status)
		if a.status == http.StatusServiceUnavailable {
			if a.header.Get("Retry-After") != "7" || !strings.Contains(a.body, "Redis server went away") {
				t.Errorf("answer of the fault: %v %s", a.header, a.body)
			}
		}
	}
	if want := []int{200, 503, 503, 200, 200}; !equal(got, want) {
		t.Errorf("statuses %v, want %v", got, want)
	}
	if f.Hits() != 2 {
		t.Errorf("%d hits, want 2", f.Hits())
	}
}

func TestDelaysAddUpAndSpareOneAnswer(t *testing.T) {
	t.Parallel()
	c := withHello(t)
	delay := c.srv.Inject(nextcloudtest.Fault{Times: -1, Delay: 20 * time.Millisecond})
	first := c.srv.Inject(nextcloudtest.Fault{Status: http.StatusBadGateway})
	second := c.srv.Inject(nextcloudtest.Fault{Status: http.StatusInternalServerError})
	start := time.Now()
	if a := c.must("GET", hello, ""); a.status != http.StatusBadGateway {
		t.Errorf("status %d, want the fault that was injected first", a.status)
	}
	if took := time.Since(start); took < 20*time.Millisecond {
		t.Errorf("answered after %v, want the delay", took)
	}
	if a := c.must("GET", hello, ""); a.status != http.StatusInternalServerError {
		t.Errorf("status %d, want the fault that waited", a.status)
	}
	if delay.Hits() != 2 || first.Hits() != 1 || second.Hits() != 1 {
		t.Errorf("hits %d, %d, %d, want 2, 1, 1", delay.Hits(), first.Hits(), second.Hits())
	}
}

func TestBodyFaults(t *testing.T) {
	t.Parallel()
	whole := strings.Repeat("hello ", 10_000)
	for name, tc := range map[string]struct {
		fault nextcloudtest.Fault
		check func(a answer, err error) bool
	}{
		"truncate": {nextcloudtest.Fault{TruncateAfter: 1000}, func(a answer, err error) bool {
			return errors.Is(err, io.ErrUnexpectedEOF) && a.body == whole[:1000]
		}},
		"reset": {nextcloudtest.Fault{ResetAfter: 1000}, func(a answer, err error) bool {
			return errors.Is(err, syscall.ECONNRESET) && strings.HasPrefix(whole, a.body) && len(a.body) <= 1000
		}},
		"overlong": {nextcloudtest.Fault{Overlong: 5}, func(a answer, err error) bool {
			return err == nil && a.body == whole+"xxxxx"
		}},
		"corrupt": {nextcloudtest.Fault{CorruptByte: 50_000}, func(a answer, err error) bool {
			return err == nil && len(a.body) == len(whole) && a.body[49_999] != whole[49_999] &&
				a.body[:49_999] == whole[:49_999] && a.body[50_000:] == whole[50_000:]
		}},
		"length too small": {nextcloudtest.Fault{WrongContentLength: -10}, func(a answer, err error) bool {
			return err == nil && a.body == whole[:len(whole)-10]
		}},
		"length too big": {nextcloudtest.Fault{WrongContentLength: 10}, func(a answer, err error) bool {
			return errors.Is(err, io.ErrUnexpectedEOF) && a.body == whole
		}},
		"stall for a while": {nextcloudtest.Fault{StallAfter: 10, StallFor: time.Millisecond}, func(a answer, err error) bool {
			return err == nil && a.body == whole
		}},
		"bandwidth": {nextcloudtest.Fault{Bandwidth: 10 << 20}, func(a answer, err error) bool {
			return err == nil && a.body == whole
		}},
		"drop": {nextcloudtest.Fault{Drop: true}, func(_ answer, err error) bool { return err != nil }},
		"redirect": {nextcloudtest.Fault{RedirectTo: "http://elsewhere.example/", Status: 307}, func(a answer, err error) bool {
			return err == nil && a.status == 307 && a.header.Get("Location") == "http://elsewhere.example/"
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := withHello(t)
			c.srv.Inject(tc.fault)
			if a, err := c.call("GET", hello, ""); !tc.check(a, err) {
				t.Errorf("status %d, %d bytes, error %v", a.status, len(a.body), err)
			}
			if a, err := c.call("GET", hello, ""); err != nil || a.body != whole {
				t.Errorf("after the fault: status %d, %d bytes, error %v", a.status, len(a.body), err)
			}
		})
	}
}

func TestHangAndStallEndWithTheClient(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]nextcloudtest.Fault{
		"hang": {Hang: true}, "stall": {StallAfter: 100}, "endless listing": {EndlessMultistatus: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := withHello(t)
			c.srv.Inject(fault)
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			c.ctx = ctx
			if _, err := c.call("GET", hello, ""); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("error %v, want the client's own deadline", err)
			}
		})
	}
}

func TestAfterEffectCarriesTheRequestOut(t *testing.T) {
	t.Parallel()
	c := withHello(t)
	c.srv.Inject(nextcloudtest.Fault{Method: "DELETE", Status: http.StatusGatewayTimeout, AfterEffect: true})
	if a := c.must("DELETE", hello, ""); a.status != http.StatusGatewayTimeout {
		t.Errorf("status %d, want the fault's", a.status)
	}
	if a := c.must("GET", hello, ""); a.status != http.StatusNotFound {
		t.Errorf("status %d, want the file gone", a.status)
	}
}

func TestHostileListings(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		fault  nextcloudtest.Fault
		holds  string
		parses bool
	}{
		"truncated":     {nextcloudtest.Fault{TruncateAfter: 700}, "hello.txt", false},
		"malformed":     {nextcloudtest.Fault{MalformedMultistatus: true}, "a.txt", false},
		"hostile hrefs": {nextcloudtest.Fault{HostileHrefs: true}, "../escape.txt", true},
		"bomb":          {nextcloudtest.Fault{XMLBomb: true}, "<!ENTITY b30", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := withHello(t)
			c.srv.Inject(tc.fault)
			a := c.must("PROPFIND", "/remote.php/dav/files/alice/", "", "Depth", "1")
			if a.status != http.StatusMultiStatus || !strings.Contains(a.body, tc.holds) {
				t.Fatalf("status %d, body %s", a.status, a.body)
			}
			if err := wellFormed(a.body); (err == nil) != tc.parses {
				t.Errorf("parsing ends with %v, want well-formed: %v", err, tc.parses)
			}
		})
	}
}

func wellFormed(doc string) error {
	d := xml.NewDecoder(bytes.NewReader([]byte(doc)))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}
