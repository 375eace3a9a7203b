package rig_test

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"example.org/ncm/test/rig"
)

// repeater answers each connection with what it says, and tells what that was.
func repeater(t *testing.T) (addr string, heard <-chan string) {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	said := make(chan string, 10)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				buffer := make([]byte, 100)
				for {
					n, err := conn.Read(buffer)
					if err != nil {
						return
					}
					said <- string(buffer[:n])
					_, _ = conn.Write(buffer[:n])
				}
			}()
		}
	}()
	return listener.Addr().String(), said
}

// say sends words on a new connection and gives the answer.
func say(t *testing.T, addr, words string) (string, error) {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(rig.Patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, words); err != nil {
		return "", err
	}
	answer := make([]byte, len(words))
	_, err = io.ReadFull(conn, answer)
	return string(answer), err
}

func TestAProxyLosesAnswersAndNotRequests(t *testing.T) {
	t.Parallel()
	server, heard := repeater(t)
	proxy := rig.NewProxy(t, server)
	proxy.Tamper(func(sent []byte) bool { return strings.HasPrefix(string(sent), "lose") })
	if answer, err := say(t, proxy.Addr, "keep this"); answer != "keep this" || err != nil {
		t.Errorf("the answer is %q, %v", answer, err)
	}
	if answer, err := say(t, proxy.Addr, "lose this"); !errors.Is(err, io.EOF) {
		t.Errorf("the answer is %q, %v; want none", answer, err)
	}
	if first, second := <-heard, <-heard; first != "keep this" || second != "lose this" {
		t.Errorf("the server heard %q and %q", first, second)
	}
}

func TestAProxyFollowsItsServer(t *testing.T) {
	t.Parallel()
	server, _ := repeater(t)
	proxy := rig.NewProxy(t, "127.0.0.1:1")
	if answer, err := say(t, proxy.Addr, "hello"); err == nil {
		t.Errorf("nobody answers %q", answer)
	}
	proxy.Point(server)
	if answer, err := say(t, proxy.Addr, "hello"); answer != "hello" || err != nil {
		t.Errorf("the answer is %q, %v", answer, err)
	}
}
