package cozy

import (
	"bytes"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// RootDirID is the id of the root folder in every instance.
const RootDirID = "io.cozy.files.root-dir"

// Defaults of Config.
const (
	DefaultTimeout = time.Minute
	DefaultStall   = 5 * time.Minute
)

// Config is what all instances of a stack share.
type Config struct {
	// HTTP sends the requests; it must have no Timeout, which would bound whole
	// uploads. Nil: http.DefaultClient. Redirects are never followed.
	HTTP *http.Client
	// Scheme is "https" (the default) or "http".
	Scheme string
	// Tokens gives the bearer token for each instance.
	Tokens TokenSource
	// Logger gets debug lines about refreshed tokens. Nil: none.
	Logger *slog.Logger
	// Timeout bounds each request but uploads. 0: DefaultTimeout.
	Timeout time.Duration
	// Stall is how long an upload may wait for the stack, to take the next bytes
	// or to answer. The time that the body itself needs does not count.
	// 0: DefaultStall.
	Stall time.Duration
}

// Stack is a client of all instances that are reached in the same way.
type Stack struct {
	http    *http.Client
	scheme  string
	tokens  TokenSource
	logger  *slog.Logger
	timeout time.Duration
	stall   time.Duration
	buffers sync.Pool // of *bytes.Buffer, for answers
}

// New makes a client. Nothing is sent yet.
func New(cfg Config) *Stack {
	s := &Stack{
		http:    withoutRedirects(cfg.HTTP),
		scheme:  cfg.Scheme,
		tokens:  cfg.Tokens,
		logger:  cfg.Logger,
		timeout: cfg.Timeout,
		stall:   cfg.Stall,
		buffers: sync.Pool{New: func() any { return new(bytes.Buffer) }},
	}
	if s.scheme == "" {
		s.scheme = "https"
	}
	if s.logger == nil {
		s.logger = slog.New(slog.DiscardHandler)
	}
	if s.timeout <= 0 {
		s.timeout = DefaultTimeout
	}
	if s.stall <= 0 {
		s.stall = DefaultStall
	}
	return s
}

// Instance gives the client of one instance. The host (with its port where it
// has one) must have been checked by Hosts: tokens are sent to it.
func (s *Stack) Instance(host string) *Instance {
	return &Instance{stack: s, host: host}
}

// Instance is the client of one instance.
type Instance struct {
	stack *Stack
	host  string
}

// Host is the host name of the instance, with its port where it has one.
func (i *Instance) Host() string { return i.host }

// withoutRedirects copies the client: a redirected upload can't be replayed and
// a token must not follow to another host.
func withoutRedirects(c *http.Client) *http.Client {
	if c == nil {
		c = http.DefaultClient
	}
	own := *c
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &own
}
