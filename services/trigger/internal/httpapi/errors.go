package httpapi

import (
	"cmp"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"example.org/ncm/services/trigger/internal/request"
)

// retryAfter is what callers are told to wait where nothing better is known,
// for the broker to come back.
const retryAfter = 30 * time.Second

// problem is an answer other than success.
type problem struct {
	status    int
	title     string // empty: the status in words
	detail    string // empty: what the error says to users
	plain     bool   // as text, where the stack answers before its JSON:API does
	challenge string // for WWW-Authenticate
	retry     time.Duration
}

// problemOf is the one table from the domain's codes to HTTP.
func problemOf(err error) problem {
	const badToken = `Bearer error="invalid_token"`
	if errors.Is(err, errTooLarge) {
		return problem{status: http.StatusRequestEntityTooLarge, detail: errTooLarge.Error()}
	}
	switch request.CodeOf(err) {
	case request.CodeInvalid:
		return problem{status: http.StatusBadRequest}
	case request.CodeNoToken:
		return problem{status: http.StatusUnauthorized, plain: true}
	case request.CodeInvalidToken:
		return problem{status: http.StatusBadRequest, plain: true, challenge: badToken}
	case request.CodeExpiredToken:
		return problem{
			status: http.StatusBadRequest, plain: true,
			challenge: badToken + ` error_description="The access token expired"`,
		}
	case request.CodeMalformedScope:
		return problem{status: http.StatusBadRequest, plain: true}
	case request.CodeNoApplication:
		return problem{status: http.StatusNotFound, title: "not_found"}
	case request.CodeForbidden:
		return problem{status: http.StatusForbidden, plain: true}
	case request.CodeNoInstance:
		return problem{status: http.StatusNotFound}
	case request.CodeBlockedInstance:
		return problem{status: http.StatusPaymentRequired, title: "Blocked"}
	case request.CodeBadCredentials:
		return problem{status: http.StatusUnauthorized}
	case request.CodeConflict:
		return problem{status: http.StatusConflict}
	case request.CodeUnreachable:
		return problem{status: http.StatusBadGateway}
	case request.CodeUnavailable:
		return problem{status: http.StatusServiceUnavailable, retry: retryAfter}
	case request.CodeTooMany:
		return problem{status: http.StatusTooManyRequests, retry: retryAfter}
	case request.CodeNotFound:
		return problem{status: http.StatusNotFound}
	default:
		return problem{status: http.StatusInternalServerError}
	}
}

// fail answers with an error. Its cause goes to the log and nowhere else.
func (s *server) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := problemOf(err)
	p.detail = cmp.Or(p.detail, request.MessageOf(err))
	if known, ok := errors.AsType[*request.Error](err); ok {
		p.retry = cmp.Or(known.RetryAfter, p.retry)
	}
	noteOf(r).err = err
	s.write(w, r, p)
}

func (s *server) write(w http.ResponseWriter, r *http.Request, p problem) {
	if p.challenge != "" {
		w.Header().Set("WWW-Authenticate", p.challenge)
	}
	if p.retry > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(p.retry.Seconds()))))
	}
	if p.plain {
		s.writeBody(w, r, p.status, "text/plain; charset=UTF-8", []byte(p.detail))
		return
	}
	type jsonError struct {
		Status string   `json:"status"`
		Title  string   `json:"title"`
		Detail string   `json:"detail"`
		Source struct{} `json:"source"`
	}
	var answer struct {
		Errors []jsonError `json:"errors"`
	}
	answer.Errors = []jsonError{{
		Status: statusText(p.status),
		Title:  cmp.Or(p.title, http.StatusText(p.status)),
		Detail: p.detail,
	}}
	s.writeJSON(w, r, p.status, answer)
}

func (s *server) writeJSON(w http.ResponseWriter, r *http.Request, status int, answer any) {
	body, err := json.Marshal(answer)
	if err != nil {
		noteOf(r).err = err
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	s.writeBody(w, r, status, "application/vnd.api+json", append(body, '\n'))
}

func (s *server) writeBody(w http.ResponseWriter, r *http.Request, status int, contentType string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	if _, err := w.Write(body); err != nil {
		s.logger.DebugContext(r.Context(), "caller went away", "error", err, "request_id", requestIDOf(r))
	}
}
