package sides_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"time"
)

// ask sends an order to a simulator, wants success and decodes the answer into a
// pointer, if any.
func ask(t testing.TB, method, url string, body, into any) {
	t.Helper()
	content, err := json.Marshal(body)
	if err != nil {
		t.Fatalf("encode order: %v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // also while a test cleans up
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(content))
	if err != nil {
		t.Fatalf("make order: %v", err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatalf("send order: %v", err)
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode/100 != 2 {
		t.Fatalf("%s %s %s: %d %s %v", method, url, content, answer.StatusCode, said, err)
	}
	if into == nil {
		return
	}
	if err := json.Unmarshal(said, into); err != nil {
		t.Fatalf("decode answer %.200q: %v", said, err)
	}
}

// lookEvery is how often a condition is looked at: scenes are many, cores few.
const lookEvery = 100 * time.Millisecond

// until returns as soon as a condition holds, with the time that took, and ends
// the test when it does not in time.
func until(t *testing.T, within time.Duration, what string, holds func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for !holds() {
		if time.Since(began) > within {
			t.Fatalf("not after %v: %s", within, what)
		}
		<-tick.C
	}
	return time.Since(began)
}
