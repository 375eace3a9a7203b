package transcripttest_test

import (
	"testing"

	"example.org/ncm/pkg/transcripttest"
)

func TestEveryRecordedExchangeIsReadInFull(t *testing.T) {
	t.Parallel()
	for _, x := range transcripttest.Cozy(t, "08-*.txt") {
		if x.Title == "" || x.Method == "" || x.Target == "" || x.Status == 0 || x.Header.Get("Host") == "" {
			t.Errorf("of the stack: %+v", x)
		}
	}
	all := transcripttest.Nextcloud(t, "01-*.txt")
	for _, x := range all {
		if x.Title == "" || x.Method == "" || x.Status == 0 || x.Curl == "" || x.Answer.Get("Date") == "" || len(x.Text) > x.Size {
			t.Errorf("of the Nextcloud: %+v", x)
		}
	}
	if len(all) < 10 {
		t.Errorf("only %d exchanges", len(all))
	}
}

func TestAnExchangeIsTakenApart(t *testing.T) {
	t.Parallel()
	all := transcripttest.ParseCozy("\n=== a title   [12 ms]\n>>> request\nPOST /x?y=1 HTTP/1.1\nHost: a.example\n\n{}\n<<< response \n" +
		"HTTP/1.1 100 Continue\n\nHTTP/1.1 201 Created\nTransfer-Encoding: chunked\n\n3\nabc\n2\nde\n0\n\n" +
		"\n--- AMQP messages received ---\nexchange=\"m\" more\nbody={\"a\":1}\n\n=== who left\n>>> request\nGET / HTTP/1.1\n\n\n<<< response (none)\n")
	if len(all) != 2 {
		t.Fatalf("%d exchanges", len(all))
	}
	x := all[0]
	if x.Title != "a title" || x.Method != "POST" || x.Target != "/x?y=1" || x.Header.Get("Host") != "a.example" || x.Body != "{}" ||
		x.Status != 201 || x.Text != "abcde" || len(x.Messages) != 1 || x.Messages[0].Properties != `exchange="m" more` || x.Messages[0].Body != `{"a":1}` {
		t.Errorf("%+v", x)
	}
	if all[1].Status != 0 || all[1].Title != "who left" {
		t.Errorf("%+v", all[1])
	}
}
