package httpapi

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"

	"example.org/ncm/services/trigger/internal/request"
)

// cancelMigration answers POST …/{id}/cancel.
func (s *server) cancelMigration(w http.ResponseWriter, r *http.Request) {
	if err := s.desk.Cancel(r.Context(), instanceOf(r), chi.URLParam(r, "id")); err != nil {
		s.fail(w, r, err)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

// deleteSource answers POST …/{id}/delete-source.
func (s *server) deleteSource(w http.ResponseWriter, r *http.Request) {
	force, err := readForce(w, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	allowTime(w, request.EraseTimeout)
	if err := s.desk.DeleteSource(r.Context(), instanceOf(r), chi.URLParam(r, "id"), force); err != nil {
		s.fail(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// readForce reads a body that the stack does not know: none is needed, and only
// a true one forces.
func readForce(w http.ResponseWriter, r *http.Request) (bool, error) {
	content, err := readBody(w, r)
	if err != nil || len(content) == 0 {
		return false, err
	}
	var body struct {
		Force bool `json:"force"`
	}
	if json.Unmarshal(content, &body) != nil {
		return false, notJSON(nil)
	}
	return body.Force, nil
}

// allowTime lifts the server's ceilings off a request whose body was read: the
// one for reading would end its context, the one for writing drop its answer.
// Where the connection knows no deadlines there are none to lift.
func allowTime(w http.ResponseWriter, most time.Duration) {
	connection := http.NewResponseController(w)
	_ = connection.SetReadDeadline(time.Time{})
	_ = connection.SetWriteDeadline(time.Now().Add(most + requestTimeout))
}
