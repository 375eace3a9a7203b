package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"example.org/ncm/pkg/cozytest"
	"example.org/ncm/pkg/nextcloudtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ends are the two simulators in this process, with some generated files.
type ends struct {
	control  *control
	instance *cozytest.Instance
	order    pipeOrder
	want     tree
}

func newEnds(t *testing.T) *ends {
	t.Helper()
	nextcloud := nextcloudtest.New(nextcloudtest.Config{Dir: t.TempDir()})
	if err := nextcloud.AddUser(nextcloudtest.User{
		ID: sourceUser, AppPasswords: []nextcloudtest.AppPassword{{Token: sourcePassword}},
	}); err != nil {
		t.Fatal(err)
	}
	cozy := cozytest.New(cozytest.Config{})
	source, target := httptest.NewServer(nextcloud), httptest.NewServer(cozy)
	t.Cleanup(source.Close)
	t.Cleanup(target.Close)

	e := &ends{
		control:  &control{nextcloud: source.Listener.Addr().String(), cozy: target.Listener.Addr().String()},
		instance: cozy.AddInstance("one"+instanceSuffix, cozytest.InstanceOptions{}),
	}
	l := load{folder: "/small", files: 30, size: 10 * kilobyte}
	if err := e.control.generate(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	want, files, err := e.control.sourceTree(t.Context(), l.folder)
	if err != nil {
		t.Fatal(err)
	}
	e.want = want
	e.order = pipeOrder{
		Source: source.URL + "/remote.php/dav/files/" + sourceUser, Login: sourceUser, Password: sourcePassword,
		Target: e.instance.Host(), Address: e.control.cozy, Token: e.instance.AppToken(),
		Parallel: 4, Files: files,
	}
	return e
}

// runOrder talks to the pipe as the bench does, and gives its error.
func runOrder(ctx context.Context, t *testing.T, order pipeOrder) error {
	t.Helper()
	line, err := json.Marshal(order)
	if err != nil {
		t.Fatal(err)
	}
	stdin, orders := io.Pipe()
	said, stdout := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, []string{pipeCommand}, stdin, stdout)
		stdin.CloseWithError(err)
		stdout.CloseWithError(io.EOF)
		ended <- err
	}()
	lines := bufio.NewScanner(said)
	fmt.Fprintf(orders, "%s\n", line)
	for _, want := range []string{lineReady, lineDone} {
		if !lines.Scan() {
			break // its error says why
		}
		if lines.Text() != want {
			t.Errorf("the pipe said %q instead of %q", lines.Text(), want)
		}
		fmt.Fprintln(orders, "go")
	}
	orders.Close()
	return <-ended
}

func TestPipeMovesEveryFile(t *testing.T) {
	t.Parallel()
	e := newEnds(t)
	if err := runOrder(t.Context(), t, e.order); err != nil {
		t.Fatal(err)
	}
	got, err := e.control.targetTree(t.Context(), e.instance.Host(), "/")
	if err != nil {
		t.Fatal(err)
	}
	if err := checkSame(e.want.flat(), got); err != nil {
		t.Error(err)
	}
}

func TestPipeFailsWhereAFileCannotBeMoved(t *testing.T) {
	t.Parallel()
	e := newEnds(t)
	for name, spoil := range map[string]func(*pipeOrder){
		"source": func(o *pipeOrder) { o.Password = "wrong" },
		"target": func(o *pipeOrder) { o.Token = "wrong" },
	} {
		order := e.order
		spoil(&order)
		if err := runOrder(t.Context(), t, order); err == nil || !strings.Contains(err.Error(), name+": 4") {
			t.Errorf("with a wrong login at the %s the pipe ended with %v", name, err)
		}
	}
}
