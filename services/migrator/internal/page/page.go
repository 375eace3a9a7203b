// Package page is the operator's page on the port for operators: what the ledger
// tells of migrations, live, and the actions on them.
//
// The port is not public, but more than operators can reach it. So what is open is
// what metrics tell, by migration and instance: states, sums and reasons. Names of
// files and folders, dead letters and all actions need the operator's token, and
// without one being set there are none of them.
package page

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"embed"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"example.org/ncm/services/migrator/internal/operate"
)

// Path is where the page is; its handler expects requests below it.
const Path = "/operator/"

// DeadLetters is what the page does to messages that were given up. It may be slow.
type DeadLetters interface {
	List(ctx context.Context) ([]operate.DeadLetter, error)
	// Replay sends the letters of one message id again and gives how many.
	Replay(ctx context.Context, id string) (int, error)
}

// Config is what a Page needs.
type Config struct {
	Operator operate.Operator
	Letters  DeadLetters
	Token    string // of the operator; empty: no actions and no names
	Logger   *slog.Logger
	// Stopping ends streams: a server waits for its requests.
	Stopping <-chan struct{}
}

// Page answers an operator's browser. Safe for concurrent use.
type Page struct {
	cfg     Config
	token   [sha256.Size]byte
	streams chan struct{} // holds one for each open stream
	handler http.Handler
}

//go:embed assets
var assets embed.FS

// most is how many migrations, entries or letters one answer holds.
const most = 200

// maxStreams bounds the browsers that look at once; each asks the ledger once a
// second.
const maxStreams = 32

// answerTime bounds a question to the ledger or the broker.
const answerTime = 15 * time.Second

// New makes the page.
func New(cfg Config) (*Page, error) {
	files, err := fs.Sub(assets, "assets")
	if err != nil {
		return nil, err
	}
	p := &Page{cfg: cfg, token: sha256.Sum256([]byte(cfg.Token)), streams: make(chan struct{}, maxStreams)}
	mux := http.NewServeMux()
	mux.Handle("GET "+Path, http.StripPrefix(Path, http.FileServerFS(files)))
	mux.HandleFunc("GET "+Path+"api/session", p.session)
	mux.HandleFunc("GET "+Path+"api/migrations", p.list)
	mux.HandleFunc("GET "+Path+"api/migrations/{id}", p.show)
	mux.Handle("GET "+Path+"api/migrations/{id}/entries", p.guarded(p.entries))
	mux.Handle("POST "+Path+"api/migrations/{id}/cancel", p.guarded(p.cancel))
	mux.Handle("POST "+Path+"api/migrations/{id}/retry", p.guarded(p.retry))
	mux.Handle("GET "+Path+"api/dead-letters", p.guarded(p.letters))
	mux.Handle("POST "+Path+"api/dead-letters/{id}/replay", p.guarded(p.replay))
	p.handler = headers(http.NewCrossOriginProtection().Handler(mux))
	return p, nil
}

// ServeHTTP implements http.Handler.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.handler.ServeHTTP(w, r) }

// headers lets the page load and ask nothing but what is its own.
func headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "+
			"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// authorized says whether a request has the token.
func (p *Page) authorized(r *http.Request) bool {
	given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	sum := sha256.Sum256([]byte(given))
	return ok && p.cfg.Token != "" && subtle.ConstantTimeCompare(sum[:], p.token[:]) == 1
}

// guarded lets only an operator through. The token is in a header that no foreign
// page can send, and never in a cookie.
func (p *Page) guarded(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case p.cfg.Token == "":
			p.refuse(w, http.StatusForbidden, "Names and actions are off: OPERATOR_TOKEN is not set.")
		case !p.authorized(r):
			p.refuse(w, http.StatusUnauthorized, "The operator's token is needed.")
		default:
			ctx, cancel := context.WithTimeout(r.Context(), answerTime)
			defer cancel()
			next(w, r.WithContext(ctx))
		}
	})
}

func (p *Page) session(w http.ResponseWriter, r *http.Request) {
	p.answer(w, http.StatusOK, map[string]bool{"enabled": p.cfg.Token != "", "authorized": p.authorized(r)})
}

func (p *Page) list(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	filter := operate.Filter{Instance: query.Get("instance"), Limit: most}
	if states := query.Get("state"); states != "" {
		filter.States = strings.Split(states, ",")
	}
	var meter operate.Meter
	p.stream(w, r, func(ctx context.Context) (any, error) {
		found, err := p.cfg.Operator.List(ctx, filter)
		meter.Measure(found)
		for i := range found {
			conceal(&found[i])
		}
		return found, err
	})
}

