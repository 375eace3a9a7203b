package egress_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"example.org/ncm/pkg/egress"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const short = 200 * time.Millisecond

func client(t *testing.T, o egress.Options) *http.Client {
	t.Helper()
	c := &http.Client{Transport: egress.NewTransport(o), CheckRedirect: egress.CheckRedirect}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

func server(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func get(t *testing.T, c *http.Client, url string) (*http.Response, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatalf("make request: %v", err)
	}
	return c.Do(req)
}

// try asks for a URL and returns what came.
func try(t *testing.T, c *http.Client, url string) (string, error) {
	t.Helper()
	resp, err := get(t, c, url)
	if err != nil {
		return "", err
	}
	defer egress.Drain(resp.Body)
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

func TestTransportRefusesForbiddenAddresses(t *testing.T) {
	t.Parallel()
	c := client(t, egress.Options{Dial: time.Second})
	for _, host := range []string{
		"127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1",
		"100.64.0.1", "169.254.169.254", "168.63.129.16", "192.0.0.192", "192.0.2.1", "198.18.0.1",
		"224.0.0.1", "240.0.0.1", "255.255.255.255",
		"[::1]", "[::]", "[fc00::1]", "[fd12::1]", "[fe80::1]", "[fe80::1%25lo]", "[fec0::1]", "[ff02::1]",
		"[::ffff:127.0.0.1]", "[::ffff:169.254.169.254]", "[::127.0.0.1]", "[::ffff:0:127.0.0.1]",
		"[64:ff9b::7f00:1]", "[64:ff9b:1::1]", "[2002:7f00:1::]", "[2001::1]", "[2001:db8::1]", "[100::1]",
	} {
		_, err := try(t, c, "http://"+host+"/")
		if !errors.Is(err, egress.ErrForbiddenAddress) {
			t.Errorf("GET %s = %v, want ErrForbiddenAddress", host, err)
		}
	}
}

func TestTransportJudgesTheAddressANameResolvesTo(t *testing.T) {
	t.Parallel()
	reached := false
	s := server(t, func(http.ResponseWriter, *http.Request) { reached = true })

	_, err := try(t, client(t, egress.Options{}), "http://localhost:"+portOf(t, s.URL)+"/")

	if !errors.Is(err, egress.ErrForbiddenAddress) || reached {
		t.Errorf("GET localhost = %v, reached %v; want ErrForbiddenAddress", err, reached)
	}
}

func TestPublicAddressesPassThePolicy(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{"1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00::1"} {
		if !egress.Permits(nil, netip.MustParseAddr(addr)) {
			t.Errorf("%s is refused, want it permitted", addr)
		}
	}
}

func TestAllowedAddressesAreReached(t *testing.T) {
	t.Parallel()
	s := server(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	for name, o := range map[string]egress.Options{
		"prefix":  {Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}},
		"private": {AllowPrivate: true},
	} {
		if _, err := try(t, client(t, o), s.URL); err != nil {
			t.Errorf("%s: GET = %v, want an answer", name, err)
		}
	}
}

func TestMappedHostsKeepTheirName(t *testing.T) {
	t.Parallel()
	s := server(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Host) })
	addr := strings.TrimPrefix(s.URL, "http://")
	m, err := egress.ParseAddressMap([]string{"Alice.Example=" + addr, ".cozy.example=" + addr, ".alone=127.0.0.1"})
	if err != nil {
		t.Fatalf("ParseAddressMap: %v", err)
	}
	c := client(t, egress.Options{Addresses: m})
	for _, host := range []string{"alice.example", "ALICE.example:81", "bob.cozy.example", "a.b.cozy.example", "x.alone:" + portOf(t, s.URL)} {
		body, err := try(t, c, "http://"+host+"/")
		if !strings.EqualFold(body, host) || err != nil {
			t.Errorf("GET %s reached %q, %v", host, body, err)
		}
	}
}

func TestParseAddressMapRefusesHalfPairs(t *testing.T) {
	t.Parallel()
	for _, pair := range []string{"", "host", "=addr", "host="} {
		if _, err := egress.ParseAddressMap([]string{pair}); err == nil {
			t.Errorf("ParseAddressMap(%q) = nil, want an error", pair)
		}
	}
}

