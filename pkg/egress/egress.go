// Package egress makes the HTTP transports for everything the services dial:
// with ceilings on each phase, never on the whole, and without a way to the
// addresses that a host name typed by a user must not reach.
package egress

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// Ceilings where Options leave them zero.
const (
	defaultDial     = 10 * time.Second
	defaultTLS      = 10 * time.Second
	defaultHeaders  = 30 * time.Second
	defaultBodyIdle = 60 * time.Second
	defaultIdle     = 32

	idleConn       = 90 * time.Second
	keepAlive      = 15 * time.Second
	maxHeaderBytes = 256 << 10

	// bodyBuffer is what a connection that carries bodies reads, or writes, at once, in
	// bytes: a chunked body comes with a quarter of the system calls that net/http's
	// 4 kB take, and a small file goes out together with the head of its request.
	bodyBuffer = 16 << 10
)

// Options shape a transport. The zero value is fit for hosts that users type.
type Options struct {
	MaxConnsPerHost     int // zero: no limit
	MaxIdleConnsPerHost int // at least the parallelism; zero: 32

	// Downloads and Uploads say which way the bodies of files go: a larger buffer
	// is worth its memory there, for each connection.
	Downloads, Uploads bool

	// AllowPrivate lifts the ban on private and special addresses; Allow lifts
	// it for some.
	AllowPrivate bool
	Allow        []netip.Prefix
	// Addresses are hosts of the operator's own that are dialled elsewhere and
	// without the ban. Not for hosts that users type.
	Addresses AddressMap

	TLS *tls.Config // nil: the defaults, with TLS 1.2 or newer

	Resolver *net.Resolver // of names; nil: the system's

	// The ceilings, zero: 10 s, 10 s, 30 s and 60 s. BodyIdle is the longest
	// wait for the next byte of a body, in either direction. Headers may be
	// negative, for none, where each request is bounded by who sends it.
	Dial, Handshake, Headers, BodyIdle time.Duration
}

// Transport is an http.RoundTripper that speaks HTTP/1.1 only, knows no proxy
// and asks for no compression. It is safe for concurrent use.
type Transport struct {
	base     *http.Transport
	bodyIdle time.Duration
}

// NewTransport makes a transport with a connection pool of its own.
func NewTransport(o Options) *Transport {
	bodyIdle := cmp.Or(o.BodyIdle, defaultBodyIdle)
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &Transport{
		bodyIdle: bodyIdle,
		base: &http.Transport{
			Protocols: protocols,
			// A proxy would be the only thing the dial policy sees.
			Proxy:                  nil,
			DialContext:            newDialer(o, bodyIdle).dial,
			TLSClientConfig:        tlsConfig(o.TLS),
			TLSHandshakeTimeout:    cmp.Or(o.Handshake, defaultTLS),
			ResponseHeaderTimeout:  cmp.Or(o.Headers, defaultHeaders),
			MaxResponseHeaderBytes: maxHeaderBytes,
			MaxConnsPerHost:        o.MaxConnsPerHost,
			MaxIdleConnsPerHost:    cmp.Or(o.MaxIdleConnsPerHost, defaultIdle),
			IdleConnTimeout:        idleConn,
			// A compressed answer has no Content-Length and no honest size.
			DisableCompression: true,
			ReadBufferSize:     bufferFor(o.Downloads),
			WriteBufferSize:    bufferFor(o.Uploads),
		},
	}
}

// bufferFor gives zero, net/http's own size, where no bodies go.
func bufferFor(bodies bool) int {
	if bodies {
		return bodyBuffer
	}
	return 0
}

func tlsConfig(given *tls.Config) *tls.Config {
	if given == nil {
		return &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return given.Clone()
}

// CloseIdleConnections closes what the pool holds; http.Client calls it.
func (t *Transport) CloseIdleConnections() { t.base.CloseIdleConnections() }

// dialer opens connections under the policy and watches their writes.
type dialer struct {
	guarded   net.Dialer
	trusted   net.Dialer
	addresses AddressMap
	writeIdle time.Duration
}

func newDialer(o Options, writeIdle time.Duration) *dialer {
	base := net.Dialer{Timeout: cmp.Or(o.Dial, defaultDial), KeepAlive: keepAlive, Resolver: o.Resolver}
	d := &dialer{guarded: base, trusted: base, addresses: o.Addresses, writeIdle: writeIdle}
	if !o.AllowPrivate {
		d.guarded.ControlContext = newPolicy(o.Allow).control
	}
	return d
}

func (d *dialer) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	use := &d.guarded
	if mapped, ok := d.addresses.lookup(addr); ok {
		use, addr = &d.trusted, mapped
	}
	conn, err := use.DialContext(ctx, network, addr)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	return &watchedConn{Conn: conn, idle: d.writeIdle}, nil
}
