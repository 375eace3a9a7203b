package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.org/ncm/pkg/cozytest"
)

const noBroker = "amqp://guest:guest@127.0.0.1:1/"

func (b *bench) orderText(t *testing.T, change map[string]string) string {
	t.Helper()
	order := b.order()
	for name, value := range change {
		order[name] = value
	}
	text, err := json.Marshal(order)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestTryingOutPasswordsIsStopped(t *testing.T) {
	t.Parallel()
	b := newBench(t, noBroker)
	b.settings.InstanceChecks, b.settings.LoginChecks, b.settings.CheckEvery = 100, 3, time.Hour
	b.start(t)
	wrong := b.orderText(t, map[string]string{"nextcloud_app_password": "wrong"})
	for n := range 3 {
		if res, body := b.ask(t, "POST", "/preflight", wrong); res.StatusCode != http.StatusUnauthorized {
			t.Fatalf("try %d: status %d: %s", n, res.StatusCode, body)
		}
	}
	asked := b.nextcloud.Stats().Requests["GET"]
	res, body := b.ask(t, "POST", "/preflight", b.orderText(t, nil))
	wait, err := strconv.Atoi(res.Header.Get("Retry-After"))
	if res.StatusCode != http.StatusTooManyRequests || err != nil || wait < 3500 || wait > 3600 || !strings.Contains(body, "too many login checks") {
		t.Errorf("status %d, Retry-After %d, %v: %s", res.StatusCode, wait, err, body)
	}
	if now := b.nextcloud.Stats().Requests["GET"]; now != asked {
		t.Error("the Nextcloud was asked all the same")
	}
	// The same login is no better from another instance, another login is.
	other := newInstance()
	b.cozy.AddInstance(other, cozytest.InstanceOptions{})
	b.instance = other
	if res, _ := b.ask(t, "POST", "/preflight", wrong); res.StatusCode != http.StatusTooManyRequests {
		t.Errorf("from another instance: status %d", res.StatusCode)
	}
	if res, _ := b.ask(t, "POST", "/preflight", b.orderText(t, map[string]string{"nextcloud_login": "ann"})); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("another login: status %d", res.StatusCode)
	}
}

func TestOneInstanceCannotTryManyLogins(t *testing.T) {
	t.Parallel()
	b := newBench(t, noBroker)
	b.settings.InstanceChecks, b.settings.LoginChecks, b.settings.CheckEvery = 4, 100, time.Hour
	b.start(t)
	statuses := map[int]int{}
	for n := range 10 {
		res, _ := b.ask(t, "POST", "/preflight", b.orderText(t, map[string]string{"nextcloud_login": fmt.Sprint("user", n)}))
		statuses[res.StatusCode]++
	}
	if statuses[http.StatusUnauthorized] != 4 || statuses[http.StatusTooManyRequests] != 6 {
		t.Errorf("statuses %v", statuses)
	}
}

// raw sends bytes to the API and returns what comes until the connection ends.
func (b *bench) raw(t *testing.T, text string) (answer string, took time.Duration) {
	t.Helper()
	began := time.Now()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", b.program.api.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(began.Add(patience)); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(conn, text) // the server may have hung up
	read, err := io.ReadAll(bufio.NewReader(conn))
	if ne, ok := err.(net.Error); ok && ne.Timeout() { //nolint:errorlint // of the connection itself
		t.Errorf("the connection is still open after %s", patience)
	}
	return string(read), time.Since(began)
}

func TestSlowHeadersAreNotWaitedFor(t *testing.T) {
	t.Parallel()
	b := newBench(t, noBroker)
	b.start(t)
	for _, begin := range []string{"", "POST /remote", "POST /remote/nextcloud/migration HTTP/1.1\r\nHost: " + b.instance + "\r\nX-Slow: 1"} {
		t.Run(strconv.Itoa(len(begin)), func(t *testing.T) {
			t.Parallel()
			if _, took := b.raw(t, begin); took > 20*time.Second { // a body is waited for longer
				t.Errorf("the server waited %s", took)
			}
		})
	}
}

func TestLargeHeadersAndOddRequestsAreRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t, noBroker)
	b.start(t)
	head := "GET /remote/nextcloud/migration HTTP/1.1\r\nConnection: close\r\nHost: "
	for name, c := range map[string]struct{ request, want string }{
		"large header":  {head + b.instance + "\r\nX-Large: " + strings.Repeat("x", 100<<10) + "\r\n\r\n", " 431 "},
		"two hosts":     {head + b.instance + "\r\nHost: evil.test\r\n\r\n", " 400 "},
		"no host":       {"GET /remote/nextcloud/migration HTTP/1.1\r\nConnection: close\r\n\r\n", " 400 "},
		"foreign host":  {head + "evil.test\r\n\r\n", " 404 "},
		"odd host":      {head + "127.1\r\n\r\n", " 404 "},
		"absolute form": {"GET http://evil.test/remote/nextcloud/migration HTTP/1.1\r\nConnection: close\r\nHost: " + b.instance + "\r\n\r\n", " 404 "},
		"upper case":    {head + strings.ToUpper(b.instance) + "\r\n\r\n", " 401 "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answer, _ := b.raw(t, c.request)
			if line, _, _ := strings.Cut(answer, "\r\n"); !strings.Contains(line, c.want) {
				t.Errorf("%q, want %s", line, c.want)
			}
		})
	}
}

// TestManyAtOnceAgainstASlowNextcloud is a bound on memory, and operators get
// their answer while all others wait for theirs. It runs alone: the memory is that
// of the whole process.
func TestManyAtOnceAgainstASlowNextcloud(t *testing.T) {
	const callers = 200
	b := newBench(t, noBroker)
	b.client.Timeout = 2 * time.Minute
	slow, answer := atomic.Int64{}, make(chan struct{})
	b.source = serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		slow.Add(1)
		<-answer
		b.nextcloud.ServeHTTP(w, r)
	})) + "/nc"
	release := sync.OnceFunc(func() { close(answer) })
	t.Cleanup(release)
	b.start(t)
	// A wrong password makes each caller's way short but for the wait.
	text := b.orderText(t, map[string]string{"nextcloud_app_password": "wrong"})
	token := b.cozy.Instance(b.instance).AppToken()
	before := heap()
	var all sync.WaitGroup
	statuses := make([]int, callers)
	for n := range callers {
		all.Go(func() {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
				"http://"+b.program.api.Addr().String()+"/remote/nextcloud/migration/preflight", strings.NewReader(text))
			if err != nil {
				t.Error(err)
				return
			}
			req.Host = b.instance
			req.Header.Set("Authorization", "Bearer "+token)
			req.Header.Set("Content-Type", "application/json")
			statuses[n], _ = b.do(t, req)
		})
	}
	eventually(t, "busy", func() bool { return slow.Load() > callers/2 })
	if status := b.ops(t, "/healthz"); status != http.StatusOK {
		t.Errorf("/healthz is %d", status)
	}
	if grown := heap() - before; grown > 64<<20 {
		t.Errorf("%d callers hold %d MB", callers, grown>>20)
	}
	release()
	all.Wait()
	for n, status := range statuses {
		if status != http.StatusUnauthorized {
			t.Fatalf("caller %d: status %d", n, status)
		}
	}
}

// heap is what is in use, of the program, its neighbours and its callers.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse)
}
