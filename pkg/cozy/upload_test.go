package cozy_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/ncm/pkg/cozy"
)

func TestUploadSendsLengthDatesAndDigest(t *testing.T) {
	t.Parallel()
	s := script(t, answer{201, nil, fileAnswer})
	got, err := instanceOn(t, s.Server, cozy.Static("tok")).Upload(t.Context(), cozy.Upload{
		DirID: "d1", Name: "a b+c.txt", Size: 11, MIME: "text/plain", Executable: true,
		MD5:   []byte("0123456789abcdef"),
		Times: cozy.Times{CreatedAt: created, UpdatedAt: updated},
		Body:  strings.NewReader("hello cozy\nand what is beyond the size"),
	})
	if err != nil || got.ID != "f1" || got.Size != 11 || len(got.MD5) != 16 {
		t.Fatalf("got %+v, %v", got, err)
	}
	want := []request{{
		Line: "POST /files/d1?Type=file&Name=a%20b%2Bc.txt&Size=11" +
			"&CreatedAt=2020-01-02T03:04:05.000000006Z&UpdatedAt=2021-01-02T03:04:05Z&Executable=true",
		Host: host, Auth: "Bearer tok", Type: "text/plain", MD5: "MDEyMzQ1Njc4OWFiY2RlZg==", Length: 11, Body: "hello cozy\n",
	}}
	if diff := cmp.Diff(want, s.got()); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
}

func TestUploadOfAnEmptyFileAnnouncesItsLength(t *testing.T) {
	t.Parallel()
	var length atomic.Value
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		length.Store(r.Header.Get("Content-Length") + strings.Join(r.TransferEncoding, ","))
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, strings.Replace(fileAnswer, `"size":"11"`, `"size":"0"`, 1))
	}))
	t.Cleanup(s.Close)
	got, err := instanceOn(t, s, cozy.Static("tok")).Upload(t.Context(), cozy.Upload{DirID: "d1", Name: "e", Body: strings.NewReader("")})
	if err != nil || got.Size != 0 || length.Load() != "0" {
		t.Errorf("got %+v, %v, Content-Length %q", got, err, length.Load())
	}
}

func TestUploadWithARefusedTokenAsksForTheNextAndForAFreshBody(t *testing.T) {
	t.Parallel()
	s := script(t, expired, answer{201, nil, fileAnswer})
	i := instanceOn(t, s.Server, cozy.Cached(&source{}))
	up := func() error {
		_, err := i.Upload(t.Context(), cozy.Upload{DirID: "d1", Name: "a.txt", Size: 3, Body: strings.NewReader("abc")})
		return err
	}
	if err := up(); !errors.Is(err, cozy.ErrTokenRefreshed) {
		t.Fatalf("got %v, want ErrTokenRefreshed", err)
	}
	if err := up(); err != nil {
		t.Fatal(err)
	}
	if got := s.got()[1].Auth; got != "Bearer t2" {
		t.Errorf("the second try was sent with %s", got)
	}
}

func TestUploadReportsWhatItsBodyFailedWith(t *testing.T) {
	t.Parallel()
	broken := errors.New("source is gone")
	for name, test := range map[string]struct {
		body io.Reader
		want error
	}{
		"failure": {io.MultiReader(strings.NewReader("abc"), failing{broken}), broken},
		"at once": {failing{broken}, broken},
		"short":   {strings.NewReader("abc"), cozy.ErrBodyShort},
		"empty":   {strings.NewReader(""), cozy.ErrBodyShort},
	} {
		s := script(t, answer{412, nil, `{"errors":[{"title":"Precondition Failed"}]}`})
		_, err := instanceOn(t, s.Server, cozy.Static("tok")).
			Upload(t.Context(), cozy.Upload{DirID: "d1", Name: "secret", Size: 1000, Body: test.body})
		if !errors.Is(err, test.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: got %v, want %v", name, err, test.want)
		}
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// watched is an endless body that notes reads after it was given back.
type watched struct {
	over, late, closed atomic.Bool
}

func (w *watched) Read(p []byte) (int, error) {
	if w.over.Load() {
		w.late.Store(true)
	}
	return len(p), nil
}

func (w *watched) Close() error {
	w.closed.Store(true)
	return nil
}

func TestUploadReadsAnswersThatComeBeforeTheBodyIsSent(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusConflict)
		_, _ = io.WriteString(w, `{"errors":[{"status":"409","title":"Conflict","detail":"file already exists","source":{}}]}`)
	}))
	t.Cleanup(s.Close)
	i := instanceOn(t, s, cozy.Static("tok"))
	for range 20 {
		body := &watched{}
		_, err := i.Upload(t.Context(), cozy.Upload{DirID: "d1", Name: "big", Size: 1 << 40, Body: body})
		body.over.Store(true)
		if !cozy.IsConflict(err) {
			t.Fatalf("got %v, want the conflict", err)
		}
		if !body.closed.Load() || body.late.Load() {
			t.Fatalf("closed %t, read afterwards %t", body.closed.Load(), body.late.Load())
		}
	}
}

