package cozytest

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Config describes a simulated stack. The zero value works: contents are
// dropped, nothing is slowed down and the token APIs refuse everybody.
type Config struct {
	// Dir keeps the contents of files. Empty: contents are hashed and dropped,
	// and downloads answer 404.
	Dir string
	// AdminUser and AdminPassword open the stack's admin API.
	AdminUser     string
	AdminPassword string
	// ClouderyToken opens the Cloudery API.
	ClouderyToken string
	// AdminHost and ClouderyHost make ServeHTTP answer requests for these
	// hosts with AdminHandler and ClouderyHandler.
	AdminHost    string
	ClouderyHost string
	// TokenTTL replaces the life time of minted tokens. Zero: 24 hours for
	// app tokens, 30 minutes for the others, as on a real stack.
	TokenTTL time.Duration
	// Latency is waited before each request is looked at.
	Latency time.Duration
	// Profile is what requests cost on each instance; the zero value costs nothing.
	Profile Profile
	// RecursiveRace is how long a recursive creation of directories stays
	// open to the race of its real model: calls that overlap it answer 404.
	// Zero: 2 milliseconds; negative: none.
	RecursiveRace time.Duration
	// VersionDelay is how far apart two old versions of a file have to be for
	// both to be kept. Zero: 15 minutes; negative: all are kept.
	VersionDelay time.Duration
	// Remote reaches the Nextclouds of the routes below /remote/nextcloud/. Nil:
	// a transport like the real stack's, which dials any address here.
	Remote http.RoundTripper
	// Logger gets one debug line for each request. Nil: nothing is logged.
	Logger *slog.Logger
}

const (
	defaultRecursiveRace = 2 * time.Millisecond
	defaultVersionDelay  = 15 * time.Minute
)

// Stack is the simulated server. Make one with New.
type Stack struct {
	config   Config
	log      *slog.Logger
	blobs    *blobStore
	vault    *vault
	latency  atomic.Int64 // nanoseconds
	tokens   sync.Map     // token text -> *token
	faults   faultList
	stats    counters
	admin    http.Handler
	cloudery http.Handler
	sim      http.Handler
	remote   *http.Client
	life     context.Context
	end      context.CancelFunc

	mu        sync.RWMutex
	instances map[string]*Instance
}

// New returns a stack without instances.
func New(config Config) *Stack {
	if config.RecursiveRace == 0 {
		config.RecursiveRace = defaultRecursiveRace
	}
	if config.VersionDelay == 0 {
		config.VersionDelay = defaultVersionDelay
	}
	s := &Stack{
		config:    config,
		log:       config.Logger,
		blobs:     newBlobStore(config.Dir),
		vault:     newVault(),
		instances: make(map[string]*Instance),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.remote = &http.Client{Transport: config.Remote}
	if config.Remote == nil {
		s.remote.Transport = &http.Transport{} // asks for compression, as the real one does
	}
	s.life, s.end = context.WithCancel(context.Background())
	s.admin = s.adminRoutes()
	s.sim = s.simRoutes()
	s.cloudery = s.clouderyRoutes()
	s.SetLatency(config.Latency)
	return s
}

// Close ends realtime connections, requests that hang and copies from a
// Nextcloud. Contents on disk stay.
func (s *Stack) Close() {
	s.end()
	s.remote.CloseIdleConnections()
}

// SetLatency changes what is waited before each request is looked at.
func (s *Stack) SetLatency(d time.Duration) { s.latency.Store(int64(d)) }

// AddInstance creates an instance for a host, with its port where requests
// carry one. Adding a host again replaces the instance by a new, empty one.
func (s *Stack) AddInstance(host string, options InstanceOptions) *Instance {
	inst := newInstance(s, strings.ToLower(host), options)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.instances[inst.host] = inst
	return inst
}

// Instance returns the instance of a host, or nil. An instance that was added
// without a port answers for every port.
func (s *Stack) Instance(host string) *Instance {
	host = strings.ToLower(host)
	s.mu.RLock()
	defer s.mu.RUnlock()
	if inst := s.instances[host]; inst != nil {
		return inst
	}
	if name, _, err := net.SplitHostPort(host); err == nil {
		return s.instances[name]
	}
	return nil
}

// Instances returns all instances, ordered by host.
func (s *Stack) Instances() []*Instance {
	s.mu.RLock()
	defer s.mu.RUnlock()
	all := make([]*Instance, 0, len(s.instances))
	for _, inst := range s.instances {
		all = append(all, inst)
	}
	slices.SortFunc(all, func(a, b *Instance) int { return strings.Compare(a.host, b.host) })
	return all
}

// ServeHTTP answers for every host: the simulator's own routes below /_sim/,
// the two token APIs on their hosts, and the instances.
func (s *Stack) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.HasPrefix(r.URL.Path, simPrefix):
		s.sim.ServeHTTP(w, r)
	case sameHost(r.Host, s.config.AdminHost):
		s.admin.ServeHTTP(w, r)
	case sameHost(r.Host, s.config.ClouderyHost):
		s.cloudery.ServeHTTP(w, r)
	default:
		s.disturb(w, r, s.serveInstance)
	}
}

func sameHost(got, configured string) bool {
	return configured != "" && strings.EqualFold(got, configured)
}

func (s *Stack) serveInstance(w http.ResponseWriter, r *http.Request) {
	setSecurityHeaders(w.Header())
	inst := s.Instance(r.Host)
	if inst == nil || inst.gone.Load() {
		s.stats.add(routeUnknownInstance, http.StatusNotFound)
		answerNoInstance(w, r)
		return
	}
	inst.ServeHTTP(w, r)
}

func setSecurityHeaders(h http.Header) {
	h["Content-Security-Policy"] = securityPolicy
	h["X-Content-Type-Options"] = noSniff
}

var (
	securityPolicy = []string{"default-src 'none';frame-src 'none';frame-ancestors 'none';base-uri 'none';"}
	downloadPolicy = []string{securityPolicy[0] + "form-action 'none';"}
	noSniff        = []string{"nosniff"}
)

// randomText is fit for the secret part of a token.
func randomText() string { return rand.Text() }
