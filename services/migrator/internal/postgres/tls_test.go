package postgres_test

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"example.org/ncm/services/migrator/internal/postgres"
)

// tlsDatabase takes connections as a PostgreSQL does that has a certificate, or
// none, and gives what each client sent after that. It is no database beyond that.
func tlsDatabase(t *testing.T, certificate *tls.Certificate) (port int, sent <-chan string) {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	all, done := make(chan string, 100), make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			all <- receive(t.Context(), conn, certificate)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-done
	})
	return listener.Addr().(*net.TCPAddr).Port, all
}

// receive answers the question for TLS and reads on in the way it was answered.
func receive(ctx context.Context, conn net.Conn, certificate *tls.Certificate) string {
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.ReadFull(conn, make([]byte, 8)); err != nil {
		return ""
	}
	answer := "N"
	if certificate != nil {
		answer = "S"
	}
	_, _ = io.WriteString(conn, answer)
	if certificate != nil {
		secured := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{*certificate}, MinVersion: tls.VersionTLS12})
		if secured.HandshakeContext(ctx) != nil {
			return ""
		}
		conn = secured
	}
	startup := make([]byte, 1024)
	n, _ := conn.Read(startup)
	return string(startup[:n])
}

// TestTheDatabasesCertificateIsChecked has nothing sent to a server that is not
// the one of the URL.
func TestTheDatabasesCertificateIsChecked(t *testing.T) {
	t.Parallel()
	known := httptest.NewTLSServer(nil) // for its certificate
	defer known.Close()
	certificate := known.TLS.Certificates[0]
	authority := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: known.Certificate().Raw})
	if err := os.WriteFile(authority, text, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		host, parameters string
		certificate      *tls.Certificate
		greeted          bool
	}{
		"trusted":           {"127.0.0.1", "sslmode=verify-full&sslrootcert=" + authority, &certificate, true},
		"another authority": {"127.0.0.1", "sslmode=verify-full", &certificate, false},
		"another name":      {"localhost", "sslmode=verify-full&sslrootcert=" + authority, &certificate, false},
		"without TLS":       {"127.0.0.1", "sslmode=verify-full&sslrootcert=" + authority, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			port, sent := tlsDatabase(t, c.certificate)
			ledger, err := postgres.Open(t.Context(), fmt.Sprintf("postgres://planted-user:planted-password@%s:%d/ledger?%s", c.host, port, c.parameters), 1)
			if err != nil {
				t.Fatal(err)
			}
			defer ledger.Close()
			if ledger.Ping(t.Context()) == nil {
				t.Error("the database answers")
			}
			if got := <-sent; (got != "") != c.greeted {
				t.Errorf("the client sent %q", got)
			}
		})
	}
}
