// Package httpapi is the trigger's HTTP interface: it finds out which instance
// a request is for and whose it is, reads the body, asks the domain and writes
// what the stack's own route would write.
package httpapi

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"example.org/ncm/pkg/tracing"
	"example.org/ncm/services/trigger/internal/request"
)

// Desk is what the domain does for callers. Safe for concurrent use. Errors for
// callers are *request.Error.
type Desk interface {
	// Authorize returns nil when the token has the right on migrations.
	Authorize(ctx context.Context, instance, token string, right request.Right) error
	// Start hands a migration over and returns its tracking document.
	Start(ctx context.Context, instance string, order request.Order) (request.Document, error)
	// Preflight tells what would become of an order, and writes nothing.
	Preflight(ctx context.Context, instance string, order request.Order) (request.Preflight, error)
	Migrations
}

// Migrations are what was started before.
type Migrations interface {
	Get(ctx context.Context, instance, id string) (request.Document, error)
	List(ctx context.Context, instance string, limit int, cursor string) (request.Page, error)
	Cancel(ctx context.Context, instance, id string) error
	// DeleteSource may take request.EraseTimeout.
	DeleteSource(ctx context.Context, instance, id string, force bool) error
}

// Hosts is the allow-list of instances. Safe for concurrent use.
type Hosts interface {
	// Check returns the instance of a Host header in the form in which it is
	// used and compared.
	Check(host string) (instance string, err error)
}

// Config is what the interface needs; all fields but Tracing are required.
type Config struct {
	Desk    Desk
	Hosts   Hosts
	Scheme  string // of the instances and their apps: https or http
	Logger  *slog.Logger
	Metrics prometheus.Registerer
	Tracing trace.TracerProvider // nil: no spans
}

// requestTimeout bounds a request as a whole; what the domain does has ceilings
// of its own that end before.
const requestTimeout = 75 * time.Second

type server struct {
	desk   Desk
	hosts  Hosts
	scheme string
	logger *slog.Logger
}

// New returns the handler of all routes. It registers its metrics once, and so
// can be made once for each registry.
func New(cfg Config) (http.Handler, error) {
	observe, err := newObserver(cfg.Logger, cfg.Metrics, tracing.Tracer(cfg.Tracing))
	if err != nil {
		return nil, err
	}
	s := &server{desk: cfg.Desk, hosts: cfg.Hosts, scheme: cfg.Scheme, logger: cfg.Logger}
	r := chi.NewRouter()
	r.Use(withRequestID, observe.middleware, securityHeaders, s.recoverPanics)
	r.Get("/openapi.json", s.describe)
	r.Head("/openapi.json", s.describe)
	instances := s.instances()
	r.Mount("/", instances)
	r.MethodNotAllowed(instances.ServeHTTP) // methods that no router knows
	return r, nil
}

// migrations is the route of all that callers can ask for.
const migrations = "/remote/nextcloud/migration"

// instances routes what is asked of an instance.
func (s *server) instances() http.Handler {
	r := chi.NewRouter()
	r.Use(s.forInstance, s.crossOrigin, middleware.GetHead)
	r.NotFound(s.notFound)
	r.MethodNotAllowed(s.methodNotAllowed)
	ask := r.With(withTimeout, s.authorized(request.RightAsk))
	read := r.With(withTimeout, s.authorized(request.RightRead))
	ask.Post(migrations, s.startMigration)
	read.Get(migrations, s.listMigrations)
	ask.Post(migrations+"/preflight", s.preflight)
	read.Get(migrations+"/{id}", s.getMigration)
	ask.Post(migrations+"/{id}/cancel", s.cancelMigration)
	// It takes as long as it takes, within the domain's bounds.
	r.With(s.authorized(request.RightAsk)).Post(migrations+"/{id}/delete-source", s.deleteSource)
	for _, route := range []string{"", "/preflight", "/{id}", "/{id}/cancel", "/{id}/delete-source"} {
		r.Options(migrations+route, s.options)
	}
	return r
}

func (s *server) notFound(w http.ResponseWriter, r *http.Request) {
	s.write(w, r, problem{status: http.StatusNotFound, detail: "no such route"})
}

func (s *server) methodNotAllowed(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Allow", allowed(r))
	s.write(w, r, problem{status: http.StatusMethodNotAllowed, detail: "the route has no such method"})
}

// options answers who asks what a route can do; browsers ask crossOrigin.
func (s *server) options(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Allow", allowed(r))
	w.WriteHeader(http.StatusNoContent)
}

// allowed lists the methods that the path of a request has.
func allowed(r *http.Request) string {
	routes, path := chi.RouteContext(r.Context()).Routes, r.URL.EscapedPath()
	var methods []string
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPost} {
		like := method
		if method == http.MethodHead {
			like = http.MethodGet // which GetHead answers
		}
		if routes.Match(chi.NewRouteContext(), like, path) {
			methods = append(methods, method)
		}
	}
	return strings.Join(methods, ", ")
}

func withTimeout(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
		defer cancel()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// securityHeaders are those of every answer of the stack.
func securityHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy",
			"default-src 'none';frame-src 'none';frame-ancestors 'none';base-uri 'none';")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}
