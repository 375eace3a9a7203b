package httpapi_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"example.org/ncm/services/trigger/internal/request"
)

// took is what the domain got of a body, if anything.
type took struct {
	order  *request.Order
	forced bool
}

// sendFuzzed sends a body to a route and wants it accepted or refused in words
// that are described.
func sendFuzzed(t *testing.T, path, body, contentType string) (accepted bool, got took) {
	t.Helper()
	a := newAPI(t)
	a.start = func(_ string, o request.Order) (request.Document, error) {
		got.order = &o
		return request.Document{ID: "x"}, nil
	}
	a.preflight = func(o request.Order) (request.Preflight, error) {
		got.order = &o
		return request.Preflight{}, nil
	}
	asked := false
	a.erase = func(_ string, force bool) error {
		asked, got.forced = true, force
		return nil
	}
	good := map[string]int{"": http.StatusCreated, "/preflight": http.StatusOK}[path]
	if good == 0 {
		good = http.StatusNoContent
	}
	res := a.send(t, body, func(r *http.Request) {
		r.URL.Path = route + path
		r.Header.Set("Content-Type", contentType)
	})
	accepted = res.StatusCode == good
	if !accepted && res.StatusCode != http.StatusBadRequest && res.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("%s: status %d", path, res.StatusCode)
	}
	if !accepted && (got.order != nil || asked) {
		t.Errorf("%s: refused as %d, and done: %+v", path, res.StatusCode, got)
	}
	return accepted, got
}

// FuzzBodies wants a body to be refused, or read as what it says.
func FuzzBodies(f *testing.F) {
	for _, seed := range []string{
		"", "{}", `{"force":true}`, `{"nextcloud_url":"u","nextcloud_url":null}`, "null", "[[", "\xff", `{"a":{"b":[1e999]}}`,
		`{"nextcloud_url":"https://cloud.example","nextcloud_login":"alice","nextcloud_app_password":"p"}`,
	} {
		f.Add(seed, "application/json")
	}
	f.Add("a=b", "application/x-www-form-urlencoded")
	f.Fuzz(func(t *testing.T, body, contentType string) {
		for _, path := range []string{"", "/preflight"} {
			if accepted, got := sendFuzzed(t, path, body, contentType); accepted {
				wantSameOrder(t, path, *got.order, contentType)
			}
		}
		if _, got := sendFuzzed(t, "/x/delete-source", body, contentType); got.forced {
			wantForcedBy(t, body)
		}
	})
}

// wantSameOrder sends an order again as it was understood.
func wantSameOrder(t *testing.T, path string, order request.Order, contentType string) {
	t.Helper()
	again, err := json.Marshal(map[string]string{
		"nextcloud_url": order.URL, "nextcloud_login": order.Login, "nextcloud_app_password": order.Password,
		"source_path": order.SourcePath, "target_dir": order.TargetDir,
	})
	if err != nil || len(again) > 64<<10 {
		return // escapes made it longer than a body may be
	}
	if accepted, back := sendFuzzed(t, path, string(again), contentType); !accepted || *back.order != order {
		t.Errorf("%s: %+v comes back as %+v, accepted %v", path, order, back.order, accepted)
	}
}

// wantForcedBy wants a body that forces a deletion to say so by itself: nothing
// else may be taken for it.
func wantForcedBy(t *testing.T, body string) {
	t.Helper()
	var said map[string]any
	if json.Unmarshal([]byte(body), &said) != nil {
		t.Fatalf("forced by %q", body)
	}
	for name, value := range said {
		if strings.EqualFold(name, "force") && value == true {
			return
		}
	}
	t.Errorf("forced by %q", body)
}
