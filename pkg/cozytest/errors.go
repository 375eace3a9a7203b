package cozytest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
)

// The stack has three kinds of errors inside and each group of routes writes
// them in its own way; a fourth shape is the blocked instance's.
type errorKind int

const (
	kindJSONAPI errorKind = iota // made by a handler of the files routes
	kindPlain                    // made by the HTTP framework: tokens, unknown routes
	kindCouch                    // passed on from the database
)

type apiError struct {
	kind      errorKind
	status    int
	title     string
	detail    string
	parameter string
	pointer   string
}

func (e *apiError) Error() string { return fmt.Sprintf("%d %s: %s", e.status, e.title, e.detail) }

func jsonapiError(status int, detail string) *apiError {
	return &apiError{status: status, title: http.StatusText(status), detail: detail}
}

func invalidParameter(parameter, detail string) *apiError {
	return &apiError{
		status: http.StatusUnprocessableEntity, title: "Invalid Parameter",
		detail: detail, parameter: parameter,
	}
}

func preconditionFailed(parameter, detail string) *apiError {
	e := jsonapiError(http.StatusPreconditionFailed, detail)
	e.parameter = parameter
	return e
}

func unqualified(detail string) *apiError {
	return &apiError{status: http.StatusInternalServerError, title: "Unqualified error", detail: detail}
}

func plainError(status int, message string) *apiError {
	return &apiError{kind: kindPlain, status: status, detail: message}
}

func couchError(status int, name, reason string) *apiError {
	return &apiError{kind: kindCouch, status: status, title: name, detail: reason}
}

func noRoute() *apiError { return plainError(http.StatusNotFound, "Not Found") }

func noFile() *apiError { return jsonapiError(http.StatusNotFound, "file does not exist") }

type errorSource struct {
	Pointer   string `json:"pointer,omitempty"`
	Parameter string `json:"parameter,omitempty"`
}

type errorBody struct {
	Status string      `json:"status"`
	Title  string      `json:"title"`
	Code   string      `json:"code,omitempty"`
	Detail string      `json:"detail"`
	Source errorSource `json:"source"`
}

func (e *apiError) body() errorBody {
	return errorBody{
		Status: strconv.Itoa(e.status), Title: e.title, Detail: e.detail,
		Source: errorSource{Pointer: e.pointer, Parameter: e.parameter},
	}
}

// asAPIError turns anything unexpected into a 500, so that a defect of the
// simulator shows as such in the test that met it.
func asAPIError(err error) *apiError {
	var e *apiError
	if errors.As(err, &e) {
		return e
	}
	return unqualified("cozytest: " + err.Error())
}

// writeFilesError answers as the routes outside of /data/ do.
func writeFilesError(w http.ResponseWriter, err error) {
	e := asAPIError(err)
	if e.kind == kindPlain {
		writePlain(w, e.status, e.detail)
		return
	}
	writeJSON(w, e.status, typeJSONAPI, struct {
		Errors []errorBody `json:"errors"`
	}{[]errorBody{e.body()}})
}

// writeDataError answers as the routes below /data/ do.
func writeDataError(w http.ResponseWriter, err error) {
	e := asAPIError(err)
	switch e.kind {
	case kindCouch:
		writeJSON(w, e.status, typeJSON, map[string]any{
			"error": e.title, "ok": false, "reason": e.detail, "status": strconv.Itoa(e.status),
		})
	case kindPlain:
		writeJSON(w, e.status, typeJSON, map[string]string{
			"error": fmt.Sprintf("code=%d, message=%s", e.status, e.detail),
		})
	default:
		writeJSON(w, e.status, typeJSON, map[string]string{
			"error": fmt.Sprintf("%s(%d): %s", e.title, e.status, e.detail),
		})
	}
}

func answerNoInstance(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Accept") == typeJSON {
		writeJSON(w, http.StatusNotFound, typeJSON, map[string]any{"error": struct{}{}})
		return
	}
	writePlain(w, http.StatusNotFound, "Instance not found")
}

// Reasons for which an instance is blocked, in the words of the admin API.
const (
	BlockedUnpaid = "PAYMENT_FAILED"
	BlockedMoving = "MOVING"
)

// answerBlocked: the body is about no reason but one, and there about a wrong one.
func answerBlocked(w http.ResponseWriter, reason string) {
	status := http.StatusServiceUnavailable
	switch reason {
	case BlockedMoving:
		writeJSON(w, status, typeJSON, map[string]string{"error": "The Twake requires a payment"})
		return
	case BlockedUnpaid:
		status = http.StatusPaymentRequired
	}
	writeJSON(w, status, typeJSON, []errorBody{{
		Status: strconv.Itoa(status), Title: "Blocked", Code: "UNKNOWN",
		Detail: "The Twake is blocked for an unknown reason",
	}})
}

const (
	typeJSONAPI = "application/vnd.api+json"
	typeJSON    = "application/json"
	typePlain   = "text/plain; charset=UTF-8"
)

func writePlain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", typePlain)
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text))
}

func writeJSON(w http.ResponseWriter, status int, contentType string, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		http.Error(w, "cozytest: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}

// writeDocument answers a JSON:API document; only these say Vary.
func writeDocument(w http.ResponseWriter, status int, doc any) {
	w.Header().Set("Vary", "Accept-Encoding")
	writeJSON(w, status, typeJSONAPI, doc)
}
