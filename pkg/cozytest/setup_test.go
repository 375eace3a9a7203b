package cozytest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"example.org/ncm/pkg/cozytest"
)

const host = "alice.example"

// testBundle is a stack with one instance behind a real server.
type testBundle struct {
	t      *testing.T
	stack  *cozytest.Stack
	inst   *cozytest.Instance
	server *httptest.Server
	token  string
}

func setup(t *testing.T, config cozytest.Config, options cozytest.InstanceOptions) *testBundle {
	t.Helper()
	stack := cozytest.New(config)
	inst := stack.AddInstance(host, options)
	server := httptest.NewServer(stack)
	t.Cleanup(server.Close)
	t.Cleanup(stack.Close)
	return &testBundle{t: t, stack: stack, inst: inst, server: server, token: inst.AppToken()}
}

func (b *testBundle) request(ctx context.Context, method, target string, body io.Reader) *http.Request {
	b.t.Helper()
	request, err := http.NewRequestWithContext(ctx, method, b.server.URL+target, body)
	if err != nil {
		b.t.Fatal(err)
	}
	request.Host = host
	request.Header.Set("Authorization", "Bearer "+b.token)
	return request
}

// reply is an answer read to its end.
type reply struct {
	*http.Response
	body string
}

// id of the resource in the answer.
func (r reply) id() string {
	var doc struct {
		Data struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	_ = json.Unmarshal([]byte(r.body), &doc)
	return doc.Data.ID
}

func (b *testBundle) send(request *http.Request) (reply, error) {
	response, err := b.server.Client().Do(request)
	if err != nil {
		return reply{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return reply{response, string(body)}, err
}

func (b *testBundle) do(method, target, body string) reply {
	b.t.Helper()
	answer, err := b.send(b.request(b.t.Context(), method, target, strings.NewReader(body)))
	if err != nil {
		b.t.Fatalf("%s %s: %v", method, target, err)
	}
	return answer
}

// expect sends a request and wants a status.
func (b *testBundle) expect(status int, method, target, body string) reply {
	b.t.Helper()
	answer := b.do(method, target, body)
	if answer.StatusCode != status {
		b.t.Fatalf("%s %s: %d, want %d: %s", method, target, answer.StatusCode, status, answer.body)
	}
	return answer
}

const inRoot = "/files/" + cozytest.RootID

func (b *testBundle) sim(method, target string, order any) reply {
	b.t.Helper()
	text, err := json.Marshal(order)
	if err != nil {
		b.t.Fatal(err)
	}
	answer, err := b.send(b.request(b.t.Context(), method, target, bytes.NewReader(text)))
	if err != nil {
		b.t.Fatalf("%s %s: %v", method, target, err)
	}
	return answer
}
