package httpapi

import (
	_ "embed"
	"net/http"
)

//go:embed openapi.json
var openAPI []byte

// Description is the OpenAPI document of all routes.
func Description() []byte { return openAPI }

// describe answers with the description of all routes. It is the same on every
// host, so that it can be read inside of a cluster.
func (s *server) describe(w http.ResponseWriter, r *http.Request) {
	s.writeBody(w, r, http.StatusOK, "application/json", openAPI)
}
