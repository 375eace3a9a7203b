package httpapi

import (
	"context"
	"net/http"
	"strings"

	"example.org/ncm/services/trigger/internal/request"
)

type instanceKey struct{}

// forInstance lets only requests pass that are for an instance of ours: its
// host name is sent to the stack and to the issuer of tokens.
func (s *server) forInstance(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		instance, err := s.hosts.Check(r.Host)
		if err != nil {
			s.logger.DebugContext(r.Context(), "host refused", "error", err, "request_id", requestIDOf(r))
			s.write(w, r, problem{status: http.StatusNotFound, detail: "Instance not found"})
			return
		}
		noteOf(r).instance = instance
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), instanceKey{}, instance)))
	})
}

// instanceOf is the instance that forInstance found.
func instanceOf(r *http.Request) string {
	instance, _ := r.Context().Value(instanceKey{}).(string)
	return instance
}

// authorized comes before anything that looks at the body, as in the stack.
func (s *server) authorized(right request.Right) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if err := s.desk.Authorize(r.Context(), instanceOf(r), bearer(r), right); err != nil {
				s.fail(w, r, err)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// bearer is the caller's token. The stack also takes it from the query and from
// a basic password, where it would end up in logs; no client of this route
// sends it so.
func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

var _ Desk = (*request.Desk)(nil)
