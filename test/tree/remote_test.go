package tree_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"example.org/ncm/test/tree"
)

func serve(t *testing.T, status int, body string) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	return server
}

const goodLine = `{"path":"/in/a","size":1,"md5":"000102030405060708090a0b0c0d0e0f","updated_at":"2024-01-02T03:04:05Z"}` + "\n"

func TestListingsFailRatherThanEndEarly(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status int
		body   string
	}{
		"unknown user":     {http.StatusNotFound, "no such instance"},
		"cut line":         {http.StatusOK, goodLine + `{"path":"/in/b","si`},
		"error at the end": {http.StatusOK, goodLine + `{"error":"disk is gone"}`},
		"no digest":        {http.StatusOK, goodLine + `{"path":"/in/b","size":1}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := serve(t, c.status, c.body)
			var last error
			for _, err := range tree.Cozy(t.Context(), server.Client(), server.URL, "host", "/in") {
				last = err
			}
			if last == nil {
				t.Error("the listing ended without an error")
			}
		})
	}
}

func TestCozyListsOneFolderWithoutTheTrash(t *testing.T) {
	t.Parallel()
	server := serve(t, http.StatusOK, `{"path":"/in","dir":true}`+"\n"+`{"path":"/inside","dir":true}`+"\n"+goodLine+
		`{"path":"/in/gone","dir":true,"trashed":true}`)
	var got []tree.Entry
	for e, err := range tree.Cozy(t.Context(), server.Client(), server.URL, "host", "/in/") {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e)
	}
	if len(got) != 1 || got[0].Path != "a" || got[0].Size != 1 || got[0].MD5[15] != 15 || got[0].ModTime.Year() != 2024 {
		t.Errorf("listed %+v", got)
	}
}
