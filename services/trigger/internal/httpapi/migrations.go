package httpapi

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/services/trigger/internal/request"
)

// maxBody is far more than an address, a login and two paths need.
const maxBody = 64 << 10

// startMigration answers POST /remote/nextcloud/migration.
func (s *server) startMigration(w http.ResponseWriter, r *http.Request) {
	order, err := readOrder(w, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	document, err := s.desk.Start(r.Context(), instanceOf(r), order)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.writeMigration(w, r, http.StatusCreated, document)
}

// readOrder reads the body. Like in the stack, none at all or a form is an order
// without fields, and whatever else is not JSON is refused.
func readOrder(w http.ResponseWriter, r *http.Request) (request.Order, error) {
	content, err := readBody(w, r)
	if err != nil || len(content) == 0 {
		return request.Order{}, err
	}
	var body struct {
		URL        string `json:"nextcloud_url"`
		Login      string `json:"nextcloud_login"`
		Password   string `json:"nextcloud_app_password"`
		SourcePath string `json:"source_path"`
		TargetDir  string `json:"target_dir"`
	}
	if json.Unmarshal(content, &body) != nil {
		return request.Order{}, notJSON(nil)
	}
	return request.Order(body), nil
}

// readBody gives the body, or nothing where it is none or a form.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	content, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return nil, unreadable(err)
	}
	if isForm(r) {
		return nil, nil
	}
	return content, nil
}

func isForm(r *http.Request) bool {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return kind == "application/x-www-form-urlencoded" || kind == "multipart/form-data"
}

// errTooLarge is an answer that the domain has no word for.
var errTooLarge = errors.New("request body is too large")

func unreadable(err error) error {
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return errTooLarge
	}
	return notJSON(err)
}

func notJSON(cause error) error {
	return &request.Error{Code: request.CodeInvalid, Message: "invalid JSON body", Cause: cause}
}

// resource is a tracking document in JSON:API, its members in the stack's order.
type resource struct {
	Type       string `json:"type"`
	ID         string `json:"id"`
	Attributes any    `json:"attributes"`
	Meta       struct {
		Rev string `json:"rev"`
	} `json:"meta"`
}

func resourceOf(document request.Document, attributes any) resource {
	r := resource{Type: contract.DoctypeMigrations, ID: document.ID, Attributes: attributes}
	r.Meta.Rev = document.Rev
	return r
}

func (s *server) writeMigration(w http.ResponseWriter, r *http.Request, status int, document request.Document) {
	// Documents of other services may lack them; clients iterate over both.
	if document.Errors == nil {
		document.Errors = []contract.Failure{}
	}
	if document.Skipped == nil {
		document.Skipped = []contract.Skip{}
	}
	s.writeData(w, r, status, struct {
		Data resource `json:"data"`
	}{resourceOf(document, document.Tracking)})
}

// writeData writes a success.
func (s *server) writeData(w http.ResponseWriter, r *http.Request, status int, answer any) {
	// The stack says so of its successes, although none is as long as to be
	// compressed.
	w.Header().Add("Vary", "Accept-Encoding")
	s.writeJSON(w, r, status, answer)
}
