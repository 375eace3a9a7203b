package httpapi

import (
	"net/http"
	"net/url"
	"strings"
)

// What pages of other origins are told; browsers keep it for half a day.
const (
	corsMethods = "GET, HEAD, POST, OPTIONS"
	corsMaxAge  = "43200"
)

// crossOrigin lets the apps of an instance, which live on sub-domains, ask for
// its migrations. Pages from elsewhere get answers that browsers keep from them.
// Vary is set only where an origin was named, as recorded of the stack.
func (s *server) crossOrigin(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		origin := r.Header.Get("Origin")
		if origin == "" {
			next.ServeHTTP(w, r)
			return
		}
		allowed := s.isAppOf(origin, instanceOf(r))
		h := w.Header()
		h.Add("Vary", "Origin")
		if allowed {
			h.Set("Access-Control-Allow-Origin", origin)
			h.Set("Access-Control-Allow-Credentials", "true")
		}
		if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
			if allowed {
				h.Set("Access-Control-Expose-Headers", "Retry-After, "+requestIDHeader)
			}
			next.ServeHTTP(w, r)
			return
		}
		answerPreflight(w, r, allowed)
	})
}

// answerPreflight answers for all routes alike: which exist is no secret and not
// the browser's question. Any header may be sent, for none has a meaning that a
// page could abuse without the token.
func answerPreflight(w http.ResponseWriter, r *http.Request, allowed bool) {
	h := w.Header()
	h.Add("Vary", "Access-Control-Request-Method")
	h.Add("Vary", "Access-Control-Request-Headers")
	if allowed {
		h.Set("Access-Control-Allow-Methods", corsMethods)
		h.Set("Access-Control-Max-Age", corsMaxAge)
		if asked := r.Header.Get("Access-Control-Request-Headers"); asked != "" {
			h.Set("Access-Control-Allow-Headers", asked)
		}
	}
	w.WriteHeader(http.StatusNoContent)
}

// isAppOf says whether an origin is an app of the instance: of alice.example
// that is alice-settings.example where sub-domains are flat and
// settings.alice.example where they are nested, with the instance's own scheme
// and port.
func (s *server) isAppOf(origin, instance string) bool {
	u, err := url.Parse(origin)
	if err != nil || u.Scheme != s.scheme || origin != u.Scheme+"://"+u.Host {
		return false
	}
	if slug, ok := strings.CutSuffix(u.Host, "."+instance); ok {
		return isSlug(slug)
	}
	name, domain, ok := strings.Cut(instance, ".")
	if !ok {
		return false
	}
	app, ok := strings.CutSuffix(u.Host, "."+domain)
	if !ok {
		return false
	}
	slug, ok := strings.CutPrefix(app, name+"-")
	return ok && isSlug(slug)
}

// isSlug says whether a label can be the name of an app.
func isSlug(label string) bool {
	return label != "" && !strings.ContainsFunc(label, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-'
	})
}
