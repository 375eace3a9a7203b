// Package nextcloudtest simulates a Nextcloud over folders on disk: a real HTTP
// handler that answers OCS, WebDAV, archive and trashbin requests the way the
// recorded server (32.0.1, and the parts of 24 that differ) answers them, and
// in which every answer can be spoiled on order.
//
// What the disk does not hold (file ids, claimed checksums, favourites, mounts,
// locks) is kept in memory. Contents of any size and folders of any length can
// be offered by rule, without disk or memory. Besides the Go API there is an
// HTTP one under /_sim/, for tests that run the simulator in its own process.
package nextcloudtest

import (
	"encoding/xml"
	"log/slog"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// Versions that the simulator can play.
const (
	Version32 = 32
	Version24 = 24
)

// Config of a Server; only Dir is needed.
type Config struct {
	// Dir holds one folder per user; it is created when it is missing.
	Dir string
	// SubPath is where the server lives below the host, "/nextcloud" for example.
	SubPath string
	// Version is the major version to play: Version32 (the default) or Version24.
	Version int
	// Checksums makes the server offer MD5 and SHA1 of every file for which no
	// uploader claimed a checksum. They are computed on demand.
	Checksums bool
	// BruteForce is the count of wrong passwords from one address after which
	// every login from there is answered by 429. The real server's is 11; 0 turns
	// the throttle off.
	BruteForce int
	// BruteForcePause is how long the throttle holds; 0 means 30 minutes.
	BruteForcePause time.Duration
	// TrustedHosts are the Host headers that are served; empty means all.
	TrustedHosts []string
	// Profile is what a request costs; the zero value costs nothing extra.
	Profile Profile
	// Logger gets one debug line per request; nil logs nothing.
	Logger *slog.Logger
}

// Server is a simulated Nextcloud, an http.Handler. All methods may be called
// while requests are served.
type Server struct {
	cfg       Config
	base      string // SubPath without a trailing slash
	log       *slog.Logger
	started   time.Time
	accounts  accounts
	throttle  throttle
	faults    faults
	stats     stats
	gate      chan struct{}
	bandwidth *rate.Limiter

	properties map[xml.Name]property

	maintenance atomic.Bool
	requests    atomic.Uint64
	fileIDs     atomic.Int64
	mountIDs    atomic.Int64
}

// New makes a server without users. It starts no goroutines and needs no Close.
func New(cfg Config) *Server {
	if cfg.Version == 0 {
		cfg.Version = Version32
	}
	if cfg.BruteForcePause == 0 {
		cfg.BruteForcePause = 30 * time.Minute
	}
	s := &Server{
		cfg:      cfg,
		base:     strings.TrimSuffix(path.Clean("/"+cfg.SubPath), "/"),
		log:      cfg.Logger,
		started:  time.Now(),
		accounts: newAccounts(),
		throttle: throttle{limit: cfg.BruteForce, pause: cfg.BruteForcePause},
		stats:    newStats(),

		properties: properties(),
		bandwidth:  newBandwidth(cfg.Profile.BytesPerSecond),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if cfg.Profile.Workers > 0 {
		s.gate = make(chan struct{}, cfg.Profile.Workers)
	}
	s.fileIDs.Store(firstFileID)
	return s
}

// firstFileID leaves room for what a fresh server has made by itself.
const firstFileID = 100

// SetMaintenance turns the maintenance mode on or off.
func (s *Server) SetMaintenance(on bool) { s.maintenance.Store(on) }

// SetBruteForce changes after how many wrong passwords an address is throttled;
// 0 turns the throttle off. What was counted so far is forgotten.
func (s *Server) SetBruteForce(limit int) { s.throttle.reset(limit) }

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, simPrefix) {
		s.serveSim(w, r)
		return
	}
	start := time.Now()
	cw := s.stats.begin(w)
	defer func() {
		s.stats.end(cw, r)
		if s.log.Enabled(r.Context(), slog.LevelDebug) {
			s.log.Debug("request served", "method", r.Method, "path", r.URL.Path,
				"status", cw.status, "bytes", cw.bytes, "took", time.Since(start))
		}
	}()
	release, ok := s.acquire(r)
	if !ok {
		return
	}
	defer release()
	if s.faults.none() {
		s.route(cw, r)
		return
	}
	s.serveWithFaults(cw, r)
}

// route is the server without faults.
func (s *Server) route(w http.ResponseWriter, r *http.Request) {
	setCommonHeaders(w.Header(), s.requestID(), s.cfg.Version)
	rel, below := s.relative(r.URL.Path)
	switch {
	case !below:
		writeNginx(w, http.StatusNotFound)
	case !s.trusted(r.Host):
		writePage(w, http.StatusBadRequest, "Access through untrusted domain")
	case rel == "/status.php":
		s.serveStatus(w)
	case strings.HasPrefix(rel, "/ocs/v1.php/"), strings.HasPrefix(rel, "/ocs/v2.php/"):
		s.serveOCS(w, r, rel)
	case rel == davPrefix || strings.HasPrefix(rel, davPrefix+"/"),
		rel == legacyPrefix || strings.HasPrefix(rel, legacyPrefix+"/"):
		s.serveDAV(w, r, rel)
	default:
		s.servePages(w, r, rel)
	}
}

// relative cuts the sub-path off a request path; double slashes fall away.
func (s *Server) relative(p string) (rel string, below bool) {
	rel = cleanSlashes(p)
	if s.base == "" {
		return rel, true
	}
	if rel == s.base {
		return "/", true
	}
	if strings.HasPrefix(rel, s.base+"/") {
		return rel[len(s.base):], true
	}
	return "", false
}

func (s *Server) trusted(host string) bool {
	if len(s.cfg.TrustedHosts) == 0 {
		return true
	}
	for _, h := range s.cfg.TrustedHosts {
		if strings.EqualFold(h, host) {
			return true
		}
	}
	return false
}

// requestID is unique per request and of the length that the real server uses.
func (s *Server) requestID() string {
	n := strconv.FormatUint(s.requests.Add(1), 36)
	return "sim00000000000000000"[:20-len(n)] + n
}

// cleanSlashes is path.Clean for a decoded request path; a backslash separates
// like a slash, and a trailing slash is lost. The common case allocates nothing.
func cleanSlashes(p string) string {
	if strings.Contains(p, `\`) {
		p = strings.ReplaceAll(p, `\`, "/")
	}
	if p == "" || p[0] != '/' {
		p = "/" + p
	}
	return path.Clean(p)
}