func TestTransportSpeaksPlainHTTP1(t *testing.T) {
	t.Parallel()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Accept-Encoding"); got != "" {
			t.Errorf("Accept-Encoding = %q, want none", got)
		}
		_, _ = io.WriteString(w, r.Proto)
	}))
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	tlsConfig := s.Client().Transport.(*http.Transport).TLSClientConfig

	resp, err := get(t, client(t, egress.Options{AllowPrivate: true, TLS: tlsConfig}), s.URL)
	if err != nil {
		t.Fatalf("GET: %v", err)
	}
	defer egress.Drain(resp.Body)

	if got, _ := io.ReadAll(resp.Body); string(got) != "HTTP/1.1" {
		t.Errorf("protocol = %s, want HTTP/1.1", got)
	}
}

func TestAStalledBodyIsCut(t *testing.T) {
	t.Parallel()
	s := server(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "begin")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	resp, err := get(t, client(t, egress.Options{AllowPrivate: true, BodyIdle: short}), s.URL)
	if err != nil {
		t.Fatalf("GET: %v", err)
	}
	defer egress.Drain(resp.Body)

	body, err := io.ReadAll(resp.Body)

	var timeout net.Error
	if string(body) != "begin" || !errors.Is(err, egress.ErrStalled) || !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("body = %q, %v; want begin, then ErrStalled, a timeout", body, err)
	}
}

func TestABodyMayTakeLongWhileItMoves(t *testing.T) {
	t.Parallel()
	s := server(t, func(w http.ResponseWriter, r *http.Request) {
		tick := time.NewTicker(short / 4)
		defer tick.Stop()
		for range 12 {
			_, _ = io.WriteString(w, "x")
			_ = http.NewResponseController(w).Flush()
			select {
			case <-tick.C:
			case <-r.Context().Done():
				return
			}
		}
	})
	resp, err := get(t, client(t, egress.Options{AllowPrivate: true, BodyIdle: short, Headers: short}), s.URL)
	if err != nil {
		t.Fatalf("GET: %v", err)
	}
	defer egress.Drain(resp.Body)

	if body, err := io.ReadAll(resp.Body); len(body) != 12 || err != nil {
		t.Errorf("body = %d bytes, %v; want 12", len(body), err)
	}
}

func TestASlowReaderIsNotThePeersFault(t *testing.T) {
	t.Parallel()
	s := server(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 1<<20)) })
	resp, err := get(t, client(t, egress.Options{AllowPrivate: true, BodyIdle: short}), s.URL)
	if err != nil {
		t.Fatalf("GET: %v", err)
	}
	defer egress.Drain(resp.Body)

	if _, err := io.ReadFull(resp.Body, make([]byte, 10)); err != nil {
		t.Fatalf("first bytes: %v", err)
	}
	<-time.After(3 * short)

	if n, err := io.Copy(io.Discard, resp.Body); n != 1<<20-10 || err != nil {
		t.Errorf("rest = %d bytes, %v; want all", n, err)
	}
}

func TestAStalledUploadIsCut(t *testing.T) {
	t.Parallel()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	defer func() { _ = listener.Close() }()
	accepted := make(chan net.Conn, 1)
	go func() { // takes the connection and reads nothing
		if conn, err := listener.Accept(); err == nil {
			accepted <- conn
		}
		close(accepted)
	}()
	defer func() {
		for conn := range accepted {
			_ = conn.Close()
		}
	}()
	body := io.MultiReader(bytes.NewReader(make([]byte, 64<<20)))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+listener.Addr().String(), body)
	if err != nil {
		t.Fatalf("make request: %v", err)
	}
	req.ContentLength = 64 << 20

	_, err = client(t, egress.Options{AllowPrivate: true, BodyIdle: short}).Do(req)

	if !errors.Is(err, egress.ErrStalled) {
		t.Errorf("POST = %v, want ErrStalled", err)
	}
}

