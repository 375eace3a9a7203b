package httpapi_test

import (
	"net/http"
	"testing"

	"example.org/ncm/services/trigger/internal/request"
)

// FuzzBodies wants an answer that is described for whatever body comes.
func FuzzBodies(f *testing.F) {
	for _, seed := range []string{"", "{}", `{"force":true}`, `{"nextcloud_url":"u","nextcloud_url":null}`, "null", "[[", "\xff", `{"a":{"b":[1e999]}}`} {
		f.Add(seed, "application/json")
	}
	f.Add("a=b", "application/x-www-form-urlencoded")
	f.Fuzz(func(t *testing.T, body, contentType string) {
		a := newAPI(t)
		a.start = func(string, request.Order) (request.Document, error) { return request.Document{ID: "x"}, nil }
		for path, good := range map[string]int{"": http.StatusCreated, "/preflight": http.StatusOK, "/x/delete-source": http.StatusNoContent} {
			res := a.send(t, body, func(r *http.Request) {
				r.URL.Path = route + path
				r.Header.Set("Content-Type", contentType)
			})
			if res.StatusCode != good && res.StatusCode != http.StatusBadRequest && res.StatusCode != http.StatusRequestEntityTooLarge {
				t.Errorf("%s: status %d", path, res.StatusCode)
			}
		}
	})
}
