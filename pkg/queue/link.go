package queue

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

const (
	heartbeat        = 10 * time.Second
	handshakeTimeout = 20 * time.Second
	closeTimeout     = 2 * time.Second
)

// endpoint is where and as whom to connect.
type endpoint struct {
	url  string // holds the password
	tls  *tls.Config
	name string // shown by the broker
}

// check finds faults of the URL at start; it quotes nothing of it.
func (e endpoint) check() error {
	if _, err := amqp.ParseURI(e.url); err != nil {
		return errors.New("the AMQP URL is malformed")
	}
	return nil
}

// link is one connection and its socket, kept because closing a connection
// politely hangs when the broker no longer reads from it.
type link struct {
	conn   *amqp.Connection
	mu     sync.Mutex
	socket net.Conn
}

// connect makes a new connection; the end of ctx stops the attempt, not the
// connection.
func connect(ctx context.Context, e endpoint) (*link, error) {
	l := &link{}
	stop := context.AfterFunc(ctx, l.cut)
	defer stop()
	properties := amqp.NewConnectionProperties()
	properties.SetClientConnectionName(e.name)
	conn, err := amqp.DialConfig(e.url, amqp.Config{
		Heartbeat:       heartbeat,
		Properties:      properties,
		TLSClientConfig: e.tlsConfig(),
		Dial: func(network, addr string) (net.Conn, error) {
			return l.dial(ctx, network, addr)
		},
	})
	if err != nil {
		l.cut()
		return nil, fmt.Errorf("connect to broker: %w", errors.Join(context.Cause(ctx), err))
	}
	l.conn = conn
	return l, nil
}

// tlsConfig is a copy for each dial, since the library writes the server name
// into it.
func (e endpoint) tlsConfig() *tls.Config {
	if e.tls == nil {
		return nil
	}
	return e.tls.Clone()
}

func (l *link) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	socket, err := (&net.Dialer{Timeout: handshakeTimeout / 2}).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	l.socket = socket
	l.mu.Unlock()
	// The library takes the deadline away once the connection is open.
	return socket, socket.SetDeadline(time.Now().Add(handshakeTimeout))
}

// cut closes the socket under whatever waits on it.
func (l *link) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.socket != nil {
		_ = l.socket.Close()
	}
}

// close says good-bye, and cuts when the broker does not answer soon.
func (l *link) close() {
	timer := time.AfterFunc(closeTimeout, l.cut)
	defer timer.Stop()
	_ = l.conn.Close()
}

// channel opens a channel and a listener that holds the reason of its end.
func (l *link) channel() (*amqp.Channel, <-chan *amqp.Error, error) {
	ch, err := l.conn.Channel()
	if err != nil {
		return nil, nil, fmt.Errorf("open channel: %w", err)
	}
	return ch, ch.NotifyClose(make(chan *amqp.Error, 1)), nil
}

// reason waits for why a channel or connection ended.
func reason(closed <-chan *amqp.Error) error {
	if fault := <-closed; fault != nil {
		return fault
	}
	return errClosed
}

// with lends a channel for a few calls; a call that fails closes it.
func (l *link) with(use func(*amqp.Channel) error) error {
	ch, err := l.conn.Channel()
	if err != nil {
		return fmt.Errorf("open channel: %w", err)
	}
	if err := use(ch); err != nil {
		return err
	}
	if err := ch.Close(); err != nil {
		return fmt.Errorf("close channel: %w", err)
	}
	return nil
}