func (p *Page) show(w http.ResponseWriter, r *http.Request) {
	var meter operate.Meter
	p.stream(w, r, func(ctx context.Context) (any, error) {
		d, err := p.cfg.Operator.Show(ctx, r.PathValue("id"))
		if err != nil {
			return nil, err
		}
		rows := []operate.Migration{d.Migration}
		meter.Measure(rows)
		conceal(&rows[0])
		d.Migration = rows[0]
		return d, nil
	})
}

// conceal takes out the names that need the token, and the time, which alone is no
// news.
func conceal(m *operate.Migration) {
	m.SourcePath, m.TargetDir, m.Now = "", "", time.Time{}
}

func (p *Page) entries(w http.ResponseWriter, r *http.Request) {
	result := r.URL.Query().Get("result")
	after, err := strconv.ParseInt(r.URL.Query().Get("after"), 10, 64)
	if !slices.Contains(operate.Results, result) || err != nil && r.URL.Query().Has("after") {
		p.refuse(w, http.StatusBadRequest, "result is failed, skipped, pending or done; after is the id of an entry.")
		return
	}
	m, err := p.cfg.Operator.Find(r.Context(), r.PathValue("id"))
	if err != nil {
		p.fail(w, r, err)
		return
	}
	entries, err := p.cfg.Operator.Entries(r.Context(), m.ID, operate.EntryFilter{Result: result, After: after, Limit: most})
	if err != nil {
		p.fail(w, r, err)
		return
	}
	p.answer(w, http.StatusOK, map[string]any{
		"source_path": m.SourcePath, "target_dir": m.TargetDir, "entries": entries, "more": len(entries) == most,
	})
}

func (p *Page) cancel(w http.ResponseWriter, r *http.Request) {
	m, err := p.cfg.Operator.Cancel(r.Context(), r.PathValue("id"))
	p.acted(w, r, "cancel", err, "The migration is "+m.Status+".")
}

func (p *Page) retry(w http.ResponseWriter, r *http.Request) {
	failed := r.URL.Query().Get("failed") == "true"
	m, entries, err := p.cfg.Operator.Retry(r.Context(), r.PathValue("id"), failed)
	done := "The migration is due now: " + m.Status + "."
	if failed {
		done = operate.Count(entries, "entry", "entries") + " put back. " + done
	}
	p.acted(w, r, "retry", err, done)
}

func (p *Page) letters(w http.ResponseWriter, r *http.Request) {
	found, err := p.cfg.Letters.List(r.Context())
	if err != nil {
		p.fail(w, r, err)
		return
	}
	p.answer(w, http.StatusOK, append([]operate.DeadLetter{}, found...))
}

func (p *Page) replay(w http.ResponseWriter, r *http.Request) {
	n, err := p.cfg.Letters.Replay(r.Context(), r.PathValue("id"))
	if err == nil && n == 0 {
		err = operate.RefusedError("there is no such dead letter")
	}
	p.acted(w, r, "replay", err, operate.Count(int64(n), "dead letter", "dead letters")+" sent again.")
}

// acted logs an action and tells its outcome.
func (p *Page) acted(w http.ResponseWriter, r *http.Request, action string, err error, done string) {
	if err != nil {
		p.fail(w, r, err)
		return
	}
	p.cfg.Logger.InfoContext(r.Context(), "operator acted", "action", action, "migration", r.PathValue("id"))
	p.answer(w, http.StatusOK, map[string]string{"message": done})
}

// fail tells what an operator can use of an error; all of it goes to the log.
func (p *Page) fail(w http.ResponseWriter, r *http.Request, err error) {
	status, message := p.inWords(r.Context(), err)
	p.refuse(w, status, message)
}

func (p *Page) inWords(ctx context.Context, err error) (status int, message string) {
	var refused operate.RefusedError
	switch {
	case errors.As(err, &refused):
		return http.StatusConflict, refused.Error()
	case errors.Is(err, operate.ErrUnknown):
		return http.StatusNotFound, operate.ErrUnknown.Error()
	}
	p.cfg.Logger.WarnContext(ctx, "operator not answered", "error", err)
	return http.StatusServiceUnavailable, "The ledger or the broker does not answer; run: migrator doctor"
}

func (p *Page) refuse(w http.ResponseWriter, status int, message string) {
	p.answer(w, status, map[string]string{"error": message})
}

func (p *Page) answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		p.cfg.Logger.Debug("browser went away", "error", err)
	}
}