func TestUploadGivesUpABodyThatHangsWhenTheAnswerIsThere(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		_, _ = io.WriteString(w, `{"errors":[{"status":"413","title":"Request Entity Too Large"}]}`)
	}))
	t.Cleanup(s.Close)
	body, feed := io.Pipe() // gives enough to send the request, then nothing
	go func() { _, _ = feed.Write(make([]byte, 64<<10)) }()
	_, err := instanceOn(t, s, cozy.Static("tok")).Upload(t.Context(), cozy.Upload{DirID: "d1", Name: "x", Size: 1 << 20, Body: body})
	if !cozy.IsTooLarge(err) {
		t.Errorf("got %v, want too large", err)
	}
}

func TestUploadEndsWhenTheStackStalls(t *testing.T) {
	t.Parallel()
	for name, size := range map[string]int64{"does not answer": 3, "takes no bytes": 1 << 40} {
		end := make(chan struct{})
		s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if size == 3 {
				_, _ = io.Copy(io.Discard, r.Body)
			}
			<-end
		}))
		stack := cozy.New(cozy.Config{HTTP: clientTo(t, s), Scheme: "http", Tokens: cozy.Static("tok"), Stall: 50 * time.Millisecond})
		body := &watched{}
		_, err := stack.Instance(host).Upload(t.Context(), cozy.Upload{DirID: "d1", Name: "x", Size: size, Body: body})
		if !errors.Is(err, cozy.ErrStalled) || !body.closed.Load() {
			t.Errorf("%s: got %v, body closed %t", name, err, body.closed.Load())
		}
		close(end)
		s.Close()
	}
}

// slow takes a minute for each read.
type slow struct{ left int }

func (s *slow) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	<-time.After(time.Minute)
	s.left--
	p[0] = 'x'
	return 1, nil
}

func TestUploadDoesNotTakeASlowSourceForAStalledStack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stored := readsAll(func() *http.Response {
			return &http.Response{StatusCode: http.StatusCreated, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(fileAnswer))}
		})
		stack := cozy.New(cozy.Config{HTTP: &http.Client{Transport: stored}, Scheme: "http", Tokens: cozy.Static("tok"), Stall: 40 * time.Second})
		if _, err := stack.Instance(host).Upload(t.Context(), cozy.Upload{DirID: "d1", Name: "x", Size: 3, Body: &slow{left: 3}}); err != nil {
			t.Error(err)
		}
	})
}

// readsAll is a stack that answers at once after it has read a body.
type readsAll func() *http.Response

func (a readsAll) RoundTrip(r *http.Request) (*http.Response, error) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return nil, err
	}
	return a(), r.Body.Close()
}

func TestUploadEndsWithItsContext(t *testing.T) {
	t.Parallel()
	reached, end := make(chan struct{}), make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(reached)
		<-end
	}))
	t.Cleanup(s.Close)
	t.Cleanup(func() { close(end) })
	canceled := errors.New("canceled by the user")
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		<-reached
		cancel(canceled)
	}()
	body := &watched{}
	_, err := instanceOn(t, s, cozy.Static("tok")).Upload(ctx, cozy.Upload{DirID: "d1", Name: "x", Size: 1 << 40, Body: body})
	if !errors.Is(err, canceled) && !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the cancellation", err)
	}
}

// The two benchmarks stream the same bytes: what Upload adds is the difference.

func BenchmarkUpload(b *testing.B) {
	i, content := benchInstance(b)
	for b.Loop() {
		if _, err := i.Upload(b.Context(), cozy.Upload{
			DirID: "d1", Name: "a file.txt", Size: int64(len(content)), Body: bytes.NewReader(content),
			Times: cozy.Times{CreatedAt: created, UpdatedAt: updated},
		}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBarePost(b *testing.B) {
	s, content := benchServer(b)
	client := s.Client()
	for b.Loop() {
		req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, s.URL+"/files/d1?Type=file&Name=a%20file.txt", struct{ io.Reader }{bytes.NewReader(content)})
		if err != nil {
			b.Fatal(err)
		}
		req.ContentLength = int64(len(content))
		res, err := client.Do(req)
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
	}
}

func benchServer(b *testing.B) (*httptest.Server, []byte) {
	content := bytes.Repeat([]byte("x"), 4<<10)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, fileAnswer)
	}))
	b.Cleanup(s.Close)
	b.ReportAllocs()
	return s, content
}

func benchInstance(b *testing.B) (*cozy.Instance, []byte) {
	s, content := benchServer(b)
	stack := cozy.New(cozy.Config{HTTP: s.Client(), Scheme: "http", Tokens: cozy.Static("tok")})
	return stack.Instance(s.Listener.Addr().String()), content
}
