package rig

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Request is one HTTP request; what is empty is left out.
type Request struct {
	Method, URL string
	Host        string // instead of the URL's
	Token       string // bearer
	ContentType string
	Body        string
}

// Answer is what came back, read to its end.
type Answer struct {
	Status int
	Header http.Header
	Body   string
	Took   time.Duration
}

// Decode reads the body as JSON.
func (a Answer) Decode(t testing.TB, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.Body), into); err != nil {
		t.Fatalf("decode answer %q: %v", a.Body, err)
	}
}

// ask sends a request on a connection of its own, as most callers do, and follows
// no redirect.
func ask(t testing.TB, r Request) (Answer, error) {
	ctx, cancel := limited(t)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, r.Method, r.URL, strings.NewReader(r.Body))
	if err != nil {
		return Answer{}, fmt.Errorf("make request: %w", err)
	}
	request.Close = true
	request.Host = r.Host
	if r.Token != "" {
		request.Header.Set("Authorization", "Bearer "+r.Token)
	}
	if r.ContentType != "" {
		request.Header.Set("Content-Type", r.ContentType)
	}
	start := time.Now()
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		return Answer{}, fmt.Errorf("send request: %w", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return Answer{}, fmt.Errorf("read answer: %w", err)
	}
	return Answer{Status: response.StatusCode, Header: response.Header, Body: string(body), Took: time.Since(start)}, nil
}

func mustAsk(t testing.TB, r Request) Answer {
	t.Helper()
	answer, err := ask(t, r)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// order sends JSON to a simulator and wants success.
func order(t testing.TB, method, url string, body any) Answer {
	t.Helper()
	content, err := json.Marshal(body)
	if err != nil {
		t.Fatalf("encode order: %v", err)
	}
	answer := mustAsk(t, Request{Method: method, URL: url, ContentType: "application/json", Body: string(content)})
	if answer.Status/100 != 2 {
		t.Fatalf("%s %s %s: %d %s", method, url, content, answer.Status, answer.Body)
	}
	return answer
}
