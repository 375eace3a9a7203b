package httpapi

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/go-chi/chi/v5"

	"example.org/ncm/pkg/contract"
	"example.org/ncm/services/trigger/internal/request"
)

// getMigration answers GET …/{id}, which the stack does not have.
func (s *server) getMigration(w http.ResponseWriter, r *http.Request) {
	document, err := s.desk.Get(r.Context(), instanceOf(r), chi.URLParam(r, "id"))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.writeMigration(w, r, http.StatusOK, document)
}

// summary is a tracking document without what may be long.
type summary struct {
	contract.Tracking
	Errors  *struct{} `json:"errors,omitempty"`
	Skipped *struct{} `json:"skipped,omitempty"`
}

type migrationList struct {
	Data  []resource `json:"data"`
	Links struct {
		Next string `json:"next,omitempty"`
	} `json:"links"`
	Meta struct {
		Count int `json:"count"` // of all pages
	} `json:"meta"`
}

// listMigrations answers GET of the route itself, where the stack says 404.
func (s *server) listMigrations(w http.ResponseWriter, r *http.Request) {
	limit, cursor, err := readPage(r.URL.Query())
	if err != nil {
		s.fail(w, r, err)
		return
	}
	page, err := s.desk.List(r.Context(), instanceOf(r), limit, cursor)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	answer := migrationList{Data: make([]resource, 0, len(page.Documents))}
	for _, document := range page.Documents {
		answer.Data = append(answer.Data, resourceOf(document, summary{Tracking: document.Tracking}))
	}
	answer.Meta.Count = page.Total
	if page.Next != "" {
		query := url.Values{"page[limit]": {strconv.Itoa(limit)}, "page[cursor]": {page.Next}}
		answer.Links.Next = migrations + "?" + query.Encode()
	}
	s.writeData(w, r, http.StatusOK, answer)
}

func readPage(query url.Values) (limit int, cursor string, err error) {
	limit = request.DefaultPage
	if text := query.Get("page[limit]"); text != "" {
		limit, err = strconv.Atoi(text)
		if err != nil {
			return 0, "", &request.Error{Code: request.CodeInvalid, Message: "page[limit] is not a number", Cause: err}
		}
	}
	return limit, query.Get("page[cursor]"), nil
}
