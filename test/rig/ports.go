package rig

import (
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
)

// Ports below the range out of which systems serve connections: no connection
// takes one between its choice and the start of the program that it is for.
const (
	firstPort = 20000
	lastPort  = 31999
)

// pickAddr is for programs that cannot tell which port they were given.
func pickAddr(t testing.TB) string {
	t.Helper()
	for range 100 {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(firstPort+rand.IntN(lastPort-firstPort)))
		listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", addr)
		if err == nil {
			_ = listener.Close()
			return addr
		}
	}
	t.Fatal("no free port")
	return ""
}