func TestHeadersHaveACeiling(t *testing.T) {
	t.Parallel()
	s := server(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })

	_, err := try(t, client(t, egress.Options{AllowPrivate: true, Headers: short}), s.URL)

	var timeout net.Error
	if !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("GET = %v, want a timeout", err)
	}
}

func TestDrainedErrorsKeepTheirConnection(t *testing.T) {
	t.Parallel()
	remotes := make(chan string, 20)
	s := server(t, func(w http.ResponseWriter, r *http.Request) {
		remotes <- r.RemoteAddr
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write(make([]byte, 10<<10))
	})
	c := client(t, egress.Options{AllowPrivate: true})
	for range 10 {
		resp, err := get(t, c, s.URL)
		if err != nil {
			t.Fatalf("GET: %v", err)
		}
		egress.Drain(resp.Body)
	}
	close(remotes)
	first := <-remotes
	for r := range remotes {
		if r != first {
			t.Errorf("connection %s, want %s again", r, first)
		}
	}
}

func TestDrainReadsNoEndlessBody(t *testing.T) {
	t.Parallel()
	body := &endless{}

	egress.Drain(body)

	if body.read > 2*egress.MaxErrorBody || !body.closed {
		t.Errorf("read %d bytes, closed %v; want about %d and closed", body.read, body.closed, egress.MaxErrorBody)
	}
}

type endless struct {
	read   int
	closed bool
}

func (e *endless) Read(p []byte) (int, error) { e.read += len(p); return len(p), nil }
func (e *endless) Close() error               { e.closed = true; return nil }

func TestRedirectsStayAtTheirOrigin(t *testing.T) {
	t.Parallel()
	other := server(t, func(http.ResponseWriter, *http.Request) { t.Error("the other origin was asked") })
	s := server(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/same":
			http.Redirect(w, r, "/end", http.StatusFound)
		case "/other":
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		}
	})
	c := client(t, egress.Options{AllowPrivate: true})
	for path, want := range map[string]error{"/same": nil, "/other": egress.ErrRedirect, "/loop": egress.ErrRedirect} {
		_, err := try(t, c, s.URL+path)
		if !errors.Is(err, want) {
			t.Errorf("GET %s = %v, want %v", path, err, want)
		}
	}
}

func TestSameOriginComparesSchemeHostAndPort(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		a, b string
		want bool
	}{
		{"https://h/a", "https://H:443/b", true},
		{"http://h/a", "http://h:80", true},
		{"https://h", "http://h", false},
		{"https://h", "https://h:8443", false},
		{"https://h", "https://x.h", false},
		{"http://h:443", "https://h", false},
	} {
		a, b := parse(t, tc.a), parse(t, tc.b)
		if got := egress.SameOrigin(a, b); got != tc.want {
			t.Errorf("SameOrigin(%s, %s) = %v, want %v", tc.a, tc.b, got, tc.want)
		}
	}
}

func TestSwitchedProtocolsOutliveTheWatch(t *testing.T) {
	t.Parallel()
	s := server(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, buf, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Errorf("hijack: %v", err)
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		_, _ = io.Copy(conn, buf)
	})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL, nil)
	if err != nil {
		t.Fatalf("make request: %v", err)
	}
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "echo")
	resp, err := client(t, egress.Options{AllowPrivate: true, BodyIdle: short}).Do(req)
	if err != nil {
		t.Fatalf("GET: %v", err)
	}
	defer func() { _ = resp.Body.Close() }()
	conn, ok := resp.Body.(io.ReadWriter)
	if !ok {
		t.Fatalf("body is a %T, want a connection", resp.Body)
	}
	<-time.After(2 * short)
	if _, err := io.WriteString(conn, "hello"); err != nil {
		t.Fatalf("write: %v", err)
	}
	got := make([]byte, 5)
	if _, err := io.ReadFull(conn, got); string(got) != "hello" || err != nil {
		t.Errorf("echo = %q, %v", got, err)
	}
}

func portOf(t *testing.T, raw string) string {
	t.Helper()
	return parse(t, raw).Port()
}

func parse(t *testing.T, raw string) *url.URL {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatalf("parse %s: %v", raw, err)
	}
	return u
}
