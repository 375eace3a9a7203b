package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.org/ncm/pkg/config"
)

// tlsBroker takes connections with a certificate of its own and tells how their
// handshakes end. It is no broker beyond that.
func tlsBroker(t *testing.T) (url, caFile string, handshakes <-chan error) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	caFile = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(caFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ended, done := make(chan error, 100), make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			ended <- conn.(*tls.Conn).HandshakeContext(t.Context())
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-done
	})
	return "amqps://guest:guest@" + listener.Addr().String() + "/", caFile, ended
}

func TestTheBrokersCertificateIsChecked(t *testing.T) {
	t.Parallel()
	for name, trusted := range map[string]bool{"trusted": true, "not trusted": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, caFile, handshakes := tlsBroker(t)
			b := newBench(t, url)
			if trusted {
				b.settings.RabbitMQCA = caFile
			}
			b.start(t)
			select {
			case err := <-handshakes:
				if (err == nil) != trusted {
					t.Errorf("handshake: %v", err)
				}
			case <-time.After(patience):
				t.Error("nobody came")
			}
		})
	}
}

func TestAFileWithoutAuthoritiesIsAFault(t *testing.T) {
	t.Parallel()
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, caFile, _ := tlsBroker(t)
	for name, c := range map[string]struct{ broker, file string }{
		"missing": {"amqps://broker.test/", "/does/not/exist"}, "empty": {"amqps://broker.test/", empty}, "no TLS": {"amqp://broker.test/", caFile},
	} {
		b := newBench(t, c.broker)
		b.settings.RabbitMQURL, b.settings.RabbitMQCA = config.Secret(c.broker), c.file
		if err := b.settings.Validate(); err == nil || !strings.Contains(err.Error(), "RABBITMQ_CA_FILE") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
