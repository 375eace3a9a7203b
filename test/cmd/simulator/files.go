package main

import (
	"encoding/json"
	"log/slog"
	"net/http"

	"example.org/ncm/pkg/nextcloudtest"
	"example.org/ncm/test/tree"
)

// withFiles adds PUT /_sim/files to a Nextcloud. No ServeMux: it would clean up
// the odd paths that others are sent with.
func withFiles(server *nextcloudtest.Server, logger *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut && r.URL.Path == "/_sim/files" {
			replaceFiles(w, r, server, logger)
			return
		}
		server.ServeHTTP(w, r)
	})
}

// replaceFiles makes the tar in the body a user's files and answers with counts.
func replaceFiles(w http.ResponseWriter, r *http.Request, server *nextcloudtest.Server, logger *slog.Logger) {
	root := server.Root(r.URL.Query().Get("user"))
	if root == "" {
		http.Error(w, nextcloudtest.ErrUnknownUser.Error(), http.StatusNotFound)
		return
	}
	totals, err := tree.Unpack(r.Context(), r.Body, root)
	if err != nil {
		logger.WarnContext(r.Context(), "files not replaced", "error", err)
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(totals); err != nil {
		logger.DebugContext(r.Context(), "caller went away", "error", err)
	}
}
